/*
 * Files that were replaced while readers may have them open, of a format that is changed
 * in place: no change reaches those readers any more, so the rows are taken out, if need
 * be later, when whoever keeps the file locked has let go.
 */
#ifndef MAPS_REPLACED_H
#define MAPS_REPLACED_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/format.h"

enum {
	REPLACED_MAX = 4, /* of more the oldest is given up */
};

struct replaced_file {
	int file;
	struct map_identity identity; /* that it has to have */
};

/* All zero: none. */
struct replaced {
	struct replaced_file files[REPLACED_MAX];
	unsigned count;
	uint64_t given_up; /* with rows in them, or so it must be feared */
};

/* Takes over a file that is open for reading and was replaced.  It may have a name still,
 * of someone who keeps old ones: that is no reason to leave it as it is. */
void replaced_keep(struct replaced *replaced, int file);

/* Tries to empty all, waiting for their readers so long altogether.  True: none is left.
 * One that somebody else has changed is given up. */
bool replaced_empty(
	struct replaced *replaced, const struct map_format *format, unsigned wait_msec);

/* Gives up all. */
void replaced_give_up(struct replaced *replaced);

#endif
