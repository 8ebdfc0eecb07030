/*
 * Reading the file of a map in another process: libraries that read a damaged or foreign
 * file may crash, and libdb opens none within dracd.  See drac-mapread in maps/mapread.c.
 */
#ifndef DRACD_MAP_READER_H
#define DRACD_MAP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/map.h"

/* Lengths are without the NUL, which stands behind both; there may be others in them. */
struct map_reader_row {
	const char *key, *value;
	size_t key_length, value_length;
};

struct map_reader {
	enum map_type type;
	int file;           /* open for reading; borrowed */
	uint64_t time_usec; /* so long at most */
	void (*visit)(const struct map_reader_row *row, void *context);
	bool (*is_wanted)(void *context); /* asked several times a second */
	void *context;
};

enum map_reader_end {
	MAP_READER_WHOLE,
	MAP_READER_FAILED,  /* the file cannot be read */
	MAP_READER_STOPPED, /* is_wanted() said no */
	MAP_READER_ABSENT,  /* the program cannot be run: nothing is known of the file */
};

enum {
	MAP_READER_TEXT_SIZE = 160
};

/* Visits the rows of the file.  text says what has failed. */
enum map_reader_end map_reader_run(
	const struct map_reader *reader, char text[static MAP_READER_TEXT_SIZE]);

#endif
