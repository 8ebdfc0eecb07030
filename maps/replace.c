/* Safe replacement of a file: a temporary file beside it, complete and synced, renamed
 * over it.  A file is never unlinked, truncated or edited in place, and no hard link to
 * an old one is kept: Postfix notices a new table by the old one's link count of zero. */
#include "maps/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	NAME_TRIES = 16,
	COPY_BUFFER = 16384,
};

#define TEMPORARY_MARK ".dracd-"
#define TEMPORARY_END ".tmp"
#define TEMPORARY_DIGITS 8

int replace_open_directory(const char *path, int *ret)
{
	struct stat status;
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = 0;

	if (directory < 0)
		return -errno;
	if (fstat(directory, &status) < 0)
		r = -errno;
	else if ((status.st_mode & (S_IWGRP | S_IWOTH)) ||
		 (status.st_uid != geteuid() && status.st_uid != 0))
		r = -EPERM;
	else if (faccessat(directory, ".", W_OK | X_OK, AT_EACCESS) < 0)
		r = -errno;
	if (r < 0)
		close(directory);
	else
		*ret = directory;
	return r;
}

static bool is_leftover(const char *entry, const char *name)
{
	size_t length = strlen(name);

	if (*entry++ != '.' || strncmp(entry, name, length) != 0)
		return false;
	entry += length;
	if (strncmp(entry, TEMPORARY_MARK, strlen(TEMPORARY_MARK)) != 0)
		return false;
	entry += strlen(TEMPORARY_MARK);
	return strspn(entry, "0123456789abcdef") == TEMPORARY_DIGITS &&
	       strcmp(entry + TEMPORARY_DIGITS, TEMPORARY_END) == 0;
}

int replace_sweep(int directory, const char *name)
{
	/* a description of its own, because reading moves the offset */
	int descriptor = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = descriptor < 0 ? NULL : fdopendir(descriptor);
	struct dirent *entry;
	int r;

	if (!stream) {
		r = -errno;
		if (descriptor >= 0)
			close(descriptor);
		return r;
	}
	for (errno = 0; (entry = readdir(stream)) != NULL; errno = 0)
		/* one that cannot be removed is untidy, and that is all */
		if (is_leftover(entry->d_name, name))
			(void)unlinkat(directory, entry->d_name, 0);
	r = -errno;
	closedir(stream);
	return r;
}

