/* A file is replaced, never edited: whoever reads it finds the old state or the new one.
 */
#include "dracd/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "dracd/cleanup.h"

enum {
	TEMPORARY_SIZE = 64
};

static int write_whole(int fd, const char *text, size_t length, bool is_synced)
{
	while (length > 0) {
		ssize_t written = write(fd, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		length -= (size_t)written;
	}
	return is_synced && fsync(fd) < 0 ? -errno : 0;
}

static int format_temporary(const char *name, char ret[TEMPORARY_SIZE])
{
	int length = snprintf(ret, TEMPORARY_SIZE, "%s.new", name);

	return length < 0 || length >= TEMPORARY_SIZE ? -ENAMETOOLONG : 0;
}

static int replace(
	int directory, const char *name, const char *text, size_t length, bool is_synced)
{
	_cleanup_(close_fd) int fd = -1;
	char temporary[TEMPORARY_SIZE];
	int r;

	r = format_temporary(name, temporary);
	if (r < 0)
		return r;
	fd = openat(directory, temporary,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, text, length, is_synced);
	if (r == 0 && renameat(directory, temporary, directory, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(directory, temporary, 0);
		return r;
	}
	return is_synced && fsync(directory) < 0 ? -errno : 0;
}

int file_replace(int directory, const char *name, const char *text, size_t length)
{
	return replace(directory, name, text, length, true);
}

int file_replace_unsynced(
	int directory, const char *name, const char *text, size_t length)
{
	return replace(directory, name, text, length, false);
}

void file_sweep(int directory, const char *name)
{
	char temporary[TEMPORARY_SIZE];

	if (format_temporary(name, temporary) == 0)
		(void)unlinkat(directory, temporary, 0);
}

int file_read(
	int directory, const char *name, size_t limit, char **ret, size_t *ret_length)
{
	_cleanup_(close_fd) int fd = -1;
	_cleanup_(free_pointer) char *text = NULL;
	struct stat status;
	size_t length = 0;

	fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size < 0 || (size_t)status.st_size > limit)
		return -EFBIG;
	text = malloc((size_t)status.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (length < (size_t)status.st_size) {
		ssize_t got = read(fd, text + length, (size_t)status.st_size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	text[length] = '\0';
	*ret = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}
