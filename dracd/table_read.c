/* The table: reading, each task in one snapshot; the stored form of keys. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/table_internal.h"

int table_reader_open(struct table *table, struct table_reader **ret)
{
	struct table_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->table = table;
	r = table_result(mdb_txn_begin(table->env, NULL, MDB_RDONLY, &reader->txn));
	if (r != 0) {
		free(reader);
		return r;
	}
	mdb_txn_reset(reader->txn);
	*ret = reader;
	return 0;
}

struct table_reader *table_reader_close(struct table_reader *reader)
{
	if (!reader)
		return NULL;
	mdb_txn_abort(reader->txn);
	free(reader);
	return NULL;
}

int table_reader_begin(struct table_reader *reader)
{
	return table_result(mdb_txn_renew(reader->txn));
}

void table_reader_end(struct table_reader *reader)
{
	mdb_txn_reset(reader->txn);
}

void table_encode_expiry(const struct expiry *row, uint8_t ret[EXPIRY_KEY_SIZE])
{
	table_put_be64(ret, row->deadline_boot_usec);
	lease_key_encode(&row->key, ret + 8);
}

void table_encode_user(
	uint64_t hash, const struct address *key, uint8_t ret[USER_KEY_SIZE])
{
	table_put_be64(ret, hash);
	lease_key_encode(key, ret + 8);
}

int table_decode_lease(const MDB_val *key, const MDB_val *value, struct lease *ret)
{
	if (lease_key_decode(key->mv_data, key->mv_size, &ret->address) < 0 ||
		lease_decode(value->mv_data, value->mv_size, ret) < 0)
		return -EUCLEAN;
	return 0;
}

int table_decode_expiry(const MDB_val *key, struct expiry *ret)
{
	const uint8_t *at = key->mv_data;

	if (key->mv_size != EXPIRY_KEY_SIZE ||
		lease_key_decode(at + 8, LEASE_KEY_SIZE, &ret->key) < 0)
		return -EUCLEAN;
	ret->deadline_boot_usec = table_get_be64(at);
	return 0;
}

int table_read_lease(
	struct table_reader *reader, const struct address *key, struct lease *ret)
{
	uint8_t encoded[LEASE_KEY_SIZE];
	MDB_val row = table_value(encoded, sizeof(encoded)), value;
	int r;

	lease_key_encode(key, encoded);
	r = table_result(mdb_get(reader->txn, reader->table->leases, &row, &value));
	return r == 0 ? table_decode_lease(&row, &value, ret) : r;
}

int table_read_share(struct table_reader *reader, const struct address *key,
	uint64_t hash, struct share *ret)
{
	uint8_t encoded[USER_KEY_SIZE];
	MDB_val row = table_value(encoded, sizeof(encoded)), value;
	int r;

	table_encode_user(hash, key, encoded);
	r = table_result(mdb_get(reader->txn, reader->table->users, &row, &value));
	if (r != 0)
		return r;
	return share_decode(value.mv_data, value.mv_size, ret) < 0 ? -EUCLEAN : 0;
}

int table_read_kept_share(struct table_reader *reader, const struct lease *lease,
	unsigned index, struct share *ret)
{
	int r = table_read_share(reader, &lease->address, lease->shares[index], ret);

	return r > 0 ? -EUCLEAN : r;
}

int table_find(struct table_reader *reader, const struct address *address,
	const uint64_t lengths[3], uint64_t boot_usec, struct lease *ret)
{
	struct lease lease;
	int shortest = address_is_ipv4(address) ? 96 : 0;
	int length = address->length + 1;

	while ((length = address_length_within(lengths, length - 1)) >= shortest) {
		struct address key = address_network(address, (unsigned)length);
		int r = table_read_lease(reader, &key, &lease);

		if (r < 0)
			return r;
		if (r == 0 && lease.deadline_boot_usec > boot_usec) {
			*ret = lease;
			return 0;
		}
	}
	return TABLE_NOT_FOUND;
}

/* Walks a database from the first key that is not less than *key (all, if it is empty),
 * until visit returns nonzero. */
