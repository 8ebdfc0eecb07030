/* Addresses and prefixes; the text forms are those of inet_pton(3) and nothing more. */
#include "dracd/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

int address_parse(const char *text, struct address *ret)
{
	struct address address = {.length = 128};

	if (inet_pton(AF_INET6, text, &address.ip) != 1) {
		memcpy(address.ip.s6_addr, mapped_prefix, sizeof(mapped_prefix));
		if (inet_pton(AF_INET, text, address.ip.s6_addr + 12) != 1)
			return -EINVAL;
	}
	*ret = address;
	return 0;
}

/* The digits after the slash: no sign, no leading zero, at most limit. */
static int parse_length(const char *text, unsigned limit, unsigned *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long length;

	if (digits == 0 || digits > 3 || text[digits] || (digits > 1 && text[0] == '0'))
		return -EINVAL;
	length = strtoul(text, NULL, 10);
	if (length > limit)
		return -EINVAL;
	*ret = (unsigned)length;
	return 0;
}

int address_parse_prefix(const char *text, struct address *ret)
{
	const char *slash = strchr(text, '/');
	char host[INET6_ADDRSTRLEN];
	struct address address, network;
	unsigned length, offset;
	int r;

	if (!slash)
		return address_parse(text, ret);
	if ((size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	r = address_parse(host, &address);
	if (r < 0)
		return r;
	/* "::ffff:10.0.0.0/104" is written in IPv6 lengths, "10.0.0.0/8" in IPv4's */
	offset = strchr(host, ':') ? 0 : 96;
	r = parse_length(slash + 1, 128 - offset, &length);
	if (r < 0)
		return r;
	network = address_network(&address, length + offset);
	if (memcmp(&network.ip, &address.ip, sizeof(network.ip)) != 0)
		return -ERANGE;
	*ret = network;
	return 0;
}

const char *address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
	unsigned length = address->length;
	size_t used;

	if (address_is_ipv4(address)) {
		inet_ntop(AF_INET, address->ip.s6_addr + 12, text, ADDRESS_TEXT_SIZE);
		length -= 96;
	} else {
		inet_ntop(AF_INET6, &address->ip, text, ADDRESS_TEXT_SIZE);
	}
	if (!address_is_host(address)) {
		used = strlen(text);
		snprintf(text + used, ADDRESS_TEXT_SIZE - used, "/%u", length);
	}
	return text;
}

bool address_is_ipv4(const struct address *address)
{
	return address->length >= 96 &&
	       memcmp(address->ip.s6_addr, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool address_is_host(const struct address *address)
{
	return address->length == 128;
}

struct address address_network(const struct address *address, unsigned length)
{
	struct address network = {.length = (uint8_t)length};
	unsigned whole = length / 8;

	memcpy(network.ip.s6_addr, address->ip.s6_addr, whole);
	if (length % 8)
		network.ip.s6_addr[whole] =
			(uint8_t)(address->ip.s6_addr[whole] & (0xff00 >> (length % 8)));
	return network;
}

bool address_contains(const struct address *outer, const struct address *inner)
{
	struct address around;

	if (inner->length < outer->length)
		return false;
	/* "::/0" is all of IPv6, not IPv4 in its mapped form as well */
	if (outer->length < 96 && address_is_ipv4(inner))
		return false;
	around = address_network(inner, outer->length);
	return memcmp(&around.ip, &outer->ip, sizeof(around.ip)) == 0;
}

int address_compare(const struct address *a, const struct address *b)
{
	int order = memcmp(&a->ip, &b->ip, sizeof(a->ip));

	return order ? order : (int)a->length - (int)b->length;
}

int address_length_within(const uint64_t lengths[3], int length)
{
	for (; length >= 0; length = length / 64 * 64 - 1) {
		uint64_t bits =
			lengths[length / 64] & ((UINT64_C(2) << (length % 64)) - 1);

		if (bits)
			return length / 64 * 64 + 63 - __builtin_clzll(bits);
	}
	return -1;
}
