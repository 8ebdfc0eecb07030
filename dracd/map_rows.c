/* Addresses copied from a snapshot. */
#include "dracd/map_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "dracd/map_file.h"

void rows_done(struct rows *rows)
{
	free(rows->items);
	free(rows->users.data);
}

void rows_clear(struct rows *rows)
{
	rows->count = 0;
	rows->users.length = 0;
}

int rows_add(struct rows *rows, const struct address *address, bool admitted)
{
	if (rows->count == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 64;
		struct map_row *grown =
			room < ROWS_END ? reallocarray(rows->items, room, sizeof(*grown))
					: NULL;

		if (!grown)
			return rows->error = -ENOMEM;
		rows->items = grown;
		rows->room = room;
	}
	rows->items[rows->count++] =
		(struct map_row){.address = *address, .admitted = admitted};
	return 0;
}

bool rows_have_end(const struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		if (!rows->items[i].admitted)
			return true;
	return false;
}

static unsigned order_of(
	const struct map_row *row, const struct map *map, const struct map_config *config)
{
	struct keys keys;

	if (map_file_format_keys(config, &row->address, &keys) < 0 || keys.count == 0)
		return 0;
	return map_order(map, keys.key[0]);
}

uint32_t *rows_sort(
	struct rows *rows, const struct map *map, const struct map_config *config)
{
	uint32_t *heads = malloc(MAP_ORDERS * sizeof(*heads));

	if (!heads)
		return NULL;
	for (unsigned i = 0; i < MAP_ORDERS; i++)
		heads[i] = ROWS_END;
	for (size_t i = 0; i < rows->count; i++) {
		unsigned order = order_of(&rows->items[i], map, config);

		rows->items[i].next = heads[order];
		heads[order] = (uint32_t)i;
	}
	return heads;
}
