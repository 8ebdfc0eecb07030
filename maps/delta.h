/*
 * The puts and deletes of one change, kept in memory until it is finished: for formats
 * that are written as a whole, or in one go.  Of several changes to one key the last one
 * counts.
 */
#ifndef MAPS_DELTA_H
#define MAPS_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/format.h"

struct delta_row {
	size_t at; /* in text: the key, then the value */
	uint32_t key_size;
	uint32_t value_size : 30;
	uint32_t is_delete : 1;
	uint32_t is_done : 1; /* the old file has had it: see below */
};

/* All zero: empty. */
struct delta {
	struct delta_row *rows;
	size_t count, room;
	char *text;
	size_t used, text_room;
};

/* value NULL: the key is deleted. */
int delta_add(struct delta *delta, struct map_bytes key, const struct map_bytes *value)
	__attribute__((warn_unused_result));
void delta_done(struct delta *delta);

/* Sorts the rows by key (as bytes, a beginning before what it begins) and drops all but
 * the last change to each.  Everything below needs that. */
void delta_sort(struct delta *delta);

struct map_bytes delta_key(const struct delta *delta, const struct delta_row *row);
struct map_bytes delta_value(const struct delta *delta, const struct delta_row *row);

/* Merging into an old file's rows: hand each to delta_pass(), then call delta_rest(),
 * which are to be given to emit() what the new file consists of. */
struct delta_merge {
	struct delta *delta;
	map_row_visit *emit;
	void *context;
	struct map_counts counts;
};

/* A map_row_visit; context is the struct delta_merge. */
int delta_pass(struct map_bytes key, struct map_bytes value, void *context)
	__attribute__((warn_unused_result));
int delta_rest(struct delta_merge *merge) __attribute__((warn_unused_result));

/* The same, for rows that are to be all there is: emit() is given what the old file has
 * too much, and rows that it has as they are wanted become is_done. */
int delta_compare(struct map_bytes key, struct map_bytes value, void *context)
	__attribute__((warn_unused_result));

#endif
