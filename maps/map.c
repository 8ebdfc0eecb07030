/* The life of a change to a map: begun on a temporary file, put and deleted through the
 * format's functions, and put in place by a replacement. */
#include "maps/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maps/format.h"
#include "maps/replace.h"

enum {
	PATH_SIZE = NAME_MAX + sizeof("/proc/self/fd/2147483647/"),
};

/* The suffix is here, too, because it is asked for formats that are not built in. */
static const struct {
	const char *name;
	const char *suffix;
	const struct map_format *format; /* NULL: not built in */
} types[] = {
#if WITH_BDB
	[MAP_HASH] = {"hash", ".db", &map_format_hash},
#else
	[MAP_HASH] = {"hash", ".db", NULL},
#endif
};

struct map {
	struct map_settings settings;
	const struct map_format *format;
	char *directory_path;
	char *name; /* of the file, with suffix */
	int directory;
	struct replacement replacement; /* of the change in progress, if any */
	void *writer;                   /* NULL: none, or already finished */
	int error;                      /* the first failure within the change */
	const char *step;
};

int map_type_parse(const char *text, enum map_type *ret)
{
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(text, types[i].name) == 0) {
			if (!types[i].format)
				return -EOPNOTSUPP;
			*ret = (enum map_type)i;
			return 0;
		}
	return -EINVAL;
}

const char *map_type_name(enum map_type type)
{
	return types[type].name;
}

const char *map_type_suffix(enum map_type type)
{
	return types[type].suffix;
}

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

/* Opens what the path names now: were the directory replaced since, we would go on
 * publishing where nobody looks. */
static int open_directory(struct map *map)
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

