/*
 * A slow disk, by LD_PRELOAD: fsync, fdatasync, msync and sync_file_range take
 * SLOW_SYNC_USEC longer, and with SLOW_SYNC_WRITES=1 the writes to files opened with
 * O_DSYNC too; with SLOW_SYNC_ONLY only for files whose path contains that.  A commit of
 * LMDB with durability = full is one fdatasync of its pages and one such write of the
 * page that makes them valid.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void delay(void)
{
	const char *text = getenv("SLOW_SYNC_USEC");
	long usec = text ? atol(text) : 0;
	struct timespec left = {usec / 1000000, usec % 1000000 * 1000};

	while (nanosleep(&left, &left) < 0)
		;
}

static void delay_file(int fd)
{
	const char *only = getenv("SLOW_SYNC_ONLY");
	char link[64], path[PATH_MAX] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (!only || (readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, only)))
		delay();
}

static void delay_write(int fd)
{
	const char *wanted = getenv("SLOW_SYNC_WRITES");

	if (wanted && *wanted == '1' && fcntl(fd, F_GETFL) & O_DSYNC)
		delay_file(fd);
}

int fsync(int fd)
{
	delay_file(fd);
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	delay_file(fd);
	return (int)syscall(SYS_fdatasync, fd);
}

int msync(void *address, size_t length, int flags)
{
	delay();
	return (int)syscall(SYS_msync, address, length, flags);
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags)
{
	delay_file(fd);
	return (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
	delay_write(fd);
	return syscall(SYS_pwrite64, fd, data, length, offset);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
	return pwrite64(fd, data, length, offset);
}
