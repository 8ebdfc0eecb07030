/*
 * The table: all leases, in one LMDB environment that dracd alone opens.
 *
 *   leases   lease key (address, prefix length)   lease record
 *   users    user hash + lease key                share record
 *   expiry   deadline (boot clock) + lease key    empty: the first row is the next end
 *   changes  sequence number                      lease key: what maps must still apply
 *   (none)   "state"                              format, boot, heartbeat, sequence
 *
 * All numbers in keys are big-endian.  One thread (the store) writes, in transactions
 * that it begins and ends; any thread reads through a reader of its own, whose snapshot
 * is held for one task only.  "Not found" (TABLE_NOT_FOUND) is an outcome; a negative
 * errno is an error: -EUCLEAN, the environment is damaged; -ENOSPC and -EIO, the disk.
 * Nothing here logs or reads a clock.
 */
#ifndef DRACD_TABLE_H
#define DRACD_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dracd/clock.h"
#include "dracd/config.h"
#include "dracd/lease.h"
#include "dracd/login.h"

enum {
	TABLE_NOT_FOUND = 1,
	TABLE_FULL,          /* max_leases */
	TABLE_USER_FULL,     /* max_leases_per_user */
	TABLE_REPORTER_FULL, /* max_leases of a reporter */
};

struct table_state;

struct table_settings {
	const char *directory; /* of the environment: made if it is not there, 0700 */
	enum durability durability;
	unsigned max_leases;
	unsigned max_readers;
	uint8_t boot_id[16];
	bool feed_changes; /* false: no map is configured, so nobody reads the feed */
	bool feed_users;   /* also when another user joins or leaves a lease */
};

/* What the loop may know of the table without reading it; after each commit. */
struct table_state {
	uint64_t sequence; /* of the latest change */
	uint64_t ipv4,
		ipv6; /* rows, of leases that are over but not yet deleted as well */
	uint64_t lengths[3]; /* bit n: there are leases with prefix length n */

	/* Whose latest login came by whom; rows as above. */
	struct reporter_leases {
		char name[REPORTER_SIZE];
		unsigned leases; /* 0: the place is free */
	} reporters[REPORTERS_MAX];
};

struct table;
struct table_reader;

/* ---- life ----------------------------------------------------------------------------
 */

/* Opens the environment; an empty one is set up.  counted is what table_check() has found
 * just before, or NULL: then all rows are counted.  On another boot than the last the
 * leases are carried over (*ret_dropped of them ended with the reboot), or all dropped if
 * the wall clock is not credible.  -EUCLEAN as above, also for a format this version does
 * not know. */
int table_open(const struct table_settings *settings, const struct table_state *counted,
	struct moment now, struct table **ret, uint64_t *ret_dropped)
	__attribute__((warn_unused_result));

/* Reads everything in a child process with a time limit, before table_open() and before
 * any thread: 0 if it is sound, and what it has counted; -EUCLEAN if not, or if the child
 * died of it; another negative errno if that cannot be told, as it could not be read. */
int table_check(const struct table_settings *settings, unsigned timeout_sec,
	struct table_state *ret) __attribute__((warn_unused_result));

/* Syncs and closes.  Whatever the result, which is that of the sync, the table is gone.
 */
int table_close(struct table *table);

const struct table_state *table_get_state(const struct table *table);

/* ---- writing: the store thread only ---------------------------------------------------
 */

int table_begin(struct table *table, struct moment now)
	__attribute__((warn_unused_result));
/* With sync the commit reaches the disk whatever the durability. */
int table_commit(struct table *table, bool sync) __attribute__((warn_unused_result));
void table_abort(struct table *table);

/* Makes the file longer, if it soon has to be, so that the next commits need not; for
 * after a commit, when nobody waits for it.  That it cannot is no error. */
void table_make_room(struct table *table);

struct table_grant {
	bool is_new;                     /* the set of admitted addresses has grown */
	uint64_t old_deadline_boot_usec; /* of the lease that was renewed */
	struct lease lease;
};

/* Grants or renews the lease of key.  TABLE_FULL, TABLE_USER_FULL. */
int table_login(struct table *table, const struct address *key, const struct login *login,
	uint64_t usec, struct moment login_time, unsigned max_per_user,
	struct table_grant *ret) __attribute__((warn_unused_result));

/* Is there room for a lease of key that is the reporter's, who has max at most?  One that
 * is his already takes none; and those of others he does not renew.  0 or
 * TABLE_REPORTER_FULL. */
int table_check_reporter(struct table *table, const struct address *key,
	const struct login *login, unsigned max) __attribute__((warn_unused_result));

