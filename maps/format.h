/*
 * What map.c needs to know of a file format: one table of functions per format.
 *
 * A writer works on a file of its own, which nobody reads, named by a path that is good
 * for the life of the writer: a fresh, empty one, or a copy of what is published.  (A
 * format whose readers expect updates in place, such as Postfix' lmdb:, will say so here
 * and be given the published file for a delta; a format that can only be written as a
 * whole, such as cdb, reads the copy and writes it anew.)  Errors are negative errno,
 * never the library's own numbers.  Writers and scans of different maps run in different
 * threads.
 */
#ifndef MAPS_FORMAT_H
#define MAPS_FORMAT_H

#include <stddef.h>

struct map_bytes {
	const void *data;
	size_t size;
};

/* Nonzero ends a walk. */
typedef int map_row_visit(struct map_bytes key, struct map_bytes value, void *context);

enum map_source {
	MAP_SOURCE_EMPTY, /* the file has no bytes at all yet */
	MAP_SOURCE_COPY,  /* the file is a whole map of this format */
};

struct map_format {
	int variant; /* the format's own */

	int (*open)(const struct map_format *format, const char *path,
		enum map_source source, void **ret_writer);
	/* 0 or MAP_UNCHANGED, as map_put() and map_delete() */
	int (*put)(void *writer, struct map_bytes key, struct map_bytes value);
	int (*remove)(void *writer, struct map_bytes key);

	/* Hands everything to the kernel, such that fsync(2) by any descriptor makes it
	 * last.  The writer is gone either way. */
	int (*finish)(void *writer);
	void (*discard)(void *writer);

	int (*scan)(const struct map_format *format, const char *path,
		map_row_visit *visit, void *context);
};

extern const struct map_format map_format_hash;

#endif
