/* The spelling of an address for each MTA.  The facts behind the rules were found by
 * running the MTAs (Postfix 3.7, Sendmail 8.17) and reading what they look up.
 *
 * Postfix prints the client with getnameinfo(NI_NUMERICHOST) and, in an indexed file,
 * looks up that text and then the text cut at its last '.' or ':' again and again.
 * Sendmail prints every group of an IPv6 address ("%x", nothing compressed), marks it
 * "IPv6:", and cuts in the same way.  Exim prints every group with four digits and dots
 * between them, as a colon would end the key of an lsearch, and cuts nothing: a host list
 * says how long the network is that it asks for ("net64-"). */
#include "maps/key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	MAPPED_BITS = 96, /* of a v4-mapped address before the IPv4 address itself */
	GROUPS = 8,
	GROUP_BITS = 16,
};

static const struct {
	const char *name;
	const char *value;
} forms[] = {
	[KEY_POSTFIX] = {"postfix", "OK"},
	/* FEATURE(drac) permits on any value, the access database on this one only */
	[KEY_SENDMAIL] = {"sendmail", "RELAY"},
	[KEY_ACCESS] = {"access", "RELAY"},
	/* that the key is there is all that counts */
	[KEY_EXIM] = {"exim", "OK"},
	[KEY_PLAIN] = {"plain", "OK"},
	/* on any value Sendmail permits, and Postfix on this one */
	[KEY_DRAC] = {"drac", "OK"},
};

int key_form_parse(const char *text, enum key_form *ret)
{
	for (unsigned i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (strcmp(text, forms[i].name) == 0) {
			*ret = (enum key_form)i;
			return 0;
		}
	return -EINVAL;
}

const char *key_form_name(enum key_form form)
{
	return forms[form].name;
}

const char *key_form_value(enum key_form form)
{
	return forms[form].value;
}

/* At most three digits; no snprintf(3), of which a million keys would notice. */
static char *put_octet(char *at, unsigned octet)
{
	if (octet >= 100)
		*at++ = (char)('0' + octet / 100);
	if (octet >= 10)
		*at++ = (char)('0' + octet / 10 % 10);
	*at++ = (char)('0' + octet % 10);
	return at;
}

/* count octets or groups of a prefix, as text with the separators between them. */
static void print_octets(
	const struct in6_addr *address, unsigned count, char text[KEY_SIZE])
{
	char *at = text;

	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			*at++ = '.';
		at = put_octet(at, address->s6_addr[MAPPED_BITS / 8 + i]);
	}
	*at = '\0';
}

static unsigned group_of(const struct in6_addr *address, unsigned index)
{
	return (unsigned)address->s6_addr[2 * index] << 8 |
	       address->s6_addr[2 * index + 1];
}

static void print_groups(
	const struct in6_addr *address, unsigned count, char text[KEY_SIZE])
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		length += (size_t)snprintf(text + length, KEY_SIZE - length, "%s%x",
			i == 0 ? "" : ":", group_of(address, i));
}

/* The number of zero groups at the end of the first count groups; ret_inner is the
 * longest run of zero groups before those. */
static unsigned count_zero_groups(
	const struct in6_addr *address, unsigned count, unsigned *ret_inner)
{
	unsigned run = 0;

	*ret_inner = 0;
	for (unsigned i = 0; i < count; i++) {
		if (group_of(address, i) == 0) {
			run++;
			continue;
		}
		if (run > *ret_inner)
			*ret_inner = run;
		run = 0;
	}
	return run;
}

/* The keys of an IPv6 network of 1 to 7 groups for Postfix, which cuts the *compressed*
 * text: 2001:db8:1::77 becomes "2001:db8:1:", "2001:db8:1", ...
 *
 * The groups in full are what a client is cut to whose "::" stands further right, or who
 * has none.  A client whose "::" begins within the network's trailing zero groups is cut
 * to the groups before it and one ':'.  That text says "two zero groups or more", so it
 * belongs to this network only if the trailing zero groups are one or two.  A "::" in the
 * middle of the network ("2001::5") hides how many groups it stands for. */
static int format_postfix_groups(
	const struct in6_addr *address, unsigned count, struct keys *ret)
{
	unsigned inner, trailing = count_zero_groups(address, count, &inner);
	size_t length;

	if (inner >= 2 || trailing >= 3)
		return -EOPNOTSUPP;
	/* "100" would be 100.0.0.0/8 as well as 100::/16 */
	if (count == 1 && group_of(address, 0) <= 0x255)
		return -EOPNOTSUPP;
	print_groups(address, count, ret->key[0]);
	ret->count = 1;
	if (trailing == 0)
		return 0;
	print_groups(address, count - trailing, ret->key[1]);
	length = strlen(ret->key[1]);
	ret->key[1][length] = ':';
	ret->key[1][length + 1] = '\0';
	ret->count = 2;
	return 0;
}

/* The same function as below getnameinfo() in the same C library, hence the same text as
 * Postfix's, even where it is odd: glibc prints the obsolete v4-compatible addresses as
 * "::1.2.3.4", and so does the smtpd that asks.
 *
 * Known limit of indexed files: "2001:db8:1:2::5" is also what the client
 * 2001:db8:1:2::5:6 is cut to.  That stays within the /64 of the host unless the "::"
 * follows the very first group; such a host is not written. */
