/* Postfix' lmdb: files.  All calls of liblmdb in maps/ are here and in lmdb_file.c.
 *
 * Postfix opens them with MDB_NOLOCK and takes an fcntl(2) read lock on the file for each
 * lookup; it is not in LMDB's table of readers, so a writer that does not lock the file
 * makes it miss keys that are there.  A smtpd keeps the file open for a whole session, so
 * that only what is written into this file reaches it: a delta is, and a whole change,
 * which is first compared with what the file has.  Both are transactions under the write
 * lock, of so many rows that no reader waits long, and nothing is synced under it: a map
 * that a power loss damages is rebuilt when dracd starts.  A rebuild fills a new file,
 * which the reader notices at its next connection. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "maps/delta.h"
#include "maps/format.h"
#include "maps/lmdb_file.h"

enum {
	LOCK_WAIT_MSEC = 2000, /* so long a reader may keep us out */
	ROWS_AT_ONCE = 5000,   /* are written while readers wait */
};

struct lmdb_writer {
	char *path;
	struct map_identity *identity; /* NULL: a rebuild */
	bool is_whole;
	int published; /* of a change in place */
	struct delta delta;
	struct delta gone; /* of a whole change: what the file has too much */
};

static MDB_val to_val(struct map_bytes bytes)
{
	union {
		const void *in;
		void *out;
	} data = {.in = bytes.data}; /* MDB_val is for reading, too, and thus not const */

	return (MDB_val){.mv_data = data.out, .mv_size = bytes.size};
}

/* ---- rows ---- */

static int put_row(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value,
	struct map_counts *counts)
{
	MDB_val old;
	int r = mdb_get(txn, dbi, key, &old);

	if (r == MDB_NOTFOUND)
		counts->added++;
	else if (r != 0)
		return r;
	else if (old.mv_size == value->mv_size &&
		 memcmp(old.mv_data, value->mv_data, old.mv_size) == 0)
		return 0;
	else
		counts->replaced++;
	return mdb_put(txn, dbi, key, value, 0);
}

static int remove_row(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, struct map_counts *counts)
{
	int r = mdb_del(txn, dbi, key, NULL);

	if (r == 0)
		counts->removed++;
	return r == MDB_NOTFOUND ? 0 : r;
}

/* Where in the rows of a change in place we are: all deletes come first. */
struct position {
	unsigned pass;
	size_t row;
};

enum {
	PASS_GONE,
	PASS_DELETES,
	PASS_PUTS,
	PASS_COUNT,
};

/* NULL: that was all. */
static const struct delta_row *next_row(const struct lmdb_writer *writer,
	struct position *at, const struct delta **ret_delta)
{
	for (; at->pass < PASS_COUNT; at->pass++, at->row = 0) {
		const struct delta *delta =
			at->pass == PASS_GONE ? &writer->gone : &writer->delta;
		const bool deletes = at->pass != PASS_PUTS;

		while (at->row < delta->count) {
			const struct delta_row *row = &delta->rows[at->row++];

			if (row->is_delete == deletes && !row->is_done) {
				*ret_delta = delta;
				return row;
			}
		}
	}
	return NULL;
}

static bool has_more(const struct lmdb_writer *writer, struct position at)
{
	const struct delta *delta;

	return next_row(writer, &at, &delta) != NULL;
}

static int apply_some(MDB_txn *txn, const struct lmdb_writer *writer, struct position *at,
	struct map_counts *counts)
{
	MDB_dbi dbi;
	int r = mdb_dbi_open(txn, NULL, 0, &dbi);

	for (unsigned i = 0; i < ROWS_AT_ONCE && r == 0; i++) {
		const struct delta *delta;
		const struct delta_row *row = next_row(writer, at, &delta);
		MDB_val key, value;

		if (!row)
			break;
		key = to_val(delta_key(delta, row));
		value = to_val(delta_value(delta, row));
		r = row->is_delete ? remove_row(txn, dbi, &key, counts)
				   : put_row(txn, dbi, &key, &value, counts);
	}
	return r;
}

static uint64_t changes_of(const struct map_counts *counts)
{
	return counts->added + counts->removed + counts->replaced;
}