/* The mode must not let others write, and must let us read for the next delta. */
static int check_settings(const struct map_settings *settings)
{
	if (!types[settings->type].format)
		return -EOPNOTSUPP;
	if (settings->mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	if ((settings->mode & ~(mode_t)0777) || !(settings->mode & S_IRUSR))
		return -EINVAL;
	return 0;
}

static int open_files(struct map *map)
{
	struct map_identity identity;
	int r = set_names(map);

	if (r == 0)
		r = open_directory(map);
	if (r == 0)
		r = replace_sweep(map->directory, map->name);
	if (r < 0)
		return r;
	r = map_identify(map, &identity);
	return r == -ENOENT ? 0 : r;
}

int map_open(const struct map_settings *settings, struct map **ret)
{
	struct map *map;
	int r = check_settings(settings);

	if (r < 0)
		return r;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->settings = *settings;
	map->format = types[settings->type].format;
	map->directory = -1;
	map->replacement.file = -1;
	map->step = "open";
	r = open_files(map);
	if (r < 0)
		map_close(map);
	else
		*ret = map;
	return r;
}

struct map *map_close(struct map *map)
{
	if (!map)
		return NULL;
	map_abort(map);
	if (map->directory >= 0)
		close(map->directory);
	free(map->directory_path);
	free(map->name);
	free(map);
	return NULL;
}

static struct map_identity identity_of(const struct stat *status)
{
	return (struct map_identity){
		.device = status->st_dev,
		.inode = status->st_ino,
		.size = status->st_size,
		.changed = status->st_ctim,
	};
}

int map_identify(const struct map *map, struct map_identity *ret)
{
	struct stat status;

	if (fstatat(map->directory, map->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EPERM;
	*ret = identity_of(&status);
	return 0;
}

bool map_identity_equal(const struct map_identity *a, const struct map_identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* A file that others may write to is not what we made of it, whatever its identity. */
static int check_expected(int file, const struct map_identity *expected)
{
	struct map_identity identity;
	struct stat status;

	if (fstat(file, &status) < 0)
		return -errno;
	identity = identity_of(&status);
	if (!map_identity_equal(&identity, expected) || status.st_uid != geteuid() ||
		(status.st_mode & (S_IWGRP | S_IWOTH)))
		return -ESTALE;
	return 0;
}

/* Opens the format's writer on the temporary file.  Libraries want a path; this one leads
 * through the directory we hold open, whatever its name is by now. */
static int open_writer(struct map *map, enum map_source source)
{
	char path[PATH_SIZE];
	int length = snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", map->directory,
		map->replacement.temporary);

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	map->step = "open temporary file";
	return map->format->open(map->format, path, source, &map->writer);
}

static int begin_copy(struct map *map, int current, const struct map_identity *expected)
{
	int r = check_expected(current, expected);

	if (r < 0)
		return r;
	map->step = "create temporary file";
	r = replacement_begin(map->directory, map->name, &map->replacement);
	if (r < 0)
		return r;
	map->step = "copy";
	r = replacement_copy(&map->replacement, current, (off_t)expected->size);
	if (r == 0)
		r = check_expected(current, expected);
	if (r == 0)
		r = open_writer(map, MAP_SOURCE_COPY);
	return r;
}

/* What both kinds of change begin with. */
static int begin(struct map *map)
{
	if (map->replacement.file >= 0)
		return -EBUSY;
	map->error = 0;
	return open_directory(map);
}

int map_begin_rebuild(struct map *map)
{
	int r = begin(map);

	if (r < 0)
		return r;
	map->step = "create temporary file";
	r = replacement_begin(map->directory, map->name, &map->replacement);
	if (r == 0)
		r = open_writer(map, MAP_SOURCE_EMPTY);
	if (r < 0)
		map_abort(map);
	return r;
}

int map_begin_delta(struct map *map, const struct map_identity *expected)
{
	int current;
	int r = begin(map);

	if (r < 0)
		return r;
	map->step = "open published file";
	r = replace_open_current(map->directory, map->name, &current);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	r = begin_copy(map, current, expected);
	close(current);
	if (r < 0)
		map_abort(map);
	return r;
}

static struct map_bytes to_bytes(const struct map *map, const char *text)
{
	return (struct map_bytes){
		text, strlen(text) + (map->settings.trailing_nul ? 1 : 0)};
}

/* Remembers the first failure, because a map with a row missing must not be published. */
static int note_error(struct map *map, const char *step, int r)
{
	if (r < 0) {
		map->step = step;
		map->error = r;
	}
	return r;
}

int map_put(struct map *map, const char *key, const char *value)
{
	if (!map->writer || *key == '\0' || *value == '\0')
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

/* Finishes the change in progress as the file name. */
static int commit_as(struct map *map, const char *name, bool touch, struct stat *ret)
{
	const struct replacement_mode mode = {
		.mode = map->settings.mode,
		.group = map->settings.group,
		.touch_replaced = touch,
	};
	int r = map->error;

	if (!map->writer)
		return -EINVAL;
	if (r == 0) {
		map->step = "write";
		r = map->format->finish(map->writer);
		map->writer = NULL;
	}
	if (r == 0) {
		map->replacement.name = name;
		r = replacement_commit(&map->replacement, &mode, ret, &map->step);
	}
	if (r < 0)
		map_abort(map);
	return r;
}

int map_commit(struct map *map, struct map_identity *ret)
{
	struct stat status;
	int r = commit_as(map, map->name, map->settings.wake_readers, &status);

	if (r == 0)
		*ret = identity_of(&status);
	return r;
}

static int spare_name(const struct map *map, char name[NAME_MAX + 1])
{
	int length = snprintf(name, NAME_MAX + 1, ".%s.spare", map->name);

	return length < 0 || length > NAME_MAX ? -ENAMETOOLONG : 0;
}

int map_commit_spare(struct map *map)
{
	char name[NAME_MAX + 1];
	struct stat status;
	int r = spare_name(map, name);

	if (r == 0)
		return commit_as(map, name, false, &status);
	map_abort(map);
	return r;
}

int map_use_spare(struct map *map)
{
	char name[NAME_MAX + 1];
	int r = spare_name(map, name);

	map_abort(map);
	if (r == 0)
		r = open_directory(map);
	if (r == 0)
		r = replace_by_spare(map->directory, name, map->name,
			map->settings.wake_readers, &map->step);
	return r;
}

void map_abort(struct map *map)
{
	if (map->writer)
		map->format->discard(map->writer);
	map->writer = NULL;
	replacement_abort(&map->replacement);
	map->error = 0;
}

const char *map_failed_step(const struct map *map)
{
	return map->step;
}

struct scan {
	bool trailing_nul;
	int (*visit)(const char *key, const char *value, void *context);
	void *context;
};

/* The text of a row; -EBADMSG if its NUL is not where this map's reader expects it. */
static int to_text(struct map_bytes bytes, bool trailing_nul, char **ret)
{
	const char *data = bytes.data;
	size_t length = bytes.size;
	char *text;

	if (trailing_nul && (length == 0 || data[--length] != '\0'))
		return -EBADMSG;
	if (length > 0 && memchr(data, '\0', length))
		return -EBADMSG;
	text = strndup(length > 0 ? data : "", length);
	if (!text)
		return -ENOMEM;
	*ret = text;
	return 0;
}

static int visit_row(
	struct map_bytes key_bytes, struct map_bytes value_bytes, void *context)
{
	const struct scan *scan = context;
	char *key = NULL, *value = NULL;
	int r = to_text(key_bytes, scan->trailing_nul, &key);

	if (r == 0)
		r = to_text(value_bytes, scan->trailing_nul, &value);
	if (r == 0)
		r = scan->visit(key, value, scan->context);
	free(key);
	free(value);
	return r;
}

int map_scan(const struct map_settings *settings,
	int (*visit)(const char *key, const char *value, void *context), void *context)
{
	const struct map_format *format = types[settings->type].format;
	struct scan scan = {settings->trailing_nul, visit, context};
	char *path;
	int r;

	if (!format)
		return -EOPNOTSUPP;
	if (asprintf(&path, "%s%s", settings->path, map_type_suffix(settings->type)) < 0)
		return -ENOMEM;
	r = format->scan(format, path, visit_row, &scan);
	free(path);
	return r;
}
