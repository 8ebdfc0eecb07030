/* Berkeley DB 5.3 files, as Postfix' hash: and btree:, Sendmail's hash and btree and
 * Exim's dbm read them.  All calls of libdb are here.
 *
 * Never with a DB_ENV: a clone has the file id of its original, and in one environment a
 * change of the clone was seen to land in the original.  Without one, each handle has a
 * cache of its own and takes no locks.  libdb may crash on a damaged file, so the writer
 * opens only files that this process made. */
#include <db.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maps/format.h"

/* An upper limit, taken as needed.  With libdb's default of 256 KiB a hash of 100,000
 * rows takes four times as long to build. */
#define CACHE_BYTES (64U << 20)

/* libdb writes whole pages and clears only their first bytes.  With plain malloc(3) their
 * unused parts are whatever this process had on its heap before, such as names of users,
 * and the file is for everybody to read. */
static void *allocate_cleared(size_t size)
{
	return calloc(1, size);
}

/* libdb syncs at creation, DB->sync and DB->close; map_commit() syncs once, at the end,
 * by a descriptor of its own. */
static int sync_later(int file)
{
	(void)file;
	return 0;
}

/* What a failing close(2) has to say, that fsync(2) says, too; but when one fails within
 * DB->open, libdb frees its handle twice. */
static int close_quietly(int file)
{
	(void)close(file);
	return 0;
}

/* When there is no descriptor or no room for a file libdb waits, and tries again: two,
 * four and six seconds, in which nobody is shut out.  Whoever calls us has better to do.
 */
static int wait_for_nothing(u_long seconds, u_long microseconds)
{
	(void)seconds;
	(void)microseconds;
	return 0;
}

/* Settings of the whole process, but of nothing in it but libdb. */
static void prepare_library(void)
{
	(void)db_env_set_func_malloc(allocate_cleared);
	(void)db_env_set_func_fsync(sync_later);
	(void)db_env_set_func_close(close_quietly);
	(void)db_env_set_func_yield(wait_for_nothing);
}

struct bdb_writer {
	DB *db;
	struct map_counts counts;
};

/* libdb would write to stderr. */
static void drop_message(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	(void)text;
}

