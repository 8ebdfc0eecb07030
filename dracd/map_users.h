/* Who has logged in from an address, as a map shows it. */
#ifndef DRACD_MAP_USERS_H
#define DRACD_MAP_USERS_H

#include <stdbool.h>
#include <stddef.h>

#include "dracd/config.h"
#include "dracd/table.h"

/* All zero: empty. */
struct text {
	char *data;
	size_t length, room;
};

/* The value of the map's rows is not constant, but who has logged in. */
bool map_shows_users(const struct map_config *map);

/* Appends the users whose part in the lease lasts beyond boot_usec, the latest first,
 * with ", " between them and a NUL at the end; those whose name could be taken for
 * something else in a line are left out.  Reads in the reader's snapshot. */
int map_users_add(struct table_reader *reader, const struct lease *lease,
	uint64_t boot_usec, struct text *text) __attribute__((warn_unused_result));

#endif
