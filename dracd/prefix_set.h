/*
 * A set of network prefixes: every list of networks in the daemon (deny, never_lease,
 * lease_networks, own addresses, blocks) is one of these.
 *
 * Sorted array; a question costs one binary search for each different prefix length.
 */
#ifndef DRACD_PREFIX_SET_H
#define DRACD_PREFIX_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dracd/address.h"

/* Zero-initialised: empty.  Owns items. */
struct prefix_set {
	struct address *items;
	size_t count;
	uint64_t lengths[3]; /* bit n: some item has prefix length n */
};

/* 0 or -ENOMEM.  Adding what is there already changes nothing. */
int prefix_set_add(struct prefix_set *set, const struct address *prefix)
	__attribute__((warn_unused_result));

void prefix_set_done(struct prefix_set *set);

/* The longest item that contains address (a host or a prefix); NULL if none does. */
const struct address *prefix_set_find(
	const struct prefix_set *set, const struct address *address);

/* True if any item lies within prefix, or contains it. */
bool prefix_set_overlaps(const struct prefix_set *set, const struct address *prefix);

bool prefix_set_equal(const struct prefix_set *a, const struct prefix_set *b);

#endif
