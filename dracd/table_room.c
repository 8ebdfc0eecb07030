/*
 * The table: blocks of the disk, taken before they are needed.
 *
 * A commit that makes the file longer also has to sync what the file system notes of
 * that, and the login waits for it.  So the file is kept longer than what is used, by
 * zeros (blocks that are only reserved would be noted when they are first written, too),
 * made while nobody waits for an answer.  LMDB knows by its own count which pages are in
 * use; those behind them it never reads.
 *
 * The file is not asked for its length before each commit: where times are kept as Linux
 * 6.13 does (Documentation/filesystems/multigrain-ts.rst), the first write after a
 * stat(2) notes a time of its own in the inode, and the sync writes that, too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "dracd/table_internal.h"

enum {
	ROOM_LEAST = 256 * 1024, /* some hundred commits of one login */
	ROOM_STEP = 1024 * 1024,
	DISK_LEAST = 64 * 1024 * 1024, /* what is free is left to others from here on */
};

/* The octets of the file that are in use. */
static off_t used_octets(struct table *table)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(table->env, &info) != 0 || mdb_env_stat(table->env, &stat) != 0)
		return 0;
	return (off_t)(info.me_last_pgno + 1) * (off_t)stat.ms_psize;
}

static bool has_disk(int file)
{
	struct statvfs disk;

	return fstatvfs(file, &disk) == 0 &&
	       (uint64_t)disk.f_bavail * disk.f_frsize >= DISK_LEAST;
}

/* Returns the end of what could be written. */
static off_t add_zeros(int file, off_t at, off_t end)
{
	static const char zeros[16 * 1024];

	while (at < end) {
		ssize_t written = pwrite(file, zeros, sizeof(zeros), at);

		if (written <= 0)
			return at; /* it will do without */
		at += written;
	}
	(void)fdatasync(file);
	return at;
}

void table_make_room(struct table *table)
{
	const off_t used = used_octets(table);
	char path[sizeof("/proc/self/fd/2147483647")];
	struct stat status;
	int file;

	if (table->settings.durability == DURABILITY_PROCESS || used == 0 ||
		table->room_end >= used + ROOM_LEAST)
		return;
	if (mdb_env_get_fd(table->env, &file) != 0 || fstat(file, &status) < 0)
		return;
	table->room_end = status.st_size;
	if (table->room_end >= used + ROOM_LEAST || !has_disk(file))
		return;
	/* an error of the disk is told once for each time that a file is opened: LMDB is
	 * to hear of it, too */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return;
	table->room_end = add_zeros(file, status.st_size > used ? status.st_size : used,
		used + ROOM_LEAST + ROOM_STEP);
	close(file);
}