static int format_postfix_host(const struct in6_addr *address, struct keys *ret)
{
	const char *colon, *gap;

	if (!inet_ntop(AF_INET6, address, ret->key[0], sizeof(ret->key[0])))
		return -errno;
	colon = strchr(ret->key[0], ':');
	gap = strstr(ret->key[0], "::");
	if (gap && gap == colon && gap > ret->key[0] && gap[2] != '\0')
		return -EOPNOTSUPP;
	ret->count = 1;
	return 0;
}

/* prefix becomes the beginning of the one key that is there. */
static void prepend(struct keys *keys, const char *prefix)
{
	size_t length = strlen(prefix);

	memmove(keys->key[0] + length, keys->key[0], strlen(keys->key[0]) + 1);
	memcpy(keys->key[0], prefix, length);
}

/* Rules that hand the address of the client to a map as Sendmail has it, do it with the
 * mark; those of FEATURE(drac) with it first. */
static int format_drac_host(const struct in6_addr *address, struct keys *ret)
{
	struct keys postfix = {0};
	int r = format_postfix_host(address, &postfix);

	if (r < 0)
		return r;
	print_groups(address, GROUPS, ret->key[0]);
	ret->count = 1;
	prepend(ret, "ipv6:");
	memcpy(ret->key[ret->count++], postfix.key[0], KEY_SIZE);
	return 0;
}

static bool is_of_hosts(enum key_form form)
{
	return form == KEY_SENDMAIL || form == KEY_DRAC;
}

static struct in6_addr network_of(const struct in6_addr *address, unsigned prefix_length)
{
	struct in6_addr network = *address;

	for (unsigned i = 0; i < 128; i++)
		if (i >= prefix_length)
			network.s6_addr[i / 8] &= (uint8_t) ~(0x80U >> i % 8);
	return network;
}

/* Four hexadecimal digits a group. */
static void print_padded(const struct in6_addr *address, char text[KEY_SIZE])
{
	size_t length = 0;

	for (unsigned i = 0; i < GROUPS; i++)
		length += (size_t)snprintf(text + length, KEY_SIZE - length, "%s%04x",
			i == 0 ? "" : ".", group_of(address, i));
}

/* The address of the network and, unless it is a host, "/" and the length of the prefix
 * in its own family. */
static int format_masked(enum key_form form, const struct in6_addr *address,
	unsigned prefix_length, struct keys *ret)
{
	const bool v4 = IN6_IS_ADDR_V4MAPPED(address);
	struct in6_addr network = network_of(address, prefix_length);
	char *text = ret->key[0];
	size_t length;

	if (prefix_length == 0)
		return -EOPNOTSUPP;
	if (v4)
		print_octets(&network, 4, text);
	else if (form == KEY_EXIM)
		print_padded(&network, text);
	else if (!inet_ntop(AF_INET6, &network, text, KEY_SIZE))
		return -errno;
	ret->count = 1;
	length = strlen(text);
	if (prefix_length < 128)
		snprintf(text + length, KEY_SIZE - length, "/%u",
			v4 ? prefix_length - MAPPED_BITS : prefix_length);
	return 0;
}

static int format_v4(enum key_form form, const struct in6_addr *address,
	unsigned prefix_length, struct keys *ret)
{
	unsigned bits = prefix_length - MAPPED_BITS;

	if (bits % 8 != 0 || bits == 0 || (is_of_hosts(form) && bits != 32))
		return -EOPNOTSUPP;
	print_octets(address, bits / 8, ret->key[0]);
	ret->count = 1;
	if (form == KEY_ACCESS)
		prepend(ret, "connect:");
	return 0;
}

static int format_v6(enum key_form form, const struct in6_addr *address,
	unsigned prefix_length, struct keys *ret)
{
	if (prefix_length % GROUP_BITS != 0 || prefix_length == 0 ||
		(is_of_hosts(form) && prefix_length != 128))
		return -EOPNOTSUPP;
	if (form == KEY_DRAC)
		return format_drac_host(address, ret);
	if (form == KEY_POSTFIX && prefix_length == 128)
		return format_postfix_host(address, ret);
	if (form == KEY_POSTFIX)
		return format_postfix_groups(address, prefix_length / GROUP_BITS, ret);
	print_groups(address, prefix_length / GROUP_BITS, ret->key[0]);
	ret->count = 1;
	if (form == KEY_ACCESS)
		prepend(ret, "connect:ipv6:");
	return 0;
}

int key_format(enum key_form form, const struct in6_addr *address, unsigned prefix_length,
	struct keys *ret)
{
	struct keys keys = {0};
	int r;

	if (prefix_length > 128)
		return -EINVAL;
	if (IN6_IS_ADDR_V4MAPPED(address) && prefix_length <= MAPPED_BITS)
		r = -EOPNOTSUPP;
	else if (form == KEY_EXIM || form == KEY_PLAIN)
		r = format_masked(form, address, prefix_length, &keys);
	else if (IN6_IS_ADDR_V4MAPPED(address))
		r = format_v4(form, address, prefix_length, &keys);
	else
		r = format_v6(form, address, prefix_length, &keys);
	if (r == 0)
		*ret = keys;
	return r;
}
