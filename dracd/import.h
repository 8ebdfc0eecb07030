/*
 * An import: the rows of a file that DRAC has left, each taken for a login.
 *
 * The file is read by drac-mapread, which prints it into a pipe.  The loop takes some
 * rows at a time, and no more while many are on their way through the store, so that
 * others are served meanwhile.
 */
#ifndef DRACD_IMPORT_H
#define DRACD_IMPORT_H

#include "dracd/core.h"
#include "dracd/map_child.h"

struct import;

struct import_counts {
	uint64_t rows; /* the sum of all others, at the end of a whole import */
	uint64_t granted, renewed, expired, malformed;
	uint64_t refused[REASON_COUNT];
};

/* A row that gives no lease, but for one that is expired. */
struct import_left {
	uint64_t row;        /* counted from 1 */
	const char *key;     /* fit to print */
	const char *problem; /* NULL: it is refused */
	enum reason reason;
};

struct import_end {
	struct import_counts counts;
	/* why it is not whole, a word of dracd-protocol(7); NULL: it is.  What was
	 * granted before stays. */
	const char *error;
	const char *text;
};

enum {
	IMPORT_SIZE_MAX = 256 << 20, /* octets of a file */
};

struct import_settings {
	struct core *core;
	int file; /* borrowed, during import_start() alone */
	void (*left)(const struct import_left *left, void *context);
	/* The import is not to be used any more.  Not called by the functions below. */
	void (*done)(const struct import_end *end, void *context);
	void *context;
};

/* The file must be sealed memory (memfd_create(2)): nobody can change it under the
 * reader, or keep the reader waiting.  0, or a negative errno that text puts in words:
 * done() is not called. */
int import_start(const struct import_settings *settings, struct import **ret,
	char text[static MAP_CHILD_TEXT_SIZE]) __attribute__((warn_unused_result));

/* Reads no further; neither left() nor done() is called any more. */
void import_cancel(struct import *import);

#endif
