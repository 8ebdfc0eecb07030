/* The types of maps: their names, what is built in, and reading a file of each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/format.h"
#include "maps/map.h"

#if WITH_BDB
#define BDB(format) &(format)
#else
#define BDB(format) NULL
#endif
#if WITH_CDB
#define CDB(format) &(format)
#else
#define CDB(format) NULL
#endif

/* The suffix is here, too, because it is asked for formats that are not built in. */
static const struct {
	const char *name;
	const char *suffix;
	const struct map_format *format; /* NULL: not built in */
} types[MAP_TYPE_COUNT] = {
	[MAP_HASH] = {"hash", ".db", BDB(map_format_hash)},
	[MAP_BTREE] = {"btree", ".db", BDB(map_format_btree)},
	[MAP_LMDB] = {"lmdb", ".lmdb", &map_format_lmdb},
	[MAP_CDB] = {"cdb", ".cdb", CDB(map_format_cdb)},
	[MAP_IPLSEARCH] = {"iplsearch", "", &map_format_iplsearch},
	[MAP_LSEARCH] = {"lsearch", "", &map_format_lsearch},
	[MAP_CIDR] = {"cidr", "", &map_format_cidr},
	[MAP_TEXTHASH] = {"texthash", "", &map_format_texthash},
	[MAP_RELAYHOSTS] = {"relayhosts", "", &map_format_relayhosts},
	[MAP_RELAYHOSTSUSERS] = {"relayhostsusers", "", &map_format_relayhostsusers},
};

int map_type_parse(const char *text, enum map_type *ret)
{
	for (unsigned i = 0; i < MAP_TYPE_COUNT; i++)
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

const struct map_format *map_type_format(enum map_type type)
{
	return types[type].format;
}

bool map_type_has_no_values(enum map_type type)
{
	return types[type].format && types[type].format->has_no_values;
}

bool map_type_is_text(enum map_type type)
{
	return types[type].format && types[type].format->is_text;
}

bool map_type_is_in_place(enum map_type type)
{
	return types[type].format && types[type].format->style == MAP_IN_PLACE;
}

bool map_type_wears_out(enum map_type type)
{
	return types[type].format && types[type].format->style == MAP_EDITS;
}

/* A control character could end the line of a text. */
bool map_can_hold(const struct map_format *format, const char *text)
{
	bool can = *text != '\0';

	for (; format->is_text && *text && can; text++)
		can = (unsigned char)*text >= ' ' && *text != 0x7f && *text != '"';
	return can;
}

/* ---- scans ---- */

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

int map_scan_file(const struct map_settings *settings, const char *file,
	int (*visit)(const char *key, const char *value, void *context), void *context)
{
	const struct map_format *format = types[settings->type].format;
	struct scan scan = {settings->trailing_nul, visit, context};

	return format ? format->scan(format, file, visit_row, &scan) : -EOPNOTSUPP;
}

int map_scan(const struct map_settings *settings,
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
