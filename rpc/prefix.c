/* Prefixes in the strict text forms of inet_pton(3). */
#include "rpc/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAPPED_LENGTH = 96,
	ADDRESS_LENGTH = 128,
};

struct in6_addr prefix_map_ipv4(struct in_addr address)
{
	struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	memcpy(mapped.s6_addr + 12, &address, sizeof(address));
	return mapped;
}

struct in6_addr prefix_of_sockaddr(const struct sockaddr *from)
{
	if (from->sa_family == AF_INET)
		return prefix_map_ipv4(
			((const struct sockaddr_in *)(const void *)from)->sin_addr);
	if (from->sa_family == AF_INET6)
		return ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
	return in6addr_any;
}

bool prefix_is_loopback(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) ||
	       (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static int parse_host(const char *text, struct in6_addr *ret)
{
	struct in_addr ipv4;

	if (inet_pton(AF_INET, text, &ipv4) == 1)
		*ret = prefix_map_ipv4(ipv4);
	else if (inet_pton(AF_INET6, text, ret) != 1)
		return -EINVAL;
	return 0;
}

/* The digits after the slash: no sign, no leading zero, at most limit. */
static int parse_length(const char *text, unsigned limit, unsigned *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long length = strtoul(text, NULL, 10);

	if (digits == 0 || digits > 3 || text[digits] || (digits > 1 && *text == '0') ||
		length > limit)
		return -EINVAL;
	*ret = (unsigned)length;
	return 0;
}

static unsigned char mask_octet(unsigned length, unsigned index)
{
	if (length >= index * 8 + 8)
		return 0xff;
	if (length <= index * 8)
		return 0;
	return (unsigned char)(0xff00 >> (length - index * 8));
}

int prefix_parse(const char *text, struct prefix *ret)
{
	const char *slash = strchr(text, '/');
	struct prefix prefix = {.length = ADDRESS_LENGTH};
	char host[INET6_ADDRSTRLEN];
	size_t length = slash ? (size_t)(slash - text) : strlen(text);

	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (parse_host(host, &prefix.ip) < 0)
		return -EINVAL;
	if (slash) {
		unsigned before = strchr(host, ':') ? 0 : MAPPED_LENGTH;

		if (parse_length(slash + 1, ADDRESS_LENGTH - before, &prefix.length) < 0)
			return -EINVAL;
		prefix.length += before;
	}
	for (unsigned i = 0; i < sizeof(prefix.ip.s6_addr); i++)
		if (prefix.ip.s6_addr[i] & ~mask_octet(prefix.length, i))
			return -ERANGE;
	*ret = prefix;
	return 0;
}

bool prefix_contains(const struct prefix *prefix, const struct in6_addr *address)
{
	if (prefix->length < MAPPED_LENGTH && IN6_IS_ADDR_V4MAPPED(address))
		return false;
	for (unsigned i = 0; i < sizeof(address->s6_addr); i++)
		if ((address->s6_addr[i] & mask_octet(prefix->length, i)) !=
			prefix->ip.s6_addr[i])
			return false;
	return true;
}

int prefix_list_add(struct prefix_list *list, const struct prefix *prefix)
{
	struct prefix *grown = reallocarray(list->items, list->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->items = grown;
	grown[list->count++] = *prefix;
	return 0;
}

bool prefix_list_contains(const struct prefix_list *list, const struct in6_addr *address)
{
	for (size_t i = 0; i < list->count; i++)
		if (prefix_contains(&list->items[i], address))
			return true;
	return false;
}

void prefix_list_done(struct prefix_list *list)
{
	free(list->items);
	*list = (struct prefix_list){0};
}
