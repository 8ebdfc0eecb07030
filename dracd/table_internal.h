/* What the files of the table share; for nobody else. */
#ifndef DRACD_TABLE_INTERNAL_H
#define DRACD_TABLE_INTERNAL_H

#include <endian.h>
#include <lmdb.h>
#include <string.h>

#include "dracd/table.h"

enum {
	USER_KEY_SIZE = 8 + LEASE_KEY_SIZE,
	EXPIRY_KEY_SIZE = 8 + LEASE_KEY_SIZE,
};

/* The row "state". */
struct meta {
	uint8_t boot_id[16];
	struct moment heartbeat; /* of the last commit */
	uint64_t sequence;
	uint64_t feed_tail; /* changes up to here are not in the feed */
};

struct table {
	MDB_env *env;
	MDB_dbi main, leases, users, expiry, changes;
	struct table_settings settings;
	MDB_txn *txn; /* of the writer */
	struct moment now;
	struct meta saved, current;
	struct table_state saved_state, state;
	off_t room_end; /* the file is known to be so long; see table_make_room() */
};

struct table_reader {
	struct table *table;
	MDB_txn *txn;
};

static inline uint64_t table_get_be64(const uint8_t *from)
{
	uint64_t number;

	memcpy(&number, from, 8);
	return be64toh(number);
}

static inline void table_put_be64(uint8_t *to, uint64_t number)
{
	number = htobe64(number);
	memcpy(to, &number, 8);
}

static inline MDB_val table_value(const void *data, size_t size)
{
	return (MDB_val){.mv_size = size, .mv_data = (void *)(uintptr_t)data};
}

/* LMDB's result as ours: 0, TABLE_NOT_FOUND or a negative errno. */
int table_result(int mdb_result);

int table_open_env(const struct table_settings *settings, bool read_only, MDB_env **ret)
	__attribute__((warn_unused_result));
int table_open_databases(struct table *table, MDB_txn *txn, bool create)
	__attribute__((warn_unused_result));

int table_read_meta(struct table *table, MDB_txn *txn, struct meta *ret)
	__attribute__((warn_unused_result));
int table_write_meta(struct table *table) __attribute__((warn_unused_result));

/* Decode rows as LMDB gave them: 0 or -EUCLEAN. */
int table_decode_lease(const MDB_val *key, const MDB_val *value, struct lease *ret)
	__attribute__((warn_unused_result));
int table_decode_expiry(const MDB_val *key, struct expiry *ret)
	__attribute__((warn_unused_result));

void table_encode_expiry(const struct expiry *row, uint8_t ret[EXPIRY_KEY_SIZE]);
void table_encode_user(
	uint64_t hash, const struct address *key, uint8_t ret[USER_KEY_SIZE]);

/* Counts a row in or out. */
void table_count(struct table *table, const struct lease *lease, int difference);

/* ---- table_reporter.c ---- */

/* The same, of its reporter. */
void table_count_reporter(
	struct table_state *state, const char *reporter, int difference);

/* ---- of table_write.c, inside the writer's transaction ---- */

/* Put and drop (which need not be there) a row of any database. */
int table_put(struct table *table, MDB_dbi dbi, const void *key, size_t key_size,
	const void *data, size_t size) __attribute__((warn_unused_result));
int table_drop(struct table *table, MDB_dbi dbi, const void *key, size_t key_size)
	__attribute__((warn_unused_result));

int table_read_row(struct table *table, const struct address *key, struct lease *ret)
	__attribute__((warn_unused_result));

/* Writes lease in the place of old (NULL: there was none): row, index and count. */
int table_put_row(struct table *table, const struct lease *lease, const struct lease *old)
	__attribute__((warn_unused_result));

/* Does a map still have to hear of it? */
enum feed {
	TELL_FEED,
	FEED_KNOWS
};

int table_drop_row(struct table *table, const struct lease *lease, enum feed feed)
	__attribute__((warn_unused_result));
int table_drop_share(struct table *table, const struct address *lease, uint64_t hash)
	__attribute__((warn_unused_result));

/* Lease keys collected in one walk and worked on after it, as a cursor must not be used
 * across deletions by others. */
struct key_list {
	struct address *items;
	size_t count, room;
};

void key_list_done(struct key_list *list);
int key_list_add(struct key_list *list, const struct address *key)
	__attribute__((warn_unused_result));

/* Ends the leases of the list; counts those that were not over. */
int table_drop_listed(struct table *table, const struct key_list *list, enum feed feed,
	struct table_ended *ret) __attribute__((warn_unused_result));

/* Ends up to limit leases that were over by boot_usec. */
int table_drop_over(struct table *table, uint64_t boot_usec, unsigned limit,
	enum feed feed, unsigned *ret_count) __attribute__((warn_unused_result));

/* Carries all leases over to the boot of settings, or drops them. */
int table_rebase(struct table *table, struct moment now, uint64_t *ret_dropped)
	__attribute__((warn_unused_result));

/* The share that a lease has at this index: one that is not there is -EUCLEAN. */
int table_read_kept_share(struct table_reader *reader, const struct lease *lease,
	unsigned index, struct share *ret) __attribute__((warn_unused_result));

#endif
