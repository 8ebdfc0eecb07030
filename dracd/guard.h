/*
 * The rules: may this address have a lease, and may this address relay now.
 *
 * Pure functions of what they are given; no clock, file, socket or table.  Every login
 * passes guard_judge() and every question of an MTA, every map row and every "dracctl
 * check" passes guard_admit(), so the product can be read here.
 */
#ifndef DRACD_GUARD_H
#define DRACD_GUARD_H

#include "dracd/block.h"
#include "dracd/clock.h"
#include "dracd/config.h"
#include "dracd/lease.h"
#include "dracd/login.h"

enum reason {
	REASON_OK,
	/* never to be opened */
	REASON_UNSPECIFIED,
	REASON_MULTICAST,
	REASON_BROADCAST,
	REASON_LINK_LOCAL,
	REASON_OWN_ADDRESS,
	REASON_ROUTER,
	REASON_CLIENT_IS_LOCAL,
	/* opened only by lease_special */
	REASON_LOOPBACK,
	REASON_PRIVATE,
	REASON_SHARED,
	REASON_DOCUMENTATION,
	REASON_RESERVED,
	/* by configuration or revocation */
	REASON_NEVER_LEASE,
	REASON_DENIED,
	REASON_REVOKED,
	REASON_NOT_IN_NETWORKS,
	REASON_SERVICE,
	REASON_USER_NEVER,
	REASON_USER_REVOKED,
	/* by the table */
	REASON_MAX_LEASES,
	REASON_MAX_LEASES_PER_USER,
	REASON_MAX_LEASES_PER_REPORTER,
	/* by the clock */
	REASON_MAX_RATE,
	/* of a question only */
	REASON_NO_LEASE,
	REASON_COUNT,
};

/* The word of a reason in protocol and log ("private"). */
const char *reason_name(enum reason reason);

/* The option that would permit it ("lease_special"), or NULL. */
const char *reason_hint(enum reason reason);

/* All that is judged by.  Borrowed. */
struct rules {
	const struct config *config;
	const struct blocks *blocks;
	const struct prefix_set *own;     /* addresses of this host; NULL: none known */
	const struct prefix_set *routers; /* its default routers, likewise */
};

/* Judges a login at now.  REASON_OK: *ret_key is the address or prefix of its lease and
 * *ret_usec how long the lease lasts.  With by_admin (dracctl add) services,
 * lease_networks and lease_time_max do not bind. */
enum reason guard_judge(const struct rules *rules, const struct login *login,
	bool by_admin, struct moment now, struct address *ret_key, uint64_t *ret_usec);

/* Admission: may address (a host, or the prefix of a map's row) relay at now, given the
 * row found for it in the table, NULL if there is none?  REASON_OK or why not. */
enum reason guard_admit(const struct rules *rules, const struct address *address,
	const struct lease *lease, struct moment now);

/* The same as a lookup with this view sees it: never more than guard_admit() permits.
 * REASON_SERVICE: this lease has no login in force by any of its services; a shorter
 * prefix that contains address may have one. */
enum reason guard_admit_view(const struct rules *rules, const struct view *view,
	const struct address *address, const struct lease *lease, struct moment now);

#endif
