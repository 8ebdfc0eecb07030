/* Addresses and prefixes of callers; IPv4 is kept v4-mapped, its lengths 96 more. */
#ifndef RPC_PREFIX_H
#define RPC_PREFIX_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct prefix {
	struct in6_addr ip;
	unsigned length;
};

/* Zero-initialised: empty.  Owns items. */
struct prefix_list {
	size_t count;
	struct prefix *items;
};

/* Parses a host or "10.0.0.0/8".  Returns 0, -EINVAL for what is none, -ERANGE for host
 * bits that are set. */
int prefix_parse(const char *text, struct prefix *ret)
	__attribute__((warn_unused_result));

/* "::/0" is all of IPv6 and not IPv4 in its mapped form as well. */
bool prefix_contains(const struct prefix *prefix, const struct in6_addr *address);

/* 0 or -ENOMEM. */
int prefix_list_add(struct prefix_list *list, const struct prefix *prefix)
	__attribute__((warn_unused_result));

bool prefix_list_contains(const struct prefix_list *list, const struct in6_addr *address);

void prefix_list_done(struct prefix_list *list);

struct in6_addr prefix_map_ipv4(struct in_addr address);

/* The address of an IPv4 or IPv6 socket address; of others the unspecified one. */
struct in6_addr prefix_of_sockaddr(const struct sockaddr *from);

bool prefix_is_loopback(const struct in6_addr *address);

#endif
