/* See replaced.h. */
#include "maps/replaced.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PATH_SIZE = sizeof("/proc/self/fd/2147483647"),
};

static void drop(struct replaced *replaced, unsigned index, bool is_empty)
{
	struct replaced_file *file = &replaced->files[index];

	close(file->file);
	replaced->given_up += !is_empty;
	replaced->count--;
	memmove(file, file + 1, (replaced->count - index) * sizeof(*file));
}

void replaced_keep(struct replaced *replaced, int file)
{
	struct stat status;

	if (fstat(file, &status) < 0) {
		close(file);
		return;
	}
	if (replaced->count == REPLACED_MAX)
		drop(replaced, 0, false);
	replaced->files[replaced->count++] = (struct replaced_file){
		.file = file, .identity = map_identity_of(&status)};
}

/* Drops it, if there is nothing more to be done about it. */
static bool try_one(struct replaced *replaced, unsigned index,
	const struct map_format *format, unsigned wait_msec)
{
	struct replaced_file *file = &replaced->files[index];
	char path[PATH_SIZE];
	struct stat status;
	int r;

	/* nobody finds it by name any more who needs to be kept from reading it */
	if (fstat(file->file, &status) == 0 && !(status.st_mode & S_IWUSR))
		(void)fchmod(file->file, S_IRUSR | S_IWUSR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->file);
	r = format->empty(path, &file->identity, wait_msec);
	if (r < 0 && r != -ESTALE && r != -EBADMSG)
		return false;
	drop(replaced, index, r == 0);
	return true;
}

static void try_all(
	struct replaced *replaced, const struct map_format *format, unsigned wait_msec)
{
	for (unsigned i = 0; i < replaced->count;)
		if (!try_one(replaced, i, format, wait_msec))
			i++;
}

static int64_t now_msec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool replaced_empty(
	struct replaced *replaced, const struct map_format *format, unsigned wait_msec)
{
	const int64_t end = now_msec() + wait_msec;

	try_all(replaced, format, 0);
	for (unsigned left = replaced->count; left > 0; left--) {
		int64_t wait = end - now_msec();

		if (wait <= 0)
			break;
		(void)try_one(replaced, left - 1, format, (unsigned)wait);
	}
	return replaced->count == 0;
}

void replaced_give_up(struct replaced *replaced)
{
	while (replaced->count > 0)
		drop(replaced, replaced->count - 1, false);
}
