/*
 * An address or network prefix: the one address type of the daemon.
 *
 * IPv4 is kept in its v4-mapped form (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so a
 * v4-mapped IPv6 address *is* its IPv4 address.  The prefix length counts in the 128
 * bits: a single host is 128 in either family, an IPv4 /24 is 120.  Bits after it are
 * zero.
 */
#ifndef DRACD_ADDRESS_H
#define DRACD_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct address {
	struct in6_addr ip;
	uint8_t length;
};

enum {
	ADDRESS_TEXT_SIZE = INET6_ADDRSTRLEN + 4
};

/* Parse a host ("203.0.113.9", "2001:db8::7"), or a host or prefix ("10.0.0.0/8").
 * Strict: what inet_pton(3) takes, so no shortened or octal IPv4, no scope, no brackets.
 * Return 0, -EINVAL for malformed text, -ERANGE for a prefix with host bits set. */
int address_parse(const char *text, struct address *ret)
	__attribute__((warn_unused_result));
int address_parse_prefix(const char *text, struct address *ret)
	__attribute__((warn_unused_result));

/* Writes at most ADDRESS_TEXT_SIZE octets, a host without its length; returns text. */
const char *address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

bool address_is_ipv4(const struct address *address);

bool address_is_host(const struct address *address);

/* The network of the given length (0 to 128) around address. */
struct address address_network(const struct address *address, unsigned length);

/* True if inner lies within outer, or is it. */
bool address_contains(const struct address *outer, const struct address *inner);

/* Orders by octets, then length; for qsort(3) and bsearch(3) by a wrapper. */
int address_compare(const struct address *a, const struct address *b);

/* Of a set of prefix lengths (bit n of the three words: n is in it) the longest that is
 * at most length; -1 if there is none. */
int address_length_within(const uint64_t lengths[3], int length);

#endif
