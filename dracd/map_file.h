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

/* Makes the spare: the static rows of access alone, to be put in place on a full disk. */
int map_file_make_spare(struct map *map, const struct access *access)
	__attribute__((warn_unused_result));

/* Publishes the static rows of access alone; if they cannot be written, the spare. */
int map_file_withdraw(struct map *map, const struct access *access)
	__attribute__((warn_unused_result));

#endif