static int walk(struct table_reader *reader, MDB_dbi dbi, MDB_val key,
	int (*visit)(const MDB_val *key, const MDB_val *value, void *context),
	void *context)
{
	MDB_cursor *cursor;
	MDB_val value;
	int r;

	r = table_result(mdb_cursor_open(reader->txn, dbi, &cursor));
	if (r != 0)
		return r;
	r = mdb_cursor_get(cursor, &key, &value, key.mv_size ? MDB_SET_RANGE : MDB_FIRST);
	while (r == 0) {
		int stop = visit(&key, &value, context);

		if (stop != 0) {
			mdb_cursor_close(cursor);
			return stop;
		}
		r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return r == MDB_NOTFOUND ? 0 : table_result(r);
}

struct lease_walk {
	int (*visit)(const struct lease *lease, void *context);
	void *context;
};

static int visit_lease(const MDB_val *key, const MDB_val *value, void *context)
{
	const struct lease_walk *step = context;
	struct lease lease = {0};
	int r = table_decode_lease(key, value, &lease);

	return r == 0 ? step->visit(&lease, step->context) : r;
}

int table_each_lease(struct table_reader *reader,
	int (*visit)(const struct lease *lease, void *context), void *context)
{
	struct lease_walk step = {.visit = visit, .context = context};

	return walk(reader, reader->table->leases, (MDB_val){0}, visit_lease, &step);
}

int table_each_lease_from(struct table_reader *reader, const struct address *first,
	int (*visit)(const struct lease *lease, void *context), void *context)
{
	struct lease_walk step = {.visit = visit, .context = context};
	uint8_t key[LEASE_KEY_SIZE];

	lease_key_encode(first, key);
	return walk(reader, reader->table->leases, table_value(key, sizeof(key)),
		visit_lease, &step);
}

struct expiry_walk {
	uint8_t after[EXPIRY_KEY_SIZE];
	int (*visit)(const struct expiry *row, void *context);
	void *context;
};

static int visit_expiry(const MDB_val *key, const MDB_val *value, void *context)
{
	const struct expiry_walk *step = context;
	struct expiry row;
	int r = table_decode_expiry(key, &row);

	(void)value;
	if (r == 0 && memcmp(key->mv_data, step->after, EXPIRY_KEY_SIZE) == 0)
		return 0;
	return r == 0 ? step->visit(&row, step->context) : r;
}

int table_each_expiry(struct table_reader *reader, const struct expiry *after,
	int (*visit)(const struct expiry *row, void *context), void *context)
{
	struct expiry_walk step = {.visit = visit, .context = context};

	table_encode_expiry(after, step.after);
	return walk(reader, reader->table->expiry,
		table_value(step.after, EXPIRY_KEY_SIZE), visit_expiry, &step);
}

static int take_expiry(const struct expiry *row, void *context)
{
	*(struct expiry *)context = *row;
	return TABLE_NOT_FOUND; /* any nonzero ends the walk */
}

int table_next_expiry(
	struct table_reader *reader, const struct expiry *after, struct expiry *ret)
{
	int r = table_each_expiry(reader, after, take_expiry, ret);

	if (r < 0)
		return r;
	return r == TABLE_NOT_FOUND ? 0 : TABLE_NOT_FOUND;
}

struct share_walk {
	int (*visit)(uint64_t hash, const struct address *lease,
		const struct share *share, void *context);
	void *context;
};

static int visit_share(const MDB_val *key, const MDB_val *value, void *context)
{
	const struct share_walk *step = context;
	const uint8_t *at = key->mv_data;
	struct address lease;
	struct share share;

	if (key->mv_size != USER_KEY_SIZE ||
		lease_key_decode(at + 8, LEASE_KEY_SIZE, &lease) < 0 ||
		share_decode(value->mv_data, value->mv_size, &share) < 0)
		return -EUCLEAN;
	return step->visit(table_get_be64(at), &lease, &share, step->context);
}

int table_each_share(struct table_reader *reader,
	int (*visit)(uint64_t hash, const struct address *lease,
		const struct share *share, void *context),
	void *context)
{
	struct share_walk step = {.visit = visit, .context = context};

	return walk(reader, reader->table->users, (MDB_val){0}, visit_share, &step);
}

struct change_walk {
	int (*visit)(const struct address *key, void *context);
	void *context;
};

static int visit_change(const MDB_val *key, const MDB_val *value, void *context)
{
	const struct change_walk *step = context;
	struct address address;

	(void)key;
	if (lease_key_decode(value->mv_data, value->mv_size, &address) < 0)
		return -EUCLEAN;
	return step->visit(&address, step->context);
}

int table_each_change(struct table_reader *reader, uint64_t sequence,
	int (*visit)(const struct address *key, void *context), void *context)
{
	struct change_walk step = {.visit = visit, .context = context};
	uint8_t first[8];

	table_put_be64(first, sequence + 1);
	return walk(reader, reader->table->changes, table_value(first, 8), visit_change,
		&step);
}

int table_read_position(
	struct table_reader *reader, uint64_t *ret_sequence, uint64_t *ret_tail)
{
	struct meta meta;
	int r = table_read_meta(reader->table, reader->txn, &meta);

	if (r != 0)
		return r;
	*ret_sequence = meta.sequence;
	*ret_tail = meta.feed_tail;
	return 0;
}
