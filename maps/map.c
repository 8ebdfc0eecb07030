/* The life of a change to a map: begun on a temporary file, put and deleted through the
 * format's functions, and put in place by a replacement; or, of a change in place,
 * written by the format. */
#include "maps/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maps/map_internal.h"

enum {
	PATH_SIZE = sizeof("/proc/self/fd/2147483647"),
};

/* Splits the configured path into map->directory_path and map->name. */
static int set_names(struct map *map)
{
	const char *path = map->settings.path;
	const char *base = strrchr(path, '/');

	if (path[0] != '/' || !base || base[1] == '\0')
		return -EINVAL;
	base++;
	if (strlen(base) + strlen(map_type_suffix(map->settings.type)) > REPLACE_NAME_MAX)
		return -ENAMETOOLONG;
	map->directory_path =
		strndup(path, base == path + 1 ? 1 : (size_t)(base - path - 1));
	if (!map->directory_path)
		return -ENOMEM;
	if (asprintf(&map->name, "%s%s", base, map_type_suffix(map->settings.type)) < 0) {
		map->name = NULL;
		return -ENOMEM;
	}
	return 0;
}

int map_open_directory(struct map *map)
{
	int directory;
	int r;

	map->step = "open directory";
	r = replace_open_directory(map->directory_path, &directory);
	if (r < 0)
		return r;
	if (map->directory >= 0)
		close(map->directory);
	map->directory = directory;
	return 0;
}

/* The mode must not let others write, and must let us read for the next delta, or write
 * it in place. */
