/*
 * The table: its rows.  Every function that changes the table runs inside the writer's
 * transaction; after an error the transaction is of no use and its caller aborts it.
 *
 * Rows that belong together (lease, expiry, users, changes) are changed by
 * table_put_row() and table_drop_row() only, so that the index, the shares and the counts
 * cannot drift apart.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/table_internal.h"

enum {
	FEED_MAX = 65536, /* rows of the feed; a map further behind is rebuilt */
	TRIM_MAX = 1024,  /* rows of the feed dropped in one transaction */
};

int table_put(struct table *table, MDB_dbi dbi, const void *key, size_t key_size,
	const void *data, size_t size)
{
	MDB_val row = table_value(key, key_size), value = table_value(data, size);

	return table_result(mdb_put(table->txn, dbi, &row, &value, 0));
}

int table_drop(struct table *table, MDB_dbi dbi, const void *key, size_t key_size)
{
	MDB_val row = table_value(key, key_size);
	int r = table_result(mdb_del(table->txn, dbi, &row, NULL));

	return r == TABLE_NOT_FOUND ? 0 : r;
}

int table_read_row(struct table *table, const struct address *key, struct lease *ret)
{
	struct table_reader reader = {.table = table, .txn = table->txn};

	return table_read_lease(&reader, key, ret);
}

/* ---- the change feed ---- */

static int drop_change(struct table *table, uint64_t sequence)
{
	uint64_t key = htobe64(sequence);

	return table_drop(table, table->changes, &key, sizeof(key));
}

/* Notes that the set of admitted addresses changed at key. */
static int append_change(struct table *table, const struct address *key)
{
	struct meta *meta = &table->current;
	uint8_t encoded[LEASE_KEY_SIZE];
	uint64_t sequence;

	meta->sequence++;
	if (!table->settings.feed_changes) {
		meta->feed_tail = meta->sequence;
		return 0;
	}
	if (meta->sequence - meta->feed_tail > FEED_MAX) {
		int r = drop_change(table, ++meta->feed_tail);

		if (r < 0)
			return r;
	}
	lease_key_encode(key, encoded);
	sequence = htobe64(meta->sequence);
	return table_put(table, table->changes, &sequence, sizeof(sequence), encoded,
		sizeof(encoded));
}

void table_feed_changes(struct table *table)
{
	table->settings.feed_changes = true;
}

void table_feed_users(struct table *table, bool feed)
{
	table->settings.feed_users = feed;
}

int table_touch(struct table *table, const struct address *key)
{
	return append_change(table, key);
}

int table_trim(struct table *table, uint64_t sequence)
{
	struct meta *meta = &table->current;

	for (unsigned i = 0; i < TRIM_MAX && meta->feed_tail < sequence &&
			     meta->feed_tail < meta->sequence;
		i++) {
		int r = drop_change(table, ++meta->feed_tail);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- rows ---- */

static int put_lease(struct table *table, const struct lease *lease)
{
	uint8_t key[LEASE_KEY_SIZE], record[LEASE_RECORD_MAX];

	lease_key_encode(&lease->address, key);
	return table_put(table, table->leases, key, sizeof(key), record,
		lease_encode(lease, record));
}

static int put_expiry(struct table *table, const struct lease *lease)
{
	struct expiry row = {lease->deadline_boot_usec, lease->address};
	uint8_t key[EXPIRY_KEY_SIZE];

	table_encode_expiry(&row, key);
	return table_put(table, table->expiry, key, sizeof(key), "", 0);
}

static int drop_expiry(struct table *table, const struct lease *lease)
{
	struct expiry row = {lease->deadline_boot_usec, lease->address};
	uint8_t key[EXPIRY_KEY_SIZE];

	table_encode_expiry(&row, key);
	return table_drop(table, table->expiry, key, sizeof(key));
}

int table_drop_share(struct table *table, const struct address *lease, uint64_t hash)
{
	uint8_t key[USER_KEY_SIZE];

	table_encode_user(hash, lease, key);
	return table_drop(table, table->users, key, sizeof(key));
}

/* Writes lease in the place of old (NULL: there was none): row, index and count. */
int table_put_row(struct table *table, const struct lease *lease, const struct lease *old)
{
	int r = put_lease(table, lease);

	if (r != 0)
		return r;
	table_count(table, lease, 1);
	if (!old)
		return put_expiry(table, lease);
	table_count(table, old, -1);
	if (old->deadline_boot_usec == lease->deadline_boot_usec)
		return 0;
	r = drop_expiry(table, old);
	return r == 0 ? put_expiry(table, lease) : r;
}

int table_drop_row(struct table *table, const struct lease *lease, enum feed feed)
{
	uint8_t key[LEASE_KEY_SIZE];
	int r;

	lease_key_encode(&lease->address, key);
	r = table_drop(table, table->leases, key, sizeof(key));
	if (r == 0)
		r = drop_expiry(table, lease);
	for (unsigned i = 0; i < lease->share_count && r == 0; i++)
		r = table_drop_share(table, &lease->address, lease->shares[i]);
	if (r == 0 && feed == TELL_FEED)
		r = append_change(table, &lease->address);
	table_count(table, lease, -1);
	return r;
}

/* ---- rows that are over ---- */

void key_list_done(struct key_list *list)
{
	free(list->items);
}

int key_list_add(struct key_list *list, const struct address *key)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		struct address *grown = reallocarray(list->items, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->items = grown;
		list->room = room;
	}
	list->items[list->count++] = *key;
	return 0;
}

/* Ends the leases of the list. */
int table_drop_listed(struct table *table, const struct key_list *list, enum feed feed,
	struct table_ended *ret)
{
	for (size_t i = 0; i < list->count; i++) {
		struct lease lease;
		int r = table_read_row(table, &list->items[i], &lease);

		if (r == 0)
			r = table_drop_row(table, &lease, feed);
		if (r != 0)
			return r < 0 ? r : -EUCLEAN;
		if (lease.deadline_boot_usec > table->now.boot_usec) {
			ret->leases++;
			ret->users += lease_user_count(&lease);
		}
	}
	return 0;
}

struct over_walk {
	struct key_list list;
	uint64_t through;
	unsigned limit;
};

static int collect_over(const struct expiry *row, void *context)
{
	struct over_walk *over = context;

	if (row->deadline_boot_usec > over->through || over->list.count >= over->limit)
		return TABLE_NOT_FOUND;
	return key_list_add(&over->list, &row->key);
}

int table_drop_over(struct table *table, uint64_t boot_usec, unsigned limit,
	enum feed feed, unsigned *ret_count)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	struct over_walk over = {.through = boot_usec, .limit = limit};
	struct expiry first = {0};
	struct table_ended ended = {0};
	int r;

	r = table_each_expiry(&reader, &first, collect_over, &over);
	if (r >= 0)
		r = table_drop_listed(table, &over.list, feed, &ended);
	if (r == 0)
		*ret_count = (unsigned)over.list.count;
	key_list_done(&over.list);
	return r;
}

int table_delete_over(
	struct table *table, uint64_t boot_usec, unsigned limit, unsigned *ret_count)
{
	return table_drop_over(table, boot_usec, limit, FEED_KNOWS, ret_count);
}
