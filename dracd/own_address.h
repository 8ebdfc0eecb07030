/* The addresses of this host, which never get a lease. */
#ifndef DRACD_OWN_ADDRESS_H
#define DRACD_OWN_ADDRESS_H

#include "dracd/prefix_set.h"

/* Reads the addresses of all interfaces into *ret, which is empty: see netlink_ask(). */
int own_address_read(int netlink, struct prefix_set *ret)
	__attribute__((warn_unused_result));

#endif
