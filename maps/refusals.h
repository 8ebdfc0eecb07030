/*
 * The part of an access file that answers access_refuses(): see maps/access.h.
 */
#ifndef MAPS_REFUSALS_H
#define MAPS_REFUSALS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "maps/access.h"

/* The networks that some row of an access file refuses. */
struct refusals;

int refusals_new(const struct access *access, struct refusals **ret)
	__attribute__((warn_unused_result));

/* NULL is a no-op.  Returns NULL. */
struct refusals *refusals_free(struct refusals *refusals);

/* refusals must have been made of access. */
bool refusals_match(const struct refusals *refusals, const struct access *access,
	const struct in6_addr *address, unsigned prefix_length);

#endif
