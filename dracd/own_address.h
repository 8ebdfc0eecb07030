/* The addresses of this host, which never get a lease. */
#ifndef DRACD_OWN_ADDRESS_H
#define DRACD_OWN_ADDRESS_H

#include "dracd/prefix_set.h"

/* Reads the addresses of all interfaces into *ret, which is empty.  Returns 0 or a
 * negative errno (-EAFNOSUPPORT where a sandbox forbids it). */
int own_address_read(struct prefix_set *ret) __attribute__((warn_unused_result));

#endif
