/* From a map's configuration to its file: what a worker and the guardian both do. */
#ifndef DRACD_MAP_FILE_H
#define DRACD_MAP_FILE_H

#include "dracd/config.h"
#include "maps/access.h"
#include "maps/map.h"

/* All keys of the address in this map; as key_format(). */
int map_file_format_keys(const struct map_config *config, const struct address *address,
	struct keys *ret) __attribute__((warn_unused_result));

/* The constant value of every lease in it, unless that is a deadline. */
const char *map_file_value(const struct map_config *config);

/* The value of a lease is a number, as in a file of DRAC: until when it could last. */
bool map_file_has_deadline(const struct map_config *config);

int map_file_open(const struct map_config *config, struct map **ret)
	__attribute__((warn_unused_result));

/* Puts all static rows (access NULL: none) into the change in progress. */
int map_file_put_static(struct map *map, const struct access *access)
	__attribute__((warn_unused_result));

/* The static file could not be read, and is not known from before.  Then nobody is let
 * in, as one of its rows may be the REJECT that matters. */
bool map_file_lacks_static(const struct map_config *config, const struct access *access);

/* Makes the spare: the static rows of access alone, to be put in place on a full disk, or
 * when the static file cannot be read. */
int map_file_make_spare(struct map *map, const struct access *access)
	__attribute__((warn_unused_result));

enum {
	MAP_FILE_BARE = 1, /* published without any row */
};

/* Of a map that lacks its static rows: publishes the spare, which has them as they were
 * last good, and keeps it; if there is none, a map without rows. */
int map_file_restore(struct map *map, struct map_identity *ret)
	__attribute__((warn_unused_result));

/* Publishes the static rows of access alone, or as map_file_restore() if they are
 * lacking; if they cannot be written, the spare.  What is foreign has no lease in it, and
 * is left as it is. */
int map_file_withdraw(const struct map_config *config, struct map *map,
	const struct access *access) __attribute__((warn_unused_result));

#endif
