/* See lmdb_file.h. */
#include "maps/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Address space, not memory, nor disk: far more than 10,000,000 leases need. A reader
 * takes over the size when the file has outgrown its own. */
#define MAP_BYTES ((size_t)(sizeof(size_t) > 4 ? 8ULL << 30 : 1ULL << 30))

/* LMDB's own numbers are negative, so that they would pass for errno values. */
int lmdb_translate(int r)
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
static int wait_for_lock(int file, struct flock *lock, unsigned wait_msec)
{
	/* it goes on: the first signal may come before the call */
	const struct itimerspec wait = {
		.it_value.tv_sec = wait_msec / 1000,
		.it_value.tv_nsec = (long)(wait_msec % 1000) * 1000000,
		.it_interval.tv_nsec = 10000000,
	};
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
	return r == -EINTR ? -EBUSY : r;
}

/* LMDB reads through a mapping: of a file cut short it would die. */
static int check_size(const struct lmdb_file *file)
{
	struct stat status;
	MDB_envinfo info;
	MDB_stat pages;

	if (fstat(file->descriptor, &status) < 0)
		return -errno;
	if (mdb_env_info(file->env, &info) != 0 || mdb_env_stat(file->env, &pages) != 0 ||
		(info.me_last_pgno + 1) * pages.ms_psize > (size_t)status.st_size)
		return -EBADMSG;
	return 0;
}

static int set_lock(int file, short type, unsigned wait_msec)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	if (fcntl(file, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return -errno;
	return wait_msec > 0 ? wait_for_lock(file, &lock, wait_msec) : -EBUSY;
}

int lmdb_file_lock(const struct lmdb_file *file, short type, unsigned wait_msec)
{
	int r = set_lock(file->descriptor, type, wait_msec);

	if (r < 0)
		return r;
	r = check_size(file);
	if (r < 0)
		lmdb_file_unlock(file);
	return r;
}

void lmdb_file_unlock(const struct lmdb_file *file)
{
	(void)set_lock(file->descriptor, F_UNLCK, 0);
}

/* ---- files ---- */

int lmdb_file_open(const char *path, unsigned flags, struct lmdb_file *ret)
{
	struct lmdb_file file;
	int r = mdb_env_create(&file.env);

	if (r != 0)
		return lmdb_translate(r);
	r = mdb_env_set_mapsize(file.env, MAP_BYTES);
	if (r == 0)
		r = mdb_env_open(file.env, path,
			MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | flags, 0600);
	if (r == 0)
		r = mdb_env_get_fd(file.env, &file.descriptor);
	if (r != 0)
		mdb_env_close(file.env);
	else
		*ret = file;
	return lmdb_translate(r);
}

void lmdb_file_close(const struct lmdb_file *file)
{
	mdb_env_close(file->env); /* and with the file goes the lock */
}
