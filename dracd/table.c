/*
 * The table: environment, transactions, reading.
 *
 * LMDB is used in the plainest way it has (no WRITEMAP, no DUPSORT, no nested
 * transaction): with fsync per commit neither a crash of ours nor of the machine can
 * damage it, and a full disk is an error of one commit instead of a signal.
 */
#include "dracd/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dracd/cleanup.h"
#include "dracd/table_internal.h"

enum {
	FORMAT_VERSION = 4,
	FORMAT_SIZE = 1 + 16 + 4 * 8
};

/* Virtual space per lease: many times what a lease with all its users takes, so that a
 * limit of the configuration is met long before the map is full.  It costs nothing. */
#define MAP_BYTES_PER_LEASE UINT64_C(16384)
#define MAP_BYTES_AT_LEAST (UINT64_C(256) << 20)

int table_result(int mdb_result)
{
	switch (mdb_result) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return TABLE_NOT_FOUND;
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_READERS_FULL:
	case MDB_TXN_FULL:
		return -EIO;
	default:
		/* Above zero stands an errno.  LMDB's other codes do not come of a sound
		 * table: which one a damaged page gives depends on the page, and is
		 * MDB_BAD_TXN as often as MDB_CORRUPTED. */
		return mdb_result > 0 ? -mdb_result : -EUCLEAN;
	}
}

/* ---- life ---- */

int table_open_env(const struct table_settings *settings, bool read_only, MDB_env **ret)
{
	static const unsigned sync_flags[] = {
		[DURABILITY_FULL] = 0,
		[DURABILITY_BATCH] = MDB_NOMETASYNC,
		[DURABILITY_PROCESS] = MDB_NOSYNC,
	};
	uint64_t size = MAP_BYTES_AT_LEAST + settings->max_leases * MAP_BYTES_PER_LEASE;
	unsigned flags = MDB_NOTLS | sync_flags[settings->durability];
	MDB_env *env = NULL;
	int r;

	r = mdb_env_create(&env);
	if (r == 0)
		r = mdb_env_set_maxdbs(env, 8);
	if (r == 0)
		r = mdb_env_set_maxreaders(env, settings->max_readers);
	if (r == 0)
		r = mdb_env_set_mapsize(env, size);
	if (r == 0)
		r = mdb_env_open(env, settings->directory,
			read_only ? MDB_NOTLS | MDB_RDONLY : flags, 0600);
	if (r != 0) {
		mdb_env_close(env);
		return r == MDB_NOTFOUND ? -ENOENT : table_result(r);
	}
	*ret = env;
	return 0;
}

int table_open_databases(struct table *table, MDB_txn *txn, bool create)
{
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} databases[] = {
		{"leases", &table->leases},
		{"users", &table->users},
		{"expiry", &table->expiry},
		{"changes", &table->changes},
	};

	/* the unnamed one, which every commit writes anyway: it lists the others */
	int r = table_result(mdb_dbi_open(txn, NULL, 0, &table->main));

	for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]) && r == 0; i++)
		r = table_result(mdb_dbi_open(txn, databases[i].name,
			create ? MDB_CREATE : 0, databases[i].dbi));
	return r;
}

int table_read_meta(struct table *table, MDB_txn *txn, struct meta *ret)
{
	MDB_val key = table_value("state", 5), value;
	const uint8_t *at;
	int r = table_result(mdb_get(txn, table->main, &key, &value));

	if (r != 0)
		return r;
	at = value.mv_data;
	if (value.mv_size != FORMAT_SIZE || at[0] != FORMAT_VERSION)
		return -EUCLEAN;
	memcpy(ret->boot_id, at + 1, 16);
	ret->heartbeat.wall_usec = table_get_be64(at + 17);
	ret->heartbeat.boot_usec = table_get_be64(at + 25);
	ret->sequence = table_get_be64(at + 33);
	ret->feed_tail = table_get_be64(at + 41);
	return 0;
}

int table_write_meta(struct table *table)
{
	const struct meta *meta = &table->current;
	MDB_val key = table_value("state", 5), value;
	uint8_t record[FORMAT_SIZE] = {FORMAT_VERSION};

	memcpy(record + 1, meta->boot_id, 16);
	table_put_be64(record + 17, meta->heartbeat.wall_usec);
	table_put_be64(record + 25, meta->heartbeat.boot_usec);
	table_put_be64(record + 33, meta->sequence);
	table_put_be64(record + 41, meta->feed_tail);
	value = table_value(record, sizeof(record));
	return table_result(mdb_put(table->txn, table->main, &key, &value, 0));
}

