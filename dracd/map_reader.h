/*
 * Reading the file of a map in another process: libraries that read a damaged or foreign
 * file may crash, and libdb opens none within dracd.  See drac-mapread in maps/mapread.c.
 */
#ifndef DRACD_MAP_READER_H
#define DRACD_MAP_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "dracd/map_child.h"

struct map_reader {
	enum map_type type;
	int file;           /* open for reading; borrowed */
	uint64_t time_usec; /* so long at most */
	map_child_visit *visit;
	bool (*is_wanted)(void *context); /* asked several times a second */
	void *context;
};

enum map_reader_end {
	MAP_READER_WHOLE,
	MAP_READER_FAILED,  /* the file cannot be read */
	MAP_READER_STOPPED, /* is_wanted() said no */
	MAP_READER_ABSENT,  /* the program cannot be run: nothing is known of the file */
};

/* Visits the rows of the file.  text says what has failed. */
enum map_reader_end map_reader_run(
	const struct map_reader *reader, char text[static MAP_CHILD_TEXT_SIZE]);

#endif
