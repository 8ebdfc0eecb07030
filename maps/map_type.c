/* The types of maps: their names, what is built in, and reading a file of each. */
#include <byteswap.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

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

/* The number stands behind the log sequence number and the number of the page, in the
 * byte order of who made the file. */
int map_type_find(int file, enum map_type *ret)
{
	const uint32_t hash = 0x061561, btree = 0x053162;
	enum map_type type;
	uint32_t found;

	if (pread(file, &found, sizeof(found), 12) != (ssize_t)sizeof(found))
		return -EBADMSG;
	if (found == bswap_32(hash) || found == bswap_32(btree))
		found = bswap_32(found);
	if (found != hash && found != btree)
		return -EBADMSG;
	type = found == hash ? MAP_HASH : MAP_BTREE;
	if (!types[type].format)
		return -EOPNOTSUPP;
	*ret = type;
	return 0;
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
