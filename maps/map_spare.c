/* The spare of a map: a whole file beside it, which was made while all was well. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "maps/map_internal.h"

static int spare_name(const struct map *map, char name[NAME_MAX + 1])
{
	int length = snprintf(name, NAME_MAX + 1, ".%s.spare", map->name);

	return length < 0 || length > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* False of one that is left from another type of the same name, which an MTA cannot open.
 */
static bool is_of_type(const struct map *map, int file)
{
	const uint32_t wanted = map->format->magic;
	uint32_t magic;

	return wanted == 0 || (pread(file, &magic, sizeof(magic), MAP_MAGIC_AT) ==
					      (ssize_t)sizeof(magic) &&
				      magic == wanted);
}

/* As replace_open_spare(). */
static int open_spare(const struct map *map, const char *name, int *ret)
{
	int file, r = replace_open_spare(map->directory, name, &file);

	if (r < 0)
		return r;
	if (!is_of_type(map, file)) {
		close(file);
		return -EPERM;
	}
	*ret = file;
	return 0;
}

/* Fills the temporary file of the change that has begun. */
static int copy_spare(struct map *map, int spare)
{
	struct stat status;
	int r;

	if (fstat(spare, &status) < 0)
		return -errno;
	r = map_begin_temporary(map);
	if (r < 0)
		return r;
	map->step = "copy the spare of";
	return replacement_copy(&map->replacement, spare, status.st_size);
}

int map_commit_spare(struct map *map)
{
	char name[NAME_MAX + 1];
	struct map_counts counts = {0};
	int r = spare_name(map, name);

	if (r == 0)
		r = map_finish(map, &counts);
	if (r == 0)
		r = map_put_in_place(map, name, false);
	map_abort(map);
	return r;
}

int map_restore_spare(struct map *map, struct map_identity *ret)
{
	char name[NAME_MAX + 1];
	int spare, r = map_begin(map, false);

	if (r == 0)
		r = spare_name(map, name);
	if (r < 0)
		return r;
	r = open_spare(map, name, &spare);
	if (r < 0)
		return r == -EPERM ? -ENOENT : r;
	r = copy_spare(map, spare);
	close(spare);
	if (r == 0)
		r = map_publish_temporary(map);
	if (r == 0)
		*ret = map->identity;
	map_abort(map);
	return r;
}

static bool begins_as_ours(const struct map *map, int file)
{
	char begin[128];
	const size_t length = strlen(map->format->first_line);
	ssize_t got = pread(file, begin, sizeof(begin), 0);

	return got == 0 || (got >= (ssize_t)length &&
				   memcmp(begin, map->format->first_line, length) == 0);
}

bool map_is_foreign(const struct map *map)
{
	char name[NAME_MAX + 1];
	struct stat status;
	bool is_foreign;
	int file, r;

	if (!map->format->first_line || spare_name(map, name) < 0 ||
		fstatat(map->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return false;
	r = replace_open_current(map->directory, map->name, &file);
	if (r < 0)
		return r == -EACCES; /* ours can be read */
	is_foreign = !begins_as_ours(map, file);
	close(file);
	return is_foreign;
}

/* The spare, which has been put in place, is made again, if there is room.  (A link would
 * do without, but would hide from Postfix that the file is replaced.) */
static int make_again(struct map *map, int spare, const char *name)
{
	int r = copy_spare(map, spare);

	if (r == 0)
		r = map_put_in_place(map, name, false);
	map_abort(map);
	return r;
}

int map_remake_spare(struct map *map)
{
	char name[NAME_MAX + 1];
	int file, r = spare_name(map, name);

	if (r < 0 || replace_check_spare(map->directory, name) == 0)
		return r;
	r = replace_open_current(map->directory, map->name, &file);
	if (r < 0)
		return r;
	r = make_again(map, file, name);
	close(file);
	return r;
}

static bool is_want_of_descriptors(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

int map_use_spare(struct map *map)
{
	char name[NAME_MAX + 1];
	const char *step;
	bool is_safe;
	int spare, replaced, r = spare_name(map, name);

	map_abort(map);
	if (r == 0)
		r = map_open_directory(map);
	is_safe = r == 0;
	/* where others can write by now, or the directory was moved away, or there is no
	 * descriptor for another look or the disk does not let us have it, who is in gets
	 * out: in the directory that was safe when it was opened */
	if (map->directory >= 0 &&
		(r == -EPERM || r == -ENOENT || r == -EIO || is_want_of_descriptors(r)))
		r = 0;
	if (r < 0)
		return r;
	map->step = "open the spare of";
	r = open_spare(map, name, &spare);
	if (is_want_of_descriptors(r)) {
		spare = -1;
		r = replace_check_spare(map->directory, name);
	}
	if (r < 0)
		return r;
	replaced = map_open_replaced(map);
	r = replace_by_spare(
		map->directory, name, map->name, map->settings.wake_readers, &map->step);
	map_keep_replaced(map, replaced);
	step = map->step;
	if (r == 0 && is_safe && spare >= 0)
		(void)make_again(map, spare, name);
	map->step = step;
	if (spare >= 0)
		close(spare);
	return r;
}