static int check_settings(
	const struct map_settings *settings, const struct map_format *format)
{
	if (!format)
		return -EOPNOTSUPP;
	if (settings->mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	if ((settings->mode & ~(mode_t)0777) || !(settings->mode & S_IRUSR))
		return -EINVAL;
	if (format->style == MAP_IN_PLACE && !(settings->mode & S_IWUSR))
		return -EINVAL;
	return format->is_text && settings->trailing_nul ? -EINVAL : 0;
}

static int open_files(struct map *map)
{
	struct map_identity identity;
	int r = set_names(map);

	if (r == 0)
		r = map_open_directory(map);
	if (r == 0)
		r = replace_sweep(map->directory, map->name);
	if (r < 0)
		return r;
	r = map_identify(map, &identity);
	return r == -ENOENT ? 0 : r;
}

int map_open(const struct map_settings *settings, struct map **ret)
{
	const struct map_format *format = map_type_format(settings->type);
	struct map *map;
	int r = check_settings(settings, format);

	if (r < 0)
		return r;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->settings = *settings;
	map->format = format;
	map->directory = -1;
	map->replacement.file = map->published = -1;
	map->step = "open";
	r = open_files(map);
	if (r < 0)
		map_close(map);
	else
		*ret = map;
	return r;
}

/* Without waiting; what cannot be emptied now is tried again. */
static void empty_replaced(struct map *map)
{
	if (!map->is_trusting)
		(void)replaced_empty(&map->replaced, map->format, 0);
}

bool map_empty_replaced(struct map *map, unsigned wait_msec)
{
	return replaced_empty(&map->replaced, map->format, wait_msec);
}

void map_give_up_replaced(struct map *map)
{
	replaced_give_up(&map->replaced);
}

uint64_t map_given_up(const struct map *map)
{
	return map->replaced.given_up;
}

void map_trust_published(struct map *map)
{
	map->is_trusting = true;
	if (map_identify(map, &map->known) < 0)
		map->known = (struct map_identity){0};
}

struct map *map_close(struct map *map)
{
	if (!map)
		return NULL;
	map_abort(map);
	empty_replaced(map);
	replaced_give_up(&map->replaced);
	if (map->directory >= 0)
		close(map->directory);
	free(map->directory_path);
	free(map->name);
	free(map);
	return NULL;
}

int map_identify(const struct map *map, struct map_identity *ret)
{
	struct stat status;

	if (fstatat(map->directory, map->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EPERM;
	*ret = map_identity_of(&status);
	return 0;
}

/* ---- beginning ---- */

/* Libraries want a path.  This one leads to the file that we hold open, whatever has come
 * to stand under its name by now. */
static int open_writer(struct map *map)
{
	const bool in_place = map->replacement.file < 0;
	char path[PATH_SIZE];
	const struct map_work work = {
		.path = path,
		.page_size = map->settings.page_size,
		.is_delta = map->is_delta,
		.is_whole = map->is_whole,
		.published = map->published,
		.identity = &map->identity,
	};

	snprintf(path, sizeof(path), "/proc/self/fd/%d",
		in_place ? map->published : map->replacement.file);
	map->step = in_place ? "open published file" : "open temporary file";
	return map->format->open(map->format, &work, &map->writer);
}

int map_begin_temporary(struct map *map)
{
	map->step = "create temporary file";
	return replacement_begin(map->directory, map->name, &map->replacement);
}

static int copy_published(struct map *map)
{
	int r;

	map->step = "copy";
	r = replacement_copy(
		&map->replacement, map->published, (off_t)map->identity.size);
	return r == 0 ? map_check_identity(map->published, &map->identity) : r;
}

static int begin_delta(struct map *map, const struct map_identity *expected)
{
	const enum map_style style = map->format->style;
	int r;

	map->step = "open published file";
	r = replace_open_current(map->directory, map->name, &map->published);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	map->identity = *expected;
	r = map_check_identity(map->published, expected);
	if (r == 0)
		map->known = *expected;
	if (r == 0 && style != MAP_IN_PLACE)
		r = map_begin_temporary(map);
	if (r == 0 && style == MAP_EDITS)
		r = copy_published(map);
	return r == 0 ? open_writer(map) : r;
}

int map_begin(struct map *map, bool is_delta)
{
	if (map->writer || map->replacement.file >= 0)
		return -EBUSY;
	empty_replaced(map);
	map->is_delta = is_delta;
	map->is_whole = false;
	map->error = 0;
	return map_open_directory(map);
}

int map_begin_rebuild(struct map *map)
{
	int r = map_begin(map, false);

	if (r < 0)
		return r;
	r = map_begin_temporary(map);
	if (r == 0)
		r = open_writer(map);
	if (r < 0)
		map_abort(map);
	return r;
}

static int begin_expected(
	struct map *map, const struct map_identity *expected, bool is_whole)
{
	int r = map_begin(map, true);

	if (r < 0)
		return r;
	map->is_whole = is_whole;
	r = begin_delta(map, expected);
	if (r < 0)
		map_abort(map);
	/* it was ours when we published it, and is no map any more */
	return r == -EBADMSG ? -ESTALE : r;
}

int map_begin_delta(struct map *map, const struct map_identity *expected)
{
	return begin_expected(map, expected, false);
}

int map_begin_whole(struct map *map, const struct map_identity *expected)
{
	if (map->format->style != MAP_IN_PLACE)
		return -EOPNOTSUPP;
	return begin_expected(map, expected, true);
}

/* ---- changing ---- */

static struct map_bytes to_bytes(const struct map *map, const char *text)
{
	return (struct map_bytes){
		text, strlen(text) + (map->settings.trailing_nul ? 1 : 0)};
}

/* Remembers the first failure, because a map with a row missing must not be published. */
static int note_error(struct map *map, const char *step, int r)
{
	if (r == -EBADMSG && map->is_delta)
		r = -ESTALE;
	if (r < 0) {
		map->step = step;
		map->error = r;
	}
	return r;
}

bool map_has_order(const struct map *map)
{
	return map->format->order != NULL;
}

unsigned map_order(const struct map *map, const char *key)
{
	return map->format->order(to_bytes(map, key));
}

int map_put(struct map *map, const char *key, const char *value)
{
	if (!map->writer || !map_can_hold(map->format, key) ||
		!map_can_hold(map->format, value))
		return -EINVAL;
	if (map->error)
		return map->error;
	return note_error(map, "write",
		map->format->put(map->writer, to_bytes(map, key), to_bytes(map, value)));
}

int map_delete(struct map *map, const char *key)
{
	if (!map->writer || *key == '\0')
		return -EINVAL;
	if (map->error)
		return map->error;
	return note_error(
		map, "delete", map->format->remove(map->writer, to_bytes(map, key)));
}

/* ---- committing ---- */

static bool is_in_place(const struct map *map)
{
	return map->replacement.file < 0;
}

int map_finish(struct map *map, struct map_counts *ret)
{
	int r = map->error;

	if (!map->writer)
		return -EINVAL;
	if (r < 0)
		return r;
	map->step = "write";
	r = map->format->finish(map->writer, ret);
	map->writer = NULL;
	if (is_in_place(map)) /* if it is damaged nobody opens it any more */
		map->known = r == -EBADMSG ? (struct map_identity){0} : map->identity;
	if (r == 0 && map->is_delta && ret->added + ret->removed + ret->replaced == 0)
		return MAP_UNCHANGED;
	/* what was read for the new file must have been the old one to the end */
	if (r == 0 && map->is_delta && map->format->style == MAP_REWRITES)
		r = map_check_identity(map->published, &map->identity);
	return r == -EBADMSG && map->is_delta ? -ESTALE : r;
}

int map_open_replaced(const struct map *map)
{
	int file;

	if (!map->format->empty ||
		replace_open_current(map->directory, map->name, &file) < 0)
		return -1;
	if (map_check_content(file, &map->known) == 0)
		return file;
	close(file);
	return -1;
}

/* The name may still be its own, if the replacement has failed. */
static bool is_replaced(const struct map *map, int file)
{
	struct stat status, named;

	return fstat(file, &status) == 0 &&
	       (fstatat(map->directory, map->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
		       named.st_dev != status.st_dev || named.st_ino != status.st_ino);
}

void map_keep_replaced(struct map *map, int file)
{
	if (file < 0)
		return;
	if (!is_replaced(map, file)) {
		close(file);
		return;
	}
	replaced_keep(&map->replaced, file);
	empty_replaced(map);
}

int map_put_in_place(struct map *map, const char *name, bool touch)
{
	const struct replacement_mode mode = {
		.mode = map->settings.mode,
		.group = map->settings.group,
		.touch_replaced = touch,
	};
	struct stat status;
	int r;

	map->replacement.name = name;
	r = replacement_commit(&map->replacement, &mode, &status, &map->step);
	if (r == 0)
		map->identity = map_identity_of(&status);
	return r;
}

int map_publish_temporary(struct map *map)
{
	int replaced, r;

	if (is_in_place(map)) /* it has been written there */
		return 0;
	replaced = map_open_replaced(map);
	r = map_put_in_place(map, map->name, map->settings.wake_readers);
	if (r == 0)
		map->known = map->identity;
	map_keep_replaced(map, replaced);
	return r;
}

int map_commit(struct map *map, struct map_identity *ret, struct map_counts *ret_counts)
{
	const bool in_place = map->writer && is_in_place(map);
	struct map_counts counts = {0};
	int r = map_finish(map, &counts);

	if (r == 0)
		r = map_publish_temporary(map);
	if (r == 0 || in_place)
		*ret = map->identity;
	if (r >= 0 || in_place)
		*ret_counts = counts;
	map_abort(map); /* whatever is left of the change */
	return r;
}

void map_abort(struct map *map)
{
	if (map->writer)
		map->format->discard(map->writer);
	map->writer = NULL;
	replacement_abort(&map->replacement);
	if (map->published >= 0)
		close(map->published);
	map->published = -1;
	map->error = 0;
}

const char *map_failed_step(const struct map *map)
{
	return map->step;
}
