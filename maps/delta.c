/* Changes in memory: one array of rows and one of their texts, so that a million rows
 * cost no million allocations. */
#include "maps/delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROWS_FIRST = 64,
	TEXT_FIRST = 4096,
	SIZE_MAX_OF_ROW = 1 << 24,
};

/* Makes room for more in an array of items of a size. */
static int grow(void *pointer, size_t *room, size_t wanted, size_t size, size_t first)
{
	void **array = pointer, *grown;
	size_t larger = *room ? *room : first;

	while (larger < wanted)
		larger *= 2;
	if (larger == *room)
		return 0;
	grown = reallocarray(*array, larger, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = larger;
	return 0;
}

int delta_add(struct delta *delta, struct map_bytes key, const struct map_bytes *value)
{
	size_t size = value ? value->size : 0;
	int r;

	if (key.size > SIZE_MAX_OF_ROW || size > SIZE_MAX_OF_ROW)
		return -EINVAL;
	r = grow(&delta->rows, &delta->room, delta->count + 1, sizeof(*delta->rows),
		ROWS_FIRST);
	if (r == 0)
		r = grow(&delta->text, &delta->text_room, delta->used + key.size + size,
			1, TEXT_FIRST);
	if (r < 0)
		return r;
	delta->rows[delta->count++] = (struct delta_row){
		.at = delta->used,
		.key_size = (uint32_t)key.size,
		.value_size = (uint32_t)size & 0x3fffffff,
		.is_delete = !value,
	};
	memcpy(delta->text + delta->used, key.data, key.size);
	if (size > 0)
		memcpy(delta->text + delta->used + key.size, value->data, size);
	delta->used += key.size + size;
	return 0;
}

void delta_done(struct delta *delta)
{
	free(delta->rows);
	free(delta->text);
	*delta = (struct delta){0};
}

struct map_bytes delta_key(const struct delta *delta, const struct delta_row *row)
{
	return (struct map_bytes){delta->text + row->at, row->key_size};
}

struct map_bytes delta_value(const struct delta *delta, const struct delta_row *row)
{
	return (struct map_bytes){delta->text + row->at + row->key_size, row->value_size};
}

static int compare_keys(struct map_bytes a, struct map_bytes b)
{
	int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* By key; of one key the later change, whose text is further back, comes later. */
static int compare_rows(const void *a_pointer, const void *b_pointer, void *context)
{
	const struct delta_row *a = a_pointer, *b = b_pointer;
	const struct delta *delta = context;
	int order = compare_keys(delta_key(delta, a), delta_key(delta, b));

	return order != 0 ? order : (a->at > b->at) - (a->at < b->at);
}

void delta_sort(struct delta *delta)
{
	size_t kept = 0;

	if (delta->count > 0)
		qsort_r(delta->rows, delta->count, sizeof(*delta->rows), compare_rows,
			delta);
	for (size_t i = 0; i < delta->count; i++) {
		if (kept > 0 && compare_keys(delta_key(delta, &delta->rows[kept - 1]),
					delta_key(delta, &delta->rows[i])) == 0)
			kept--;
		delta->rows[kept++] = delta->rows[i];
	}
	delta->count = kept;
}

static struct delta_row *find_row(const struct delta *delta, struct map_bytes key)
{
	size_t low = 0, high = delta->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct delta_row *row = &delta->rows[middle];
		int order = compare_keys(delta_key(delta, row), key);

		if (order == 0)
			return row;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

int delta_pass(struct map_bytes key, struct map_bytes value, void *context)
{
	struct delta_merge *merge = context;
	struct delta_row *row = find_row(merge->delta, key);
	struct map_bytes wanted;

	if (!row)
		return merge->emit(key, value, merge->context);
	if (row->is_done) /* the old file had it twice */
		return 0;
	row->is_done = 1;
	if (row->is_delete) {
		merge->counts.removed++;
		return 0;
	}
	wanted = delta_value(merge->delta, row);
	if (wanted.size != value.size || memcmp(wanted.data, value.data, value.size) != 0)
		merge->counts.replaced++;
	return merge->emit(key, wanted, merge->context);
}

int delta_compare(struct map_bytes key, struct map_bytes value, void *context)
{
	struct delta_merge *merge = context;
	struct delta_row *row = find_row(merge->delta, key);
	struct map_bytes wanted;

	if (!row || row->is_delete)
		return merge->emit(key, value, merge->context);
	wanted = delta_value(merge->delta, row);
	if (wanted.size == value.size &&
		memcmp(wanted.data, value.data, value.size) == 0) {
		row->is_done = 1;
		merge->counts.unchanged++;
	}
	return 0;
}

int delta_rest(struct delta_merge *merge)
{
	const struct delta *delta = merge->delta;

	for (size_t i = 0; i < delta->count; i++) {
		const struct delta_row *row = &delta->rows[i];
		int r;

		if (row->is_done || row->is_delete)
			continue;
		merge->counts.added++;
		r = merge->emit(
			delta_key(delta, row), delta_value(delta, row), merge->context);
		if (r != 0)
			return r;
	}
	return 0;
}
