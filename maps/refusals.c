/* What an access file refuses, as Sendmail 8.17 finds it: its rule set LookUpAddress was
 * read, and run with "sendmail -bt". */
#include "maps/refusals.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "maps/key.h"

#define CONNECT_TAG "connect:"
#define V6_TAG "ipv6:"

/* An address or network whose row refuses it. */
struct network {
	struct in6_addr address; /* no bit set behind the prefix */
	unsigned prefix_length;
};

struct refusals {
	size_t count;
	struct network network[]; /* sorted by address, then prefix length */
};

/* Moves over blanks and "(comments)", which Sendmail drops from a value. */
static const char *skip_comments(const char *at)
{
	unsigned depth = 0;

	for (; *at && (depth > 0 || isspace((unsigned char)*at) || *at == '('); at++)
		if (*at == '(')
			depth++;
		else if (*at == ')')
			depth--;
	return at;
}

/* Three values refuse nothing.  QUARANTINE withholds the mail; any text that Sendmail
 * does not know is the text of its refusal, "RELAY # why" too. */
static bool is_refusal(const char *value)
{
	static const char *const harmless[] = {"ok", "relay", "skip"};
	const char *at = skip_comments(value);

	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
		size_t length = strlen(harmless[i]);

		if (strncasecmp(at, harmless[i], length) == 0 &&
			*skip_comments(at + length) == '\0')
			return false;
	}
	return true;
}

/* The address or network that a key of LookUpAddress stands for.  Only keys that Sendmail
 * asks for count, thus none with "::", leading zeros or a mask: the parsing is lenient,
 * the comparison with the one right spelling is not. */
static bool parse_network(const char *bare_key, struct network *ret)
{
	const bool v6 = strncmp(bare_key, V6_TAG, strlen(V6_TAG)) == 0;
	const char *at = bare_key + (v6 ? strlen(V6_TAG) : 0);
	unsigned octet = v6 ? 0 : 12;
	struct network network = {0};
	struct keys keys;

	if (!v6)
		network.address.s6_addr[10] = network.address.s6_addr[11] = 0xff;
	for (;; at++) {
		char *end;
		unsigned long part = strtoul(at, &end, v6 ? 16 : 10);

		if (octet == 16 || end == at || part > (v6 ? 0xffff : 0xff))
			return false;
		if (v6)
			network.address.s6_addr[octet++] = (uint8_t)(part >> 8);
		network.address.s6_addr[octet++] = (uint8_t)part;
		at = end;
		if (*at == '\0')
			break;
		if (*at != (v6 ? ':' : '.'))
			return false;
	}
	network.prefix_length = 8 * octet;
	if (key_format(KEY_ACCESS, &network.address, network.prefix_length, &keys) < 0 ||
		strcmp(keys.key[0] + strlen(CONNECT_TAG), bare_key) != 0)
		return false;
	*ret = network;
	return true;
}

static int compare_networks(const void *a_pointer, const void *b_pointer)
{
	const struct network *a = a_pointer, *b = b_pointer;
	int order = memcmp(&a->address, &b->address, sizeof(a->address));

	if (order != 0)
		return order;
	return a->prefix_length < b->prefix_length ? -1
						   : a->prefix_length > b->prefix_length;
}

/* Adds the network of a row that refuses.  A bare key is hidden by a row with the same
 * key and the tag, which is looked up first. */
static void add_network(
	struct refusals *refusals, const struct access *access, const char *key)
{
	const bool tagged = strncmp(key, CONNECT_TAG, strlen(CONNECT_TAG)) == 0;
	char tagged_key[sizeof(CONNECT_TAG) + KEY_SIZE];
	struct network network;

	if (!parse_network(key + (tagged ? strlen(CONNECT_TAG) : 0), &network))
		return;
	(void)snprintf(tagged_key, sizeof(tagged_key), CONNECT_TAG "%s", key);
	if (tagged || !access_get(access, tagged_key))
		refusals->network[refusals->count++] = network;
}

int refusals_new(const struct access *access, struct refusals **ret)
{
	size_t count = access_count(access);
	struct refusals *refusals =
		calloc(1, sizeof(*refusals) + count * sizeof(*refusals->network));

	if (!refusals)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *key, *value;

		access_row(access, i, &key, &value);
		if (is_refusal(value))
			add_network(refusals, access, key);
	}
	qsort(refusals->network, refusals->count, sizeof(*refusals->network),
		compare_networks);
	*ret = refusals;
	return 0;
}

struct refusals *refusals_free(struct refusals *refusals)
{
	free(refusals);
	return NULL;
}

/* What LookUpAddress finds for the address from the level of the prefix upwards: tagged,
 * then bare, then both without the last octet or group, down to "ipv6" alone. */
static const char *look_up_address(const struct access *access,
	const struct in6_addr *address, unsigned prefix_length)
{
	const bool v4 = IN6_IS_ADDR_V4MAPPED(address);
	const unsigned part = v4 ? 8 : 16;
	unsigned too_long = (128 - prefix_length + part - 1) / part;
	struct keys keys;
	char *bare_key = keys.key[0] + strlen(CONNECT_TAG);

	if (key_format(KEY_ACCESS, address, 128, &keys) < 0)
		return NULL;
	for (;;) {
		char *cut;

		if (too_long > 0) {
			too_long--;
		} else {
			const char *value = access_get(access, keys.key[0]);

			if (!value)
				value = access_get(access, bare_key);
			if (value)
				return value;
		}
		cut = strrchr(bare_key, v4 ? '.' : ':');
		if (!cut)
			return NULL;
		*cut = '\0';
	}
}

/* Clears the bits behind the prefix. */
static struct in6_addr mask_address(
	const struct in6_addr *address, unsigned prefix_length)
{
	struct in6_addr masked = *address;

	for (unsigned i = 0; i < sizeof(masked.s6_addr); i++) {
		unsigned bits = prefix_length > 8 * i ? prefix_length - 8 * i : 0;

		if (bits < 8)
			masked.s6_addr[i] &= (uint8_t)(0xff00 >> bits);
	}
	return masked;
}

/* A refused network that begins at or after the beginning of the prefix and is not
 * shorter lies inside it or behind it, so that only the first such needs a look. */
static bool refuses_inside(const struct refusals *refusals,
	const struct in6_addr *address, unsigned prefix_length)
{
	const struct network prefix = {
		mask_address(address, prefix_length), prefix_length};
	size_t low = 0, high = refusals->count;
	struct in6_addr masked;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_networks(&refusals->network[middle], &prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == refusals->count)
		return false;
	masked = mask_address(&refusals->network[low].address, prefix_length);
	return memcmp(&masked, &prefix.address, sizeof(masked)) == 0;
}

bool refusals_match(const struct refusals *refusals, const struct access *access,
	const struct in6_addr *address, unsigned prefix_length)
{
	const char *value = look_up_address(access, address, prefix_length);

	return (value && is_refusal(value)) ||
	       refuses_inside(refusals, address, prefix_length);
}
