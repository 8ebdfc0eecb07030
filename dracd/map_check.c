/*
 * Is the file in the map's place the one that was published?
 *
 * What counts is what a mail server finds by name, so the path is followed anew each
 * time: a directory that was replaced shows as another file.  The file is not opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dracd/cleanup.h"
#include "dracd/map_fallback.h"

/* NULL: nobody but us and root can replace what is in there. */
static const char *check_directory(const char *path)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return "cannot be reached";
	if (!S_ISDIR(status.st_mode))
		return "is behind a symbolic link";
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) ||
		(status.st_uid != geteuid() && status.st_uid != 0))
		return "stands in a directory that others can change";
	return NULL;
}

/* NULL: it is the one; else what was found, as the log says it behind the path. */
static const char *compare_file(const struct map_worker *worker, const char *path)
{
	const struct map_identity *wanted = &worker->file;
	struct stat status;
	struct map_identity found;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? "is gone" : "cannot be reached";
	if (!S_ISREG(status.st_mode))
		return "was replaced by what is no file";
	found = map_identity_of(&status);
	if (map_identity_equal(&found, wanted))
		return NULL;
	if (found.device != wanted->device || found.inode != wanted->inode)
		return "was replaced by someone else";
	if (found.size == 0)
		return "was truncated by someone else";
	if (status.st_uid != geteuid() ||
		(status.st_mode & 07777) != worker->settings.map->mode)
		return "was given another owner or mode";
	return "was changed by someone else";
}

static const char *find_difference(const struct map_worker *worker)
{
	const struct map_config *map = worker->settings.map;
	const char *found = compare_file(worker, map->file);
	_cleanup_(free_pointer) char *path = NULL;

	if (found)
		return found;
	path = strdup(map->file);
	if (!path)
		return NULL; /* the next check may have the memory */
	*strrchr(path, '/') = '\0';
	return check_directory(*path ? path : "/");
}

bool map_check(struct map_worker *worker)
{
	const char *found;

	if (!worker->now.has_published)
		return false; /* a rebuild is due in any case */
	found = find_difference(worker);
	if (!found)
		return false;
	worker->now.found = found;
	worker->now.found_count++;
	worker->now.found_boot_usec = clock_now().boot_usec;
	map_fallback_distrust(worker); /* so it is told once */
	return true;
}

void map_note_given_up(struct map_worker *worker)
{
	const uint64_t count = worker->map ? map_given_up(worker->map) : 0;

	if (count > worker->given_up) {
		worker->now.given_up_count += count - worker->given_up;
		worker->now.given_up_boot_usec = clock_now().boot_usec;
	}
	worker->given_up = count;
}