int replace_open_current(int directory, const char *name, int *ret)
{
	struct stat status;
	/* O_NONBLOCK: opening a FIFO must not wait for its writer */
	int file = openat(directory, name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int r = 0;

	if (file < 0)
		return errno == ELOOP || errno == ENXIO ? -EPERM : -errno;
	if (fstat(file, &status) < 0)
		r = -errno;
	else if (!S_ISREG(status.st_mode))
		r = -EPERM;
	if (r < 0)
		close(file);
	else
		*ret = file;
	return r;
}

int replacement_begin(int directory, const char *name, struct replacement *ret)
{
	struct replacement made = {.directory = directory, .name = name};

	for (unsigned i = 0; i < NAME_TRIES; i++) {
		uint32_t random;
		int length;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -EIO;
		length = snprintf(made.temporary, sizeof(made.temporary),
			".%s" TEMPORARY_MARK "%08x" TEMPORARY_END, name, random);
		if (length < 0 || (size_t)length >= sizeof(made.temporary))
			return -ENAMETOOLONG;
		made.file = openat(directory, made.temporary,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (made.file >= 0) {
			*ret = made;
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* One piece of a copy in user space, for file systems without copy_file_range(2). Returns
 * its length, 0 at the end of the source. */
static ssize_t copy_piece(int from, int to, off_t at, size_t length)
{
	char buffer[COPY_BUFFER];
	ssize_t got = pread(
		from, buffer, length < sizeof(buffer) ? length : sizeof(buffer), at);
	ssize_t put = 0;

	while (put < got) {
		ssize_t n = pwrite(to, buffer + put, (size_t)(got - put), at + put);

		if (n < 0)
			return -1;
		put += n;
	}
	return got;
}

int replacement_copy(struct replacement *replacement, int from, off_t size)
{
	bool in_kernel = true;
	off_t done = 0;

	while (done < size) {
		size_t left = (size_t)(size - done);
		loff_t in = done, out = done;
		ssize_t n;

		if (in_kernel)
			n = copy_file_range(from, &in, replacement->file, &out, left, 0);
		else
			n = copy_piece(from, replacement->file, done, left);
		if (n > 0) {
			done += n;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (in_kernel) {
			/* Which errors mean "not on this file system" differs by kernel,
			 * and some return 0; a real one comes again from the plain copy.
			 */
			in_kernel = false;
		} else {
			return n < 0 ? -errno : -ESTALE;
		}
	}
	return 0;
}

/* What is in place must be a file or nothing.  *ret is that file, held open across the
 * rename for touch_replaced(), or -1. */
static int check_replaced(int directory, const char *name, bool keep, int *ret)
{
	struct stat status;

	*ret = -1;
	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(status.st_mode))
		return -EPERM;
	/* a file that we cannot open cannot be touched, but replaced */
	if (keep && replace_open_current(directory, name, ret) < 0)
		*ret = -1;
	return 0;
}

/* Sendmail reopens a map by name when the mtime of the file it has open is later, in
 * whole seconds, than it was when the file was opened.  So the replaced file gets a time
 * later than any that could have been read from it.  (A process that is between its
 * open(2) and its fstat(2) at this moment takes the new time for the old one and stays
 * with the file.) Failure is not reported: what is published is published. */
static void touch_replaced(int file)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat status;

	if (fstat(file, &status) < 0 || clock_gettime(CLOCK_REALTIME, &times[1]) < 0)
		return;
	if (status.st_mtim.tv_sec > times[1].tv_sec)
		times[1] = status.st_mtim;
	times[1].tv_sec++;
	(void)futimens(file, times);
}

/* -EPERM: what stands under the name is not the temporary file, but what somebody has put
 * there. */
static int check_name(const struct replacement *replacement, const char *name)
{
	struct stat named, ours;

	if (fstatat(replacement->directory, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
		fstat(replacement->file, &ours) < 0)
		return -errno;
	return named.st_dev == ours.st_dev && named.st_ino == ours.st_ino ? 0 : -EPERM;
}

/* Everything that can fail while the old file still stands; *ret_replaced as of
 * check_replaced(). */
static int prepare(const struct replacement *replacement,
	const struct replacement_mode *mode, int *ret_replaced, const char **ret_step)
{
	struct stat status;
	int r;

	*ret_replaced = -1;
	*ret_step = "set mode";
	/* the group first, so that the wrong one is never shown the file */
	if (mode->group != (gid_t)-1 &&
		fchown(replacement->file, (uid_t)-1, mode->group) < 0)
		return -errno;
	if (fchmod(replacement->file, mode->mode) < 0)
		return -errno;
	*ret_step = "sync";
	if (fsync(replacement->file) < 0 || fstat(replacement->file, &status) < 0)
		return -errno;
	if (status.st_size == 0)
		return -ENODATA;
	*ret_step = "check temporary file";
	r = check_name(replacement, replacement->temporary);
	if (r < 0)
		return r;
	*ret_step = "check old file";
	return check_replaced(replacement->directory, replacement->name,
		mode->touch_replaced, ret_replaced);
}

int replacement_commit(struct replacement *replacement,
	const struct replacement_mode *mode, struct stat *ret, const char **ret_step)
{
	struct stat status;
	int replaced;
	int r = prepare(replacement, mode, &replaced, ret_step);

	if (r == 0) {
		*ret_step = "rename";
		if (renameat(replacement->directory, replacement->temporary,
			    replacement->directory, replacement->name) < 0)
			r = -errno;
	}
	if (r == 0) {
		replacement->temporary[0] = '\0'; /* nothing left to remove */
		if (replaced >= 0)
			touch_replaced(replaced);
		/* it may have been swapped after the first check */
		r = check_name(replacement, replacement->name);
	}
	if (r == 0) {
		*ret_step = "sync directory";
		/* the status after the rename, which changed st_ctim */
		if (fsync(replacement->directory) < 0 ||
			fstat(replacement->file, &status) < 0)
			r = -errno;
	}
	if (r == 0)
		*ret = status;
	if (replaced >= 0)
		close(replaced);
	replacement_abort(replacement);
	return r;
}

/* Only what nobody else could have written is put in place. */
static int check_spare(const struct stat *status)
{
	return !S_ISREG(status->st_mode) || status->st_uid != geteuid() ||
			       status->st_size == 0 ||
			       (status->st_mode & (S_IWGRP | S_IWOTH))
		       ? -EPERM
		       : 0;
}

int replace_check_spare(int directory, const char *spare)
{
	struct stat status;

	if (fstatat(directory, spare, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return check_spare(&status);
}

int replace_open_spare(int directory, const char *spare, int *ret)
{
	struct stat status;
	int file = -1, r = replace_open_current(directory, spare, &file);

	if (r < 0)
		return r;
	r = fstat(file, &status) < 0 ? -errno : check_spare(&status);
	if (r < 0)
		close(file);
	else
		*ret = file;
	return r;
}

int replace_by_spare(int directory, const char *spare, const char *name, bool touch,
	const char **ret_step)
{
	int replaced = -1;
	int r;

	*ret_step = "check old file";
	r = check_replaced(directory, name, touch, &replaced);
	if (r < 0)
		return r;
	*ret_step = "rename the spare to";
	r = renameat(directory, spare, directory, name) < 0 ? -errno : 0;
	if (r == 0 && replaced >= 0)
		touch_replaced(replaced);
	if (replaced >= 0)
		close(replaced);
	if (r == 0) {
		*ret_step = "sync directory";
		r = fsync(directory) < 0 ? -errno : 0;
	}
	return r;
}

void replacement_abort(struct replacement *replacement)
{
	if (replacement->file < 0)
		return;
	if (replacement->temporary[0] != '\0')
		(void)unlinkat(replacement->directory, replacement->temporary, 0);
	close(replacement->file);
	replacement->file = -1;
}
