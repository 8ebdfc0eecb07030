/* Addresses that a map worker has copied from a snapshot, for what it will write. */
#ifndef DRACD_MAP_ROWS_H
#define DRACD_MAP_ROWS_H

#include "dracd/map_users.h"

#define ROWS_END UINT32_MAX

/* There may be a million of them: 24 octets each. */
struct rows {
	struct map_row {
		struct address address;
		bool admitted;
		uint32_t next; /* of rows_sort() */
	} * items;

	size_t count, room;
	struct text users; /* of a map that shows them: "a, b" with its NUL for each
			      admitted row */
	int error;         /* -ENOMEM sticks */
};

void rows_done(struct rows *rows);
void rows_clear(struct rows *rows);

int rows_add(struct rows *rows, const struct address *address, bool admitted);

/* True if a row is to go. */
bool rows_have_end(const struct rows *rows);

/* Makes a chain of the rows of each map_order(), by their `next`: where it begins stands
 * in the MAP_ORDERS numbers returned, for the caller to free; ROWS_END: nowhere.  NULL:
 * -ENOMEM. */
uint32_t *rows_sort(
	struct rows *rows, const struct map *map, const struct map_config *config);

#endif
