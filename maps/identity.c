/* Which file it is, and whether it still is the one that we have written. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maps/format.h"

struct map_identity map_identity_of(const struct stat *status)
{
	return (struct map_identity){
		.device = status->st_dev,
		.inode = status->st_ino,
		.size = status->st_size,
		.changed = status->st_ctim,
		.written = status->st_mtim,
	};
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool map_identity_equal(const struct map_identity *a, const struct map_identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(a->changed, b->changed);
}

int map_identify_file(int file, struct map_identity *ret)
{
	struct stat status;

	if (fstat(file, &status) < 0)
		return -errno;
	*ret = map_identity_of(&status);
	return 0;
}

/* A file that others may write to is not what we made of it, whatever its identity. */
static int identify_ours(int file, struct map_identity *ret)
{
	struct stat status;

	if (fstat(file, &status) < 0)
		return -errno;
	if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return -ESTALE;
	*ret = map_identity_of(&status);
	return 0;
}

int map_check_identity(int file, const struct map_identity *expected)
{
	struct map_identity identity = {0};
	int r = identify_ours(file, &identity);

	if (r < 0)
		return r;
	return map_identity_equal(&identity, expected) ? 0 : -ESTALE;
}

int map_check_content(int file, const struct map_identity *expected)
{
	struct map_identity identity = {0};
	int r = identify_ours(file, &identity);

	if (r < 0)
		return r;
	identity.changed = expected->changed;
	return map_identity_equal(&identity, expected) &&
			       same_time(identity.written, expected->written)
		       ? 0
		       : -ESTALE;
}
