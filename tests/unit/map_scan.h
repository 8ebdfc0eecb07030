/* Reads a map by the format's own functions, which are written for this process's files:
 * dracd itself reads no map, and maps/mapread.c one that may be anything. */
#ifndef TESTS_UNIT_MAP_SCAN_H
#define TESTS_UNIT_MAP_SCAN_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/format.h"

struct map_scan {
	bool trailing_nul;
	int (*visit)(const char *key, const char *value, void *context);
	void *context;
};

/* The text of a row; -EBADMSG if its NUL is not where this map's reader expects it. */
static inline int map_scan_text(struct map_bytes bytes, bool trailing_nul, char **ret)
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

static inline int map_scan_row(
	struct map_bytes key_bytes, struct map_bytes value_bytes, void *context)
{
	const struct map_scan *scan = context;
	char *key = NULL, *value = NULL;
	int r = map_scan_text(key_bytes, scan->trailing_nul, &key);

	if (r == 0)
		r = map_scan_text(value_bytes, scan->trailing_nul, &value);
	if (r == 0)
		r = scan->visit(key, value, scan->context);
	free(key);
	free(value);
	return r;
}

/* Calls visit for every row in the file's order, key and value without trailing NUL (an
 * empty value where the type has none); a visit that returns nonzero ends the walk with
 * that value.  -EBADMSG: the NUL is not as settings say.  file is the full name. */
static inline int map_scan_file(const struct map_settings *settings, const char *file,
	int (*visit)(const char *key, const char *value, void *context), void *context)
{
	const struct map_format *format = map_type_format(settings->type);
	struct map_scan scan = {settings->trailing_nul, visit, context};

	return format ? format->scan(format, file, map_scan_row, &scan) : -EOPNOTSUPP;
}

/* The same, of the published file. */
static inline int map_scan(const struct map_settings *settings,
	int (*visit)(const char *key, const char *value, void *context), void *context)
{
	char *path;
	int r;

	if (asprintf(&path, "%s%s", settings->path, map_type_suffix(settings->type)) < 0)
		return -ENOMEM;
	r = map_scan_file(settings, path, visit, context);
	free(path);
	return r;
}

#endif
