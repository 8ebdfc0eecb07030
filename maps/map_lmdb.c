/* Postfix' lmdb: files.  All calls of liblmdb in maps/ are here.
 *
 * Postfix opens them with MDB_NOLOCK and takes an fcntl(2) read lock on the file for each
 * lookup; it is not in LMDB's table of readers, so a writer that does not lock the file
 * makes it miss keys that are there.  A delta is one transaction under a write lock,
 * which is taken when all changes are known, and nothing is synced under it: a map that a
 * power loss damages is rebuilt when dracd starts.  A rebuild fills a new file, which the
 * reader notices at its next connection. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maps/delta.h"
#include "maps/format.h"

/* Address space, not memory, nor disk: far more than 10,000,000 leases need. A reader
 * takes over the size when the file has outgrown its own. */
#define MAP_BYTES ((size_t)(sizeof(size_t) > 4 ? 8ULL << 30 : 1ULL << 30))

/* So long a reader may keep us out. */
#define LOCK_WAIT_SEC 2

struct lmdb_writer {
	char *path;
	struct map_identity *identity; /* NULL: a rebuild */
	struct delta delta;
};

/* LMDB's own numbers are negative, so that they would pass for errno values. */
static int translate(int r)
{
	if (r >= 0)
		return -r;
	switch (r) {
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_PAGE_NOTFOUND:
	case MDB_CORRUPTED:
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return -EBADMSG;
	case MDB_BAD_VALSIZE:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static MDB_val to_val(struct map_bytes bytes)
{
	union {
		const void *in;
		void *out;
	} data = {.in = bytes.data}; /* MDB_val is for reading, too, and thus not const */

	return (MDB_val){.mv_data = data.out, .mv_size = bytes.size};
}

/* ---- the lock ---- */

static void end_call(int number)
{
	(void)number; /* that fcntl(2) is interrupted is all it is for */
}

static void prepare_signal(void)
{
	const struct sigaction action = {.sa_handler = end_call};

	(void)sigaction(SIGALRM, &action, NULL);
}

/* Waits in fcntl(2) while a timer runs that interrupts this thread. */
static int wait_for_lock(int file, struct flock *lock)
{
	/* it goes on: the first signal may come before the call */
	const struct itimerspec wait = {
		.it_value.tv_sec = LOCK_WAIT_SEC, .it_interval.tv_nsec = 10000000};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t alarm, old;
	timer_t timer;
	int r;

	(void)pthread_once(&once, prepare_signal);
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
		return -errno;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	(void)pthread_sigmask(SIG_UNBLOCK, &alarm, &old);
	r = timer_settime(timer, 0, &wait, NULL) < 0 ||
			    fcntl(file, F_OFD_SETLKW, lock) < 0
		    ? -errno
		    : 0;
	(void)timer_delete(timer);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r == -EINTR ? -ESTALE : r;
}

/* Takes Postfix' lock on the whole file, for as long as file is open.  -ESTALE: somebody
 * else did not give it up in time. */
static int lock_file(int file, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	if (fcntl(file, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return -errno;
	return wait_for_lock(file, &lock);
}

/* ---- files ---- */

static int open_file(const char *path, unsigned flags, MDB_env **ret)
{
	MDB_env *env;
	int r = mdb_env_create(&env);

	if (r != 0)
		return translate(r);
	r = mdb_env_set_mapsize(env, MAP_BYTES);
	if (r == 0)
		r = mdb_env_open(
			env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | flags, 0600);
	if (r != 0)
		mdb_env_close(env);
	else
		*ret = env;
	return translate(r);
}

/* LMDB reads through a mapping: of a file cut short it would die. */
static int check_size(MDB_env *env, int file)
{
	struct stat status;
	MDB_envinfo info;
	MDB_stat pages;

	if (fstat(file, &status) < 0)
		return -errno;
	if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &pages) != 0 ||
		(info.me_last_pgno + 1) * pages.ms_psize > (size_t)status.st_size)
		return -EBADMSG;
	return 0;
}

/* Opens a file that others read or write, and locks it until it is closed. */
static int open_locked(const char *path, unsigned flags, MDB_env **ret, int *ret_file)
{
	MDB_env *env;
	int file = -1;
	int r = open_file(path, flags, &env);

	if (r < 0)
		return r;
	r = translate(mdb_env_get_fd(env, &file));
	if (r == 0)
		r = lock_file(file, flags & MDB_RDONLY ? F_RDLCK : F_WRLCK);
	if (r == 0)
		r = check_size(env, file);
	if (r < 0) {
		mdb_env_close(env);
		return r;
	}
	*ret = env;
	*ret_file = file;
	return 0;
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

static int apply_rows(MDB_txn *txn, MDB_dbi dbi, const struct lmdb_writer *writer,
	struct map_counts *counts)
{
	const struct delta *delta = &writer->delta;
	int r = 0;

	for (size_t i = 0; i < delta->count && r == 0; i++) {
		const struct delta_row *row = &delta->rows[i];
		MDB_val key = to_val(delta_key(delta, row));
		MDB_val value = to_val(delta_value(delta, row));

		if (writer->identity && row->is_delete) {
			r = remove_row(txn, dbi, &key, counts);
		} else if (writer->identity) {
			r = put_row(txn, dbi, &key, &value, counts);
		} else if (!row->is_delete) { /* sorted, into an empty file */
			r = mdb_put(txn, dbi, &key, &value, MDB_APPEND);
			counts->added++;
		}
	}
	return r;
}

/* The one transaction.  One that changes nothing is none. */
static int write_rows(
	MDB_env *env, const struct lmdb_writer *writer, struct map_counts *counts)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	int r = mdb_txn_begin(env, NULL, 0, &txn);

	if (r != 0)
		return translate(r);
	r = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (r == 0)
		r = apply_rows(txn, dbi, writer, counts);
	if (r == 0 && counts->added + counts->removed + counts->replaced > 0)
		return translate(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return translate(r);
}

static int write_in_place(struct lmdb_writer *writer, struct map_counts *counts)
{
	MDB_env *env;
	int file;
	int r = open_locked(writer->path, 0, &env, &file);

	if (r < 0)
		return r;
	r = map_check_identity(file, writer->identity);
	if (r == 0)
		r = write_rows(env, writer, counts);
	if (r == 0)
		r = map_identify_file(file, writer->identity);
	mdb_env_close(env); /* and with the file goes the lock */
	return r;
}

static int write_new(struct lmdb_writer *writer, struct map_counts *counts)
{
	MDB_env *env;
	int r = open_file(writer->path, 0, &env);

	if (r < 0)
		return r;
	r = write_rows(env, writer, counts);
	mdb_env_close(env);
	return r;
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
	if (r == 0)
		*ret = counts;
	lmdb_discard(writer);
	return r;
}

static int lmdb_empty(const char *path)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int file;
	int r = open_locked(path, 0, &env, &file);

	if (r < 0)
		return r;
	r = mdb_txn_begin(env, NULL, 0, &txn);
	if (r == 0) {
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
		if (r == 0)
			r = mdb_drop(txn, dbi, 0);
		if (r == 0)
			r = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	mdb_env_close(env);
	return translate(r);
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
		return translate(r);
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
	return r == MDB_NOTFOUND ? 0 : translate(r);
}

static int lmdb_scan(const struct map_format *format, const char *path,
	map_row_visit *visit, void *context)
{
	MDB_env *env;
	MDB_txn *txn;
	int file;
	int r = open_locked(path, MDB_RDONLY, &env, &file);

	(void)format;
	if (r < 0)
		return r;
	r = translate(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	if (r == 0) {
		r = scan_rows(txn, visit, context);
		mdb_txn_abort(txn);
	}
	mdb_env_close(env);
	return r;
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