void table_count(struct table *table, const struct lease *lease, int difference)
{
	const struct address *key = &lease->address;
	uint64_t *count = address_is_ipv4(key) ? &table->state.ipv4 : &table->state.ipv6;

	*count += (uint64_t)(int64_t)difference;
	if (difference > 0)
		table->state.lengths[key->length / 64] |= UINT64_C(1)
							  << (key->length % 64);
	table_count_reporter(&table->state, lease->reporter, difference);
}

static int count_row(const struct lease *lease, void *context)
{
	table_count(context, lease, 1);
	return 0;
}

/* Not of all rows again if the check has just done so. */
static int count_rows(struct table *table, const struct table_state *counted)
{
	struct table_reader reader = {.table = table, .txn = table->txn};

	if (!counted)
		return table_each_lease(&reader, count_row, table);
	table->state.ipv4 = counted->ipv4;
	table->state.ipv6 = counted->ipv6;
	memcpy(table->state.lengths, counted->lengths, sizeof(counted->lengths));
	memcpy(table->state.reporters, counted->reporters, sizeof(counted->reporters));
	return 0;
}

/* A new table, or one of another format, which has its state elsewhere. */
static int start_state(struct table *table)
{
	MDB_stat leases;
	int r = table_result(mdb_stat(table->txn, table->leases, &leases));

	if (r == 0 && leases.ms_entries > 0)
		r = -EUCLEAN;
	memcpy(table->current.boot_id, table->settings.boot_id, 16);
	return r;
}

/* In the first transaction: set up or read the state, and carry it into this boot. */
static int start_table(struct table *table, const struct table_state *counted,
	struct moment now, uint64_t *ret_dropped)
{
	int r;

	r = table_open_databases(table, table->txn, true);
	if (r == 0)
		r = table_read_meta(table, table->txn, &table->current);
	if (r == TABLE_NOT_FOUND)
		r = start_state(table);
	if (r == 0 && memcmp(table->current.boot_id, table->settings.boot_id, 16) != 0) {
		r = table_rebase(table, now, ret_dropped);
		counted = NULL;
	}
	if (r == 0)
		r = count_rows(table, counted);
	if (r == 0)
		r = table_commit(table, true);
	return r;
}

int table_open(const struct table_settings *settings, const struct table_state *counted,
	struct moment now, struct table **ret, uint64_t *ret_dropped)
{
	struct table *table;
	int r, dead;

	*ret_dropped = 0;
	if (mkdir(settings->directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->settings = *settings;
	r = table_open_env(settings, false, &table->env);
	if (r < 0) {
		free(table);
		return r;
	}
	(void)mdb_reader_check(table->env, &dead);
	r = table_begin(table, now);
	if (r == 0)
		r = start_table(table, counted, now, ret_dropped);
	if (r != 0) {
		(void)table_close(table);
		return r < 0 ? r : -EUCLEAN;
	}
	*ret = table;
	return 0;
}

int table_close(struct table *table)
{
	int r;

	table_abort(table);
	r = table_result(mdb_env_sync(table->env, 1));
	mdb_env_close(table->env);
	free(table);
	return r;
}

const struct table_state *table_get_state(const struct table *table)
{
	return &table->saved_state;
}

/* ---- transactions of the writer ---- */

int table_begin(struct table *table, struct moment now)
{
	int r = table_result(mdb_txn_begin(table->env, NULL, 0, &table->txn));

	table->now = now;
	table->current = table->saved;
	table->state = table->saved_state;
	return r;
}

int table_commit(struct table *table, bool sync)
{
	int r;

	table->current.heartbeat = table->now;
	r = table_write_meta(table);
	if (r != 0) {
		table_abort(table);
		return r;
	}
	r = table_result(mdb_txn_commit(table->txn));
	table->txn = NULL; /* freed, whatever the result */
	if (r != 0)
		return r;
	table->state.sequence = table->current.sequence;
	table->saved = table->current;
	table->saved_state = table->state;
	if (sync && table->settings.durability != DURABILITY_FULL)
		r = table_result(mdb_env_sync(table->env, 1));
	return r;
}

void table_abort(struct table *table)
{
	if (table->txn)
		mdb_txn_abort(table->txn);
	table->txn = NULL;
}