/* Rows whose latest login the reporter has reported. */
unsigned table_leases_of(const struct table_state *state, const char *reporter);

/* Extends the lease of key and the user's share in it, if both are live at renewal_time;
 * else TABLE_NOT_FOUND.  Of his logins those by its service last longer, if there are any
 * in force; of the login's record nothing else changes. */
int table_renew(struct table *table, const struct address *key, const struct login *login,
	uint64_t usec, struct moment renewal_time, struct table_grant *ret)
	__attribute__((warn_unused_result));

/* From now on as if settings.feed_changes had been true; what was before is not fed. */
void table_feed_changes(struct table *table);

/* As settings.feed_users, from now on. */
void table_feed_users(struct table *table, bool feed);

/* Tells the feed that a map has to look at key again. */
int table_touch(struct table *table, const struct address *key)
	__attribute__((warn_unused_result));

struct table_ended {
	uint64_t leases;
	uint64_t users;
};

/* Ends every lease that lies within prefix or contains it. */
int table_end_prefix(struct table *table, const struct address *prefix,
	struct table_ended *ret) __attribute__((warn_unused_result));

/* Removes the user from his leases; those he alone held end. */
int table_end_user(struct table *table, const char *user, struct table_ended *ret)
	__attribute__((warn_unused_result));

int table_end_all(struct table *table, struct table_ended *ret)
	__attribute__((warn_unused_result));

/* Ends the leases that keep() does not want. */
int table_end_unless(struct table *table,
	bool (*keep)(const struct lease *lease, void *context), void *context,
	struct table_ended *ret) __attribute__((warn_unused_result));

/* Deletes rows whose deadline lies at or before boot_usec, at most limit.  Housekeeping:
 * to be called for deadlines that every map has published, so it tells the feed nothing.
 */
int table_delete_over(struct table *table, uint64_t boot_usec, unsigned limit,
	unsigned *ret_count) __attribute__((warn_unused_result));

/* Drops the feed up to sequence, which all maps have applied. */
int table_trim(struct table *table, uint64_t sequence)
	__attribute__((warn_unused_result));

/* ---- reading ---- */

int table_reader_open(struct table *table, struct table_reader **ret)
	__attribute__((warn_unused_result));
/* NULL is a no-op.  Returns NULL. */
struct table_reader *table_reader_close(struct table_reader *reader);

/* Take and drop a snapshot; everything below reads in it. */
int table_reader_begin(struct table_reader *reader) __attribute__((warn_unused_result));
void table_reader_end(struct table_reader *reader);

/* The lease with the longest prefix that contains address, of those that last beyond
 * boot_usec; lengths as in table_state. */
int table_find(struct table_reader *reader, const struct address *address,
	const uint64_t lengths[3], uint64_t boot_usec, struct lease *ret)
	__attribute__((warn_unused_result));

/* The lease of exactly this key; a share of it. */
int table_read_lease(struct table_reader *reader, const struct address *key,
	struct lease *ret) __attribute__((warn_unused_result));
int table_read_share(struct table_reader *reader, const struct address *key,
	uint64_t hash, struct share *ret) __attribute__((warn_unused_result));

/* A row of the expiry index. */
struct expiry {
	uint64_t deadline_boot_usec;
	struct address key;
};

/* The first row after *after (all zero: the very first). */
int table_next_expiry(struct table_reader *reader, const struct expiry *after,
	struct expiry *ret) __attribute__((warn_unused_result));

/* Call visit for each row until it returns nonzero, which is then returned: of the expiry
 * index after *after, of the leases in the order of their keys (from *first on), of the
 * shares, of the feed after sequence. */
int table_each_expiry(struct table_reader *reader, const struct expiry *after,
	int (*visit)(const struct expiry *row, void *context), void *context)
	__attribute__((warn_unused_result));
int table_each_lease(struct table_reader *reader,
	int (*visit)(const struct lease *lease, void *context), void *context)
	__attribute__((warn_unused_result));
int table_each_lease_from(struct table_reader *reader, const struct address *first,
	int (*visit)(const struct lease *lease, void *context), void *context)
	__attribute__((warn_unused_result));
int table_each_share(struct table_reader *reader,
	int (*visit)(uint64_t hash, const struct address *lease,
		const struct share *share, void *context),
	void *context) __attribute__((warn_unused_result));
int table_each_change(struct table_reader *reader, uint64_t sequence,
	int (*visit)(const struct address *key, void *context), void *context)
	__attribute__((warn_unused_result));

/* The sequence of the snapshot; *ret_tail: the feed holds the changes after it. */
int table_read_position(struct table_reader *reader, uint64_t *ret_sequence,
	uint64_t *ret_tail) __attribute__((warn_unused_result));

#endif
