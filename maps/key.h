/*
 * How an address is written as a map key for one MTA: the only place that knows it.
 *
 * Addresses are struct in6_addr, an IPv4 address in its v4-mapped form (::ffff:a.b.c.d);
 * prefix lengths count in those 128 bits, so that a single host, of either family, is
 * 128, and an IPv4 /24 is 120.
 */
#ifndef MAPS_KEY_H
#define MAPS_KEY_H

#include <netinet/in.h>

enum key_form {
	KEY_POSTFIX,  /* check_client_access in an indexed file: 2001:db8:1::77 */
	KEY_SENDMAIL, /* FEATURE(drac): 2001:db8:1:0:0:0:0:77; hosts only */
	KEY_ACCESS,   /* access_db: connect:ipv6:2001:db8:1:0:0:0:0:77 */
	KEY_EXIM,     /* net-dbm and the like: 2001.0db8.0001.0000.0000.0000.0000.0077;
			 net64-dbm: 2001.0db8.0001.0000.0000.0000.0000.0000/64 */
	KEY_PLAIN,    /* what is parsed, not compared: 2001:db8:1::77, 2001:db8:1::/64 */
	KEY_DRAC, /* DRAC's own file, which Sendmail asks by rules of the site and Postfix
		     by check_client_access: ipv6:2001:db8:1:0:0:0:0:77 and
		     2001:db8:1::77; hosts only */
	KEY_FORM_COUNT,
};

enum {
	KEYS_MAX = 2,  /* a Postfix /64 can need two keys, and two MTAs do */
	KEY_SIZE = 64, /* of one key with its NUL */
};

struct keys {
	unsigned count;
	char key[KEYS_MAX][KEY_SIZE];
};

int key_form_parse(const char *text, enum key_form *ret)
	__attribute__((warn_unused_result));
const char *key_form_name(enum key_form form);

/* The value that permits relaying in a map of this form ("OK", "RELAY"). */
const char *key_form_value(enum key_form form);

/* All keys under which the MTA must find the prefix.  -EOPNOTSUPP if this form cannot
 * express it: FEATURE(drac) finds exact addresses only; Postfix and access_db know
 * nothing but /8, /16, /24 of IPv4 and multiples of 16 of IPv6; a Postfix key of an IPv6
 * network is ambiguous if two zero groups stand inside it or three at its end, and that
 * of a host if its "::" follows the first group.  Lower case, as the MTAs look up. */
int key_format(enum key_form form, const struct in6_addr *address, unsigned prefix_length,
	struct keys *ret) __attribute__((warn_unused_result));

#endif
