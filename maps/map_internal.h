/*
 * What map.c and map_spare.c share; for nobody else.
 */
#ifndef MAPS_MAP_INTERNAL_H
#define MAPS_MAP_INTERNAL_H

#include "maps/format.h"
#include "maps/replace.h"
#include "maps/replaced.h"

struct map {
	struct map_settings settings;
	const struct map_format *format;
	char *directory_path;
	char *name; /* of the file, with suffix */
	int directory;
	struct map_identity known; /* the published file, if it is ours; else all zero */
	bool is_trusting;          /* see map_trust_published() */
	struct replaced replaced;
	/* of the change in progress, if any: */
	bool is_delta, is_whole;
	struct replacement replacement; /* none of a change in place */
	int published;                  /* of a delta: what it is a delta on; else -1 */
	struct map_identity identity;   /* of that */
	void *writer;                   /* NULL: none, or already finished */
	int error;                      /* the first failure */
	const char *step;
};

/* Opens what the path names now: were the directory replaced since, we would go on
 * publishing where nobody looks. */
int map_open_directory(struct map *map) __attribute__((warn_unused_result));

/* What every change begins with; then its temporary file, if it has one. */
int map_begin(struct map *map, bool is_delta) __attribute__((warn_unused_result));
int map_begin_temporary(struct map *map) __attribute__((warn_unused_result));

/* Ends the writer.  MAP_UNCHANGED if there is nothing to put in place. */
int map_finish(struct map *map, struct map_counts *ret)
	__attribute__((warn_unused_result));

/* Puts the temporary file in place, under this name, or as the map. */
int map_put_in_place(struct map *map, const char *name, bool touch)
	__attribute__((warn_unused_result));
int map_publish_temporary(struct map *map) __attribute__((warn_unused_result));

/* The file that is about to be replaced, if its readers would see changes in it and it is
 * ours; else -1.  Once it is replaced it is to be kept, until it is emptied. */
int map_open_replaced(const struct map *map);
void map_keep_replaced(struct map *map, int file);

#endif
