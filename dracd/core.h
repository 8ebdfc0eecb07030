/*
 * The core: what happens to a login, a question and an administrator's wish.
 *
 * It lives on the loop.  Endpoints decode bytes and call it; it judges by the rules,
 * hands what must be stored to the store, tells the publisher, and calls back when the
 * answer is true.  Every login, from whatever reporter, passes core_login().
 */
#ifndef DRACD_CORE_H
#define DRACD_CORE_H

#include <systemd/sd-event.h>

#include "dracd/config.h"
#include "dracd/guard.h"
#include "dracd/publish.h"
#include "dracd/stats.h"
#include "dracd/store.h"

/* What came of a request. */
struct outcome {
	int error;          /* negative errno: not stored; nothing below counts */
	enum reason reason; /* REASON_OK, or why a login got no lease */
	bool is_new;
	bool waited;   /* publication was asked for */
	bool in_force; /* of a revocation, also if error: it is refused from now on */
	unsigned maps_late; /* had not published within the time, or are in error */
	struct lease lease;
	struct table_ended ended;
	struct moment time; /* of the request */
};

/* Called once for each request: later than the call that made it, but where there is
 * nothing to wait for, or no memory, perhaps within it. */
typedef void core_done(const struct outcome *outcome, void *context);

enum {
	SHARED_MAX = 256
}; /* warnings of shared addresses kept for the status */

struct waiter;

/* How much of its max_rate a reporter has left, and what was refused of late. */
struct reporter_rate {
	char name[REPORTER_SIZE]; /* empty: a free place */
	uint64_t credit_usec;     /* what it may spend at once, at most a second */
	uint64_t counted_usec;    /* boot clock: when that was counted */
	uint64_t said_usec;       /* boot clock: when it was logged; 0: never */
	unsigned refused;         /* since then */
};

struct core {
	sd_event *event;
	struct config *config;
	struct blocks *blocks;
	struct prefix_set own, routers;
	int netlink; /* to read them by; -1: by a socket of its own.  Borrowed. */
	struct table *table;
	struct table_reader *reader;
	struct table_state state;
	struct store *store;
	struct publisher *publisher; /* NULL while stopping */
	struct stats stats;
	struct moment started;
	struct expiry ended;    /* ends up to this row are logged */
	uint64_t resume_ends;   /* boot clock: when to go on with that; 0: all are */
	uint64_t woken;         /* boot clock: when the maps were last told of ends */
	unsigned revoking;      /* users whose revocation is on its way to the table */
	uint64_t armed;         /* the time of timer; UINT64_MAX: off */
	unsigned keeping;       /* logins just committed that leave it as it is */
	unsigned storing;       /* logins that the store has */
	sd_event_source *timer; /* for the earliest end, of a lease or a block */
	sd_event_source *tidy;
	bool tidies_on;           /* there is more to delete than one commit may */
	sd_event_source *waiting; /* for the earliest budget of a waiter */
	struct waiter *waiters;
	struct prefix_set shared; /* leases with more users than warn_users_per_address */
	uint64_t shared_sought_boot_usec; /* when room for more was looked for */
	void (*ready)(
		struct core *core); /* once all maps have been published, or tried */
	/* in core_set_config(), and whenever a map that is gone has been withdrawn */
	void (*left)(struct core *core);
	void *daemon;                              /* of the caller, for these two */
	struct reporter_rate rates[REPORTERS_MAX]; /* of reporters that have a max_rate */
	bool is_ready;
	size_t leaving;      /* maps that are still to be withdrawn */
	bool has_failed;     /* the table; dracd is ending */
	bool blocks_unsaved; /* they are in force, but the file could not be written */
	bool own_is_unknown; /* own or routers could not be read the last time */
};

/* Starts the store and the publisher on what was loaded: config, blocks and own are set,
 * table and its state too.  0 or a negative errno. */
int core_start(struct core *core, int directory, const uint8_t boot_id[16])
	__attribute__((warn_unused_result));

/* Drops from shared what is over, or has not so many users any more. */
void core_forget_unshared(struct core *core);

/* From now on ready() is called when it is time: at once, if there is no map. */
void core_await_maps(struct core *core);

/* Withdraws the maps, stops the threads and releases all that core holds.  True if every
 * map is withdrawn. */
bool core_stop(struct core *core);

/* Reads the addresses of this host, and its routers, again; on an error the old ones
 * stay. */
int core_refresh_own(struct core *core);

struct rules core_rules(const struct core *core);

/* How a login is answered. */
struct login_reply {
	core_done *done;
	/* NULL, or what may be called before done(), on the store's thread, as soon as
	 * the lease is stored. */
	core_done *early;
	void *context;
};

void core_login(struct core *core, const struct login *login, bool by_admin,
	const struct login_reply *reply);

/* True if no login is being stored, so that early() of one is worth being prepared for.
 */
bool core_is_idle(const struct core *core);

/* Ends leases and keeps them out for hold_usec (0: not at all).  block says whom. */
void core_revoke(struct core *core, const struct block *block, uint64_t hold_usec,
	uint64_t wait_usec, core_done *done, void *context);

/* Lets a blocked address or user in again.  -ENOENT if there is no such block. */
int core_unblock(struct core *core, const struct block *block, core_done *done,
	void *context) __attribute__((warn_unused_result));

void core_flush(struct core *core, uint64_t wait_usec, core_done *done, void *context);

/* From now on under this configuration (a reference is taken).  0, or -ENOMEM and nothing
 * is changed. */
int core_set_config(struct core *core, struct config *config)
	__attribute__((warn_unused_result));

/* Calls done() when all maps are as they should be now, those withdrawn that are gone,
 * and after wait_usec at the latest. */
void core_settle(struct core *core, uint64_t wait_usec, core_done *done, void *context);

struct map_question {
	const char *name; /* NULL: all maps */
	unsigned why;     /* as in map_worker.h */
	uint64_t wait_usec;
};

/* Calls done() when the maps have done what is asked, or tried to, and at the latest
 * after wait_usec: maps_late have not.  -ENOENT (no such map), -ENOMEM: done() is not
 * called. */
int core_ask_maps(struct core *core, const struct map_question *question, core_done *done,
	void *context) __attribute__((warn_unused_result));

/* May address relay now?  The lease found, if any, is in *ret_lease (its deadline 0:
 * none). REASON_OK or why not, or a negative errno. */
int core_find(struct core *core, const struct address *address, struct moment now,
	struct lease *ret_lease) __attribute__((warn_unused_result));

/* The same as a lookup with this view sees it.  A lease that it does not see by its
 * services hides none around it. */
int core_find_in_view(struct core *core, const struct view *view,
	const struct address *address, struct moment now)
	__attribute__((warn_unused_result));

/* The same for an MTA, whose lookup has this view: counted, and "no" in observe mode.  1,
 * 0 or a negative errno. */
int core_ask(struct core *core, const struct view *view, const struct address *address)
	__attribute__((warn_unused_result));

/* The user of the latest login of a lease; empty if unknown. */
void core_lease_user(struct core *core, const struct lease *lease, char ret[USER_SIZE]);

/* Live leases per family, without those that are over and not yet deleted.  There may be
 * as many of these as leases, so they are counted in steps between which the loop has its
 * turn; as of now. */
struct lease_count {
	uint64_t ipv4, ipv6; /* the result, after the last step */
	uint64_t boot_usec;
	struct expiry last;
};

void core_count_begin(
	const struct core *core, struct moment now, struct lease_count *ret);

/* True if it was the last step. */
bool core_count_step(struct core *core, struct lease_count *count)
	__attribute__((warn_unused_result));

#endif
