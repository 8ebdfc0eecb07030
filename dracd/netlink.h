/* Questions to the kernel's rtnetlink(7), answered at once. */
#ifndef DRACD_NETLINK_H
#define DRACD_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "dracd/address.h"
#include "dracd/prefix_set.h"

/* What stands behind the head of a message, and of an attribute: as NLMSG_DATA and
 * RTA_DATA, which make it writable. */
static inline const void *netlink_body(const struct nlmsghdr *message)
{
	return (const char *)message + NLMSG_HDRLEN;
}

static inline const void *netlink_data(const struct rtattr *attribute)
{
	return (const char *)attribute + RTA_LENGTH(0);
}

/* Takes one message of an answer into what is asked for.  0 or -ENOMEM. */
typedef int netlink_take(const struct nlmsghdr *message, struct prefix_set *ret);

/* All answers to RTM_GETADDR or RTM_GETROUTE in *ret, by a socket without groups, which
 * tells of the network that it was made in; with -1 by one of its own.  0 or a negative
 * errno (-EAFNOSUPPORT where a sandbox forbids it, -EAGAIN: it goes on changing); *ret is
 * to be done with either way.
 */
int netlink_ask(int netlink, int question, netlink_take *take, struct prefix_set *ret)
	__attribute__((warn_unused_result));

/* The attributes of a message behind its body, one after the other: the first after NULL,
 * and NULL after the last. */
const struct rtattr *netlink_attribute(
	const struct nlmsghdr *message, size_t body, const struct rtattr *after);

/* Adds the address that an attribute holds; none if it is not as long as one is. */
int netlink_add(const struct rtattr *attribute, int family, struct prefix_set *ret)
	__attribute__((warn_unused_result));

#endif