/* libdb's own numbers are negative, so that they would pass for errno values. */
static int translate(int r)
{
	if (r >= 0)
		return -r;
	switch (r) {
	case DB_NOTFOUND:
	case DB_KEYEMPTY:
		return -ENOENT;
	case DB_PAGE_NOTFOUND:
	case DB_OLD_VERSION:
	case DB_CHKSUM_FAIL:
	case DB_VERIFY_BAD:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

static DBT to_dbt(struct map_bytes bytes)
{
	union {
		const void *in;
		void *out;
	} data = {.in = bytes.data}; /* DBT is for reading, too, and thus not const */

	return (DBT){.data = data.out, .size = (u_int32_t)bytes.size};
}

/* page_size: of a file that is made; 0: libdb's choice. */
static int open_file(const struct map_format *format, const char *path, u_int32_t flags,
	u_int32_t page_size, DB **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	DB *db = NULL;
	int r;

	(void)pthread_once(&once, prepare_library);
	r = db_create(&db, NULL, 0);
	if (r != 0)
		return translate(r);
	db->set_errcall(db, drop_message);
	r = db->set_cachesize(db, 0, CACHE_BYTES, 1);
	if (r == 0 && page_size > 0)
		r = db->set_pagesize(db, page_size);
	if (r == 0)
		r = db->open(db, NULL, path, NULL, (DBTYPE)format->variant, flags, 0600);
	if (r != 0)
		(void)db->close(db, DB_NOSYNC);
	else
		*ret = db;
	return translate(r);
}

static int bdb_open(
	const struct map_format *format, const struct map_work *work, void **ret_writer)
{
	struct bdb_writer *writer = calloc(1, sizeof(*writer));
	int r = writer ? open_file(format, work->path, work->is_delta ? 0 : DB_CREATE,
				 work->is_delta ? 0 : work->page_size, &writer->db)
		       : -ENOMEM;

	if (r == 0)
		*ret_writer = writer;
	else
		free(writer);
	return r;
}

/* Whether the row of the key, which is there, has this value. */
static int has_value(DB *db, DBT *key, const DBT *value, bool *ret)
{
	DBT old = {0};
	int r = db->get(db, NULL, key, &old, 0);

	if (r == 0)
		*ret = old.size == value->size &&
		       memcmp(old.data, value->data, old.size) == 0;
	return r;
}

static int bdb_put(void *pointer, struct map_bytes key, struct map_bytes value)
{
	struct bdb_writer *writer = pointer;
	DB *db = writer->db;
	DBT key_dbt = to_dbt(key), value_dbt = to_dbt(value);
	bool same;
	int r = db->put(db, NULL, &key_dbt, &value_dbt, DB_NOOVERWRITE);

	if (r == 0)
		writer->counts.added++;
	if (r != DB_KEYEXIST)
		return translate(r);
	r = has_value(db, &key_dbt, &value_dbt, &same);
	if (r != 0 || same)
		return translate(r);
	writer->counts.replaced++;
	return translate(db->put(db, NULL, &key_dbt, &value_dbt, 0));
}

static int bdb_remove(void *pointer, struct map_bytes key)
{
	struct bdb_writer *writer = pointer;
	DBT key_dbt = to_dbt(key);
	int r = writer->db->del(writer->db, NULL, &key_dbt, 0);

	if (r == 0)
		writer->counts.removed++;
	return r == DB_NOTFOUND ? 0 : translate(r);
}

/* In which bucket of a large hash the key will be, or near which: the low bits of what
 * libdb calculates (FNV-1, from 0).  One by one in that order they meet pages that are
 * still in the processor's caches, and the file is built in two thirds of the time.  Were
 * libdb to calculate something else, the file would be as good. */
static unsigned hash_order(struct map_bytes key)
{
	const unsigned char *octets = key.data;
	uint32_t hash = 0;

	for (size_t i = 0; i < key.size; i++)
		hash = hash * 16777619U ^ octets[i];
	return hash % MAP_ORDERS;
}

static void bdb_discard(void *pointer)
{
	struct bdb_writer *writer = pointer;

	(void)writer->db->close(writer->db, DB_NOSYNC);
	free(writer);
}

static int bdb_finish(void *pointer, struct map_counts *ret)
{
	struct bdb_writer *writer = pointer;
	int r = writer->db->sync(writer->db, 0);
	int closed = writer->db->close(writer->db, DB_NOSYNC);

	if (r == 0 && closed == 0)
		*ret = writer->counts;
	free(writer);
	return translate(r != 0 ? r : closed);
}

static int scan_rows(DBC *cursor, map_row_visit *visit, void *context)
{
	for (;;) {
		DBT key = {0}, value = {0};
		int r = cursor->get(cursor, &key, &value, DB_NEXT);

		if (r == DB_NOTFOUND)
			return 0;
		if (r != 0)
			return translate(r);
		r = visit((struct map_bytes){key.data, key.size},
			(struct map_bytes){value.data, value.size}, context);
		if (r != 0)
			return r;
	}
}

static int bdb_scan(const struct map_format *format, const char *path,
	map_row_visit *visit, void *context)
{
	DB *db = NULL;
	DBC *cursor;
	int r = open_file(format, path, DB_RDONLY, 0, &db);

	if (r < 0)
		return r;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what is open is there */
	r = translate(db->cursor(db, NULL, &cursor, 0));
	if (r == 0) {
		r = scan_rows(cursor, visit, context);
		(void)cursor->close(cursor);
	}
	(void)db->close(db, DB_NOSYNC);
	return r;
}

#define BDB_FORMAT(type, magic_number, key_order)                                        \
	{                                                                                \
		.variant = (type), .magic = (magic_number), .order = (key_order),        \
		.style = MAP_EDITS, .open = bdb_open, .put = bdb_put,                    \
		.remove = bdb_remove, .finish = bdb_finish, .discard = bdb_discard,      \
		.scan = bdb_scan,                                                        \
	}

const struct map_format map_format_hash = BDB_FORMAT(DB_HASH, DB_HASHMAGIC, hash_order);
const struct map_format map_format_btree = BDB_FORMAT(DB_BTREE, DB_BTREEMAGIC, NULL);
