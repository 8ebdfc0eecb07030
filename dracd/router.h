/* The default routers of this host, which never get a lease: logins that seem to come
 * from one were forwarded by it, from anywhere. */
#ifndef DRACD_ROUTER_H
#define DRACD_ROUTER_H

#include "dracd/netlink.h"

/* Reads the routers of all default routes into *ret, which is empty; as
 * own_address_read(). */
int router_read(int netlink, struct prefix_set *ret) __attribute__((warn_unused_result));

/* Those of one route, if it is a default one. */
int router_take(const struct nlmsghdr *message, struct prefix_set *ret)
	__attribute__((warn_unused_result));

#endif