/* One transaction.  One that changes nothing is none. */
static int write_some(MDB_env *env, const struct lmdb_writer *writer, struct position *at,
	struct map_counts *counts)
{
	const uint64_t before = changes_of(counts);
	MDB_txn *txn;
	int r = mdb_txn_begin(env, NULL, 0, &txn);

	if (r != 0)
		return lmdb_translate(r);
	r = apply_some(txn, writer, at, counts);
	if (r == 0 && changes_of(counts) > before)
		return lmdb_translate(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return lmdb_translate(r);
}

/* The same, with the readers locked out.  What a failed one has left behind is our doing,
 * too. */
static int write_locked(const struct lmdb_file *file, const struct lmdb_writer *writer,
	struct position *at, struct map_counts *counts)
{
	int r = lmdb_file_lock(file, F_WRLCK, LOCK_WAIT_MSEC);

	if (r < 0)
		return r;
	r = map_check_identity(file->descriptor, writer->identity);
	if (r == 0) {
		struct map_counts done = *counts;
		int identified;

		r = write_some(file->env, writer, at, &done);
		identified = map_identify_file(file->descriptor, writer->identity);
		if (r == 0) {
			*counts = done;
			r = identified;
		}
	}
	lmdb_file_unlock(file);
	return r;
}

static int scan_rows(MDB_txn *txn, map_row_visit *visit, void *context)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_dbi dbi;
	int r = mdb_dbi_open(txn, NULL, 0, &dbi);

	if (r == 0)
		r = mdb_cursor_open(txn, dbi, &cursor);
	if (r != 0)
		return lmdb_translate(r);
	for (;;) {
		r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		if (r != 0)
			break;
		r = visit((struct map_bytes){key.mv_data, key.mv_size},
			(struct map_bytes){value.mv_data, value.mv_size}, context);
		if (r != 0) {
			mdb_cursor_close(cursor);
			return r;
		}
	}
	mdb_cursor_close(cursor);
	return r == MDB_NOTFOUND ? 0 : lmdb_translate(r);
}

static int scan_file(const struct lmdb_file *file, map_row_visit *visit, void *context)
{
	MDB_txn *txn;
	int r = lmdb_translate(mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn));

	if (r == 0) {
		r = scan_rows(txn, visit, context);
		mdb_txn_abort(txn);
	}
	return r;
}

static int add_gone(struct map_bytes key, struct map_bytes value, void *context)
{
	struct lmdb_writer *writer = context;

	(void)value;
	return delta_add(&writer->gone, key, NULL);
}

/* Finds what of a whole change is to be written.  Our lock is a reader's: no other reader
 * waits for it, but whoever else writes does. */
static int compare_whole(const struct lmdb_file *file, struct lmdb_writer *writer,
	struct map_counts *counts)
{
	struct delta_merge merge = {
		.delta = &writer->delta, .emit = add_gone, .context = writer};
	int r = lmdb_file_lock(file, F_RDLCK, LOCK_WAIT_MSEC);

	if (r < 0)
		return r;
	r = map_check_identity(file->descriptor, writer->identity);
	if (r == 0)
		r = scan_file(file, delta_compare, &merge);
	lmdb_file_unlock(file);
	*counts = merge.counts;
	return r;
}

static int write_in_place(struct lmdb_writer *writer, struct map_counts *counts)
{
	struct position at = {0};
	struct lmdb_file file = {0};
	int r = map_check_identity(writer->published, writer->identity);

	if (r == 0)
		r = lmdb_file_open(writer->path, 0, &file);
	if (r < 0)
		return r;
	if (writer->is_whole)
		r = compare_whole(&file, writer, counts);
	while (r == 0 && has_more(writer, at))
		r = write_locked(&file, writer, &at, counts);
	lmdb_file_close(&file);
	return r == -EBUSY ? -ESTALE : r;
}

