/*
 * The calls stand here under the names of the C library, so that those of liblmdb come
 * here, too.  A kill is _exit(): the kernel does for a process that ends so what it does
 * for one that is killed, and nothing of the process runs any more.
 */
#include "tests/soak/faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct fault *used;

static void forget(void)
{
	used = NULL;
}

void faults_use(struct fault *fault)
{
	static bool is_set;

	if (!is_set)
		is_set = pthread_atfork(NULL, NULL, forget) == 0;
	used = fault;
}

enum what {
	DO_IT,
	FAIL_IT,
	FAIL_AND_DO_IT,
	DIE,
	DO_IT_AND_DIE,
};

static enum what next_call(void)
{
	if (!used)
		return DO_IT;
	used->calls++;
	if (used->kind == FAULT_NONE)
		return DO_IT;
	if (used->after > 0) {
		used->after--;
		return DO_IT;
	}
	if (used->kind == FAULT_KILL)
		return used->done ? DO_IT_AND_DIE : DIE;
	if (used->count-- == 0) {
		used->kind = FAULT_NONE;
		return DO_IT;
	}
	used->failed++;
	return used->done ? FAIL_AND_DO_IT : FAIL_IT;
}

/* After the call, which has returned r. */
static long end_call(enum what what, long r)
{
	if (what == DO_IT_AND_DIE)
		_exit(KILLED);
	if (what == DO_IT || !used)
		return r;
	errno = used->error;
	return -1;
}

static bool is_done(enum what what)
{
	if (what == DIE)
		_exit(KILLED);
	return what != FAIL_IT;
}

/* Of a write that is cut off half is done, in whole pages. */
static size_t part_of(enum what what, size_t length)
{
	return what == DO_IT || length <= 4096 ? length : length / 2 & ~(size_t)4095;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
	enum what what = next_call();
	long r = -1;

	if (is_done(what))
		r = syscall(SYS_pwrite64, fd, data, part_of(what, length), offset);
	return end_call(what, r);
}

ssize_t write(int fd, const void *data, size_t length)
{
	enum what what = next_call();
	long r = -1;

	if (is_done(what))
		r = syscall(SYS_write, fd, data, part_of(what, length));
	return end_call(what, r);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	enum what what = next_call();
	long r = -1;

	if (is_done(what))
		r = syscall(SYS_writev, fd, parts,
			what == DO_IT || count == 1 ? count : count / 2);
	return end_call(what, r);
}

int fsync(int fd)
{
	enum what what = next_call();
	long r = is_done(what) ? syscall(SYS_fsync, fd) : -1;

	return (int)end_call(what, r);
}

int fdatasync(int fd)
{
	enum what what = next_call();
	long r = is_done(what) ? syscall(SYS_fdatasync, fd) : -1;

	return (int)end_call(what, r);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	enum what what = next_call();
	long r = is_done(what) ? syscall(SYS_renameat, from_fd, from, to_fd, to) : -1;

	if (used && strcmp(from, "table") == 0 && is_done(what))
		used->aside++;
	return (int)end_call(what, r);
}

int unlinkat(int fd, const char *name, int flags)
{
	enum what what = next_call();
	long r = is_done(what) ? syscall(SYS_unlinkat, fd, name, flags) : -1;

	return (int)end_call(what, r);
}
