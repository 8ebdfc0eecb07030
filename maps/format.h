/*
 * What map.c needs to know of a file format: one table of functions per format.
 *
 * A writer collects puts and deletes and has the file ready when it is finished.  Errors
 * are negative errno, never the library's own numbers; -EBADMSG: the published file is
 * not what it should be.  Writers and scans of different maps run in different threads.
 */
#ifndef MAPS_FORMAT_H
#define MAPS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "maps/map.h"

struct map_bytes {
	const void *data;
	size_t size;
};

/* Nonzero ends a walk. */
typedef int map_row_visit(struct map_bytes key, struct map_bytes value, void *context);

/* How a delta comes about.  A rebuild is the same for all: an empty temporary file is
 * filled, and renamed over what is published. */
enum map_style {
	MAP_EDITS,    /* a temporary file, a copy of what is published, is changed */
	MAP_REWRITES, /* what is published is read, and written anew with the changes */
	MAP_IN_PLACE, /* what is published is changed, its readers being locked out */
};

enum {
	MAP_MAGIC_AT = 12,
};

/* What a writer works on; the strings and descriptors last as long as it does. */
struct map_work {
	const char *path;   /* the file to write: empty, or the copy, or the published one
			     */
	unsigned page_size; /* of Berkeley DB, or 0 */
	bool is_delta;
	bool is_whole; /* of a delta in place: keys that are not put are to go */
	int published; /* of a delta: for reading; else -1 */
	struct map_identity *identity; /* of a delta in place: see map_check_identity() */
};

struct map_format {
	int variant; /* the format's own */
	enum map_style style;
	bool has_no_values;     /* a row is a key, and nothing else */
	bool is_text;           /* no trailing NUL, no control characters */
	const char *first_line; /* of each file; NULL: none is known by it */
	/* At MAP_MAGIC_AT in each file, in this machine's byte order; 0: no file of
	 * another type has the same name. */
	uint32_t magic;

	int (*open)(const struct map_format *format, const struct map_work *work,
		void **ret_writer);
	/* Of a rebuild: see map_order(); NULL: the order makes no difference. */
	unsigned (*order)(struct map_bytes key);
	int (*put)(void *writer, struct map_bytes key, struct map_bytes value);
	int (*remove)(void *writer, struct map_bytes key);

	/* Hands everything to the kernel, such that fsync(2) by any descriptor makes it
	 * last; a change in place is published by it.  The writer is gone either way.
	 * *ret is what was done, of a change in place also if it fails. */
	int (*finish)(void *writer, struct map_counts *ret);
	void (*discard)(void *writer);

	int (*scan)(const struct map_format *format, const char *path,
		map_row_visit *visit, void *context);

	/* In place only, else NULL: takes all rows out of a file that was replaced but
	 * may be open still, if it is *identity, which is then what has become of it.
	 * -EBUSY: a reader has kept us out for so long; -ESTALE: it is another. */
	int (*empty)(const char *path, struct map_identity *identity, unsigned wait_msec);
};

extern const struct map_format map_format_hash;
extern const struct map_format map_format_btree;
extern const struct map_format map_format_lmdb;
extern const struct map_format map_format_cdb;
extern const struct map_format map_format_iplsearch;
extern const struct map_format map_format_lsearch;
extern const struct map_format map_format_cidr;
extern const struct map_format map_format_texthash;
extern const struct map_format map_format_relayhosts;
extern const struct map_format map_format_relayhostsusers;

/* NULL: not built in. */
const struct map_format *map_type_format(enum map_type type);

/* False of a key or value that is empty, or that the format's text cannot hold. */
bool map_can_hold(const struct map_format *format, const char *text);

/* The file open is still *expected, and was not left for others to write; else -ESTALE. A
 * writer in place asks once its readers are locked out, and before it lets them in again
 * stores what has become of the file. */
int map_check_identity(int file, const struct map_identity *expected)
	__attribute__((warn_unused_result));
/* The same, of a file that is replaced: whoever gave it another mode, name or attribute
 * has not damaged it. */
int map_check_content(int file, const struct map_identity *expected)
	__attribute__((warn_unused_result));
int map_identify_file(int file, struct map_identity *ret)
	__attribute__((warn_unused_result));

#endif