/* The rows are sorted, and the file is empty. */
static int append_rows(MDB_txn *txn, const struct delta *delta, struct map_counts *counts)
{
	MDB_dbi dbi;
	int r = mdb_dbi_open(txn, NULL, 0, &dbi);

	for (size_t i = 0; i < delta->count && r == 0; i++) {
		MDB_val key = to_val(delta_key(delta, &delta->rows[i]));
		MDB_val value = to_val(delta_value(delta, &delta->rows[i]));

		if (delta->rows[i].is_delete)
			continue;
		r = mdb_put(txn, dbi, &key, &value, MDB_APPEND);
		counts->added++;
	}
	return r;
}

static int write_new(const struct lmdb_writer *writer, struct map_counts *counts)
{
	struct lmdb_file file;
	MDB_txn *txn;
	int r = lmdb_file_open(writer->path, 0, &file);

	if (r < 0)
		return r;
	r = mdb_txn_begin(file.env, NULL, 0, &txn);
	if (r == 0) {
		r = append_rows(txn, &writer->delta, counts);
		if (r == 0 && counts->added > 0)
			r = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	lmdb_file_close(&file);
	return lmdb_translate(r);
}

/* ---- the format ---- */

static int lmdb_open(
	const struct map_format *format, const struct map_work *work, void **ret_writer)
{
	struct lmdb_writer *writer = calloc(1, sizeof(*writer));

	(void)format;
	if (!writer)
		return -ENOMEM;
	writer->path = strdup(work->path);
	writer->identity = work->is_delta ? work->identity : NULL;
	writer->is_whole = work->is_whole;
	writer->published = work->published;
	if (!writer->path) {
		free(writer);
		return -ENOMEM;
	}
	*ret_writer = writer;
	return 0;
}

static int lmdb_put(void *pointer, struct map_bytes key, struct map_bytes value)
{
	struct lmdb_writer *writer = pointer;

	return delta_add(&writer->delta, key, &value);
}

static int lmdb_remove(void *pointer, struct map_bytes key)
{
	struct lmdb_writer *writer = pointer;

	return delta_add(&writer->delta, key, NULL);
}

static void lmdb_discard(void *pointer)
{
	struct lmdb_writer *writer = pointer;

	delta_done(&writer->delta);
	delta_done(&writer->gone);
	free(writer->path);
	free(writer);
}

static int lmdb_finish(void *pointer, struct map_counts *ret)
{
	struct lmdb_writer *writer = pointer;
	struct map_counts counts = {0};
	int r;

	delta_sort(&writer->delta);
	r = writer->identity ? write_in_place(writer, &counts)
			     : write_new(writer, &counts);
	*ret = counts;
	lmdb_discard(writer);
	return r;
}

static int empty_locked(const struct lmdb_file *file, struct map_identity *identity)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	int r = map_check_content(file->descriptor, identity);

	if (r < 0)
		return r;
	r = mdb_txn_begin(file->env, NULL, 0, &txn);
	if (r == 0) {
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
		if (r == 0)
			r = mdb_drop(txn, dbi, 0);
		if (r == 0)
			r = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	r = lmdb_translate(r);
	return map_identify_file(file->descriptor, identity) < 0 ? -ESTALE : r;
}

static int lmdb_empty(const char *path, struct map_identity *identity, unsigned wait_msec)
{
	struct lmdb_file file;
	int r = lmdb_file_open(path, 0, &file);

	if (r < 0)
		return r;
	r = lmdb_file_lock(&file, F_WRLCK, wait_msec);
	if (r == 0)
		r = empty_locked(&file, identity);
	lmdb_file_close(&file);
	return r;
}

static int lmdb_scan(const struct map_format *format, const char *path,
	map_row_visit *visit, void *context)
{
	struct lmdb_file file;
	int r = lmdb_file_open(path, MDB_RDONLY, &file);

	(void)format;
	if (r < 0)
		return r;
	r = lmdb_file_lock(&file, F_RDLCK, LOCK_WAIT_MSEC);
	if (r == 0)
		r = scan_file(&file, visit, context);
	lmdb_file_close(&file);
	return r == -EBUSY ? -ESTALE : r;
}

const struct map_format map_format_lmdb = {
	.style = MAP_IN_PLACE,
	.open = lmdb_open,
	.put = lmdb_put,
	.remove = lmdb_remove,
	.finish = lmdb_finish,
	.discard = lmdb_discard,
	.scan = lmdb_scan,
	.empty = lmdb_empty,
};
