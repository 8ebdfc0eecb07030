/*
 * drac-mapread as a child: how it is started, and the rows in what it prints.
 *
 * Whoever reads its output waits for it in his own way: a map's worker in map_reader.c,
 * the loop in import.c.
 */
#ifndef DRACD_MAP_CHILD_H
#define DRACD_MAP_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "maps/map.h"

/* Lengths are without the NUL, which stands behind both; there may be others in them. */
struct map_child_row {
	const char *key, *value;
	size_t key_length, value_length;
};

typedef void map_child_visit(const struct map_child_row *row, void *context);

/* Its output, as far as it has come. */
struct map_child_rows {
	char *data;
	size_t length; /* of what is not yet a whole row */
	char *key, *value;
	bool has_end;
	uint32_t end; /* errno value of the child */
};

enum {
	MAP_CHILD_TEXT_SIZE = 160
};

/* Starts it on file, open for reading, with nothing of our environment and no signal
 * blocked.  *ret_output is for reading, and the caller's to close.  0, or a negative
 * errno that text puts in words: nothing was started. */
int map_child_start(enum map_type type, int file, pid_t *ret_child, int *ret_output,
	char text[static MAP_CHILD_TEXT_SIZE]) __attribute__((warn_unused_result));

/* -ENOMEM */
int map_child_rows_init(struct map_child_rows *rows) __attribute__((warn_unused_result));
void map_child_rows_done(struct map_child_rows *rows);

/* Reads once from output, at most size octets, and visits the rows that are whole by
 * then. 1, 0 at the end of the output, or a negative errno; -EPROTO: that is no such
 * output. */
int map_child_read(struct map_child_rows *rows, int output, size_t size,
	map_child_visit *visit, void *context) __attribute__((warn_unused_result));

/* After the end of the output, or r < 0 of map_child_read(), and that of the child, with
 * this status of wait(2): 0 if the file was read to its end, else -EBADMSG with what has
 * failed. */
int map_child_judge(const struct map_child_rows *rows, int r, int status,
	char text[static MAP_CHILD_TEXT_SIZE]) __attribute__((warn_unused_result));

#endif
