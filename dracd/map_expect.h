/* The rows that a map should have, to be compared with those it has. */
#ifndef DRACD_MAP_EXPECT_H
#define DRACD_MAP_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EXPECT_TEXT_SIZE = 256,
	EXPECT_NAMED_MAX = 3, /* so many differences are named */
};

/* All zero: nothing is expected. */
struct expect {
	struct expected_row *rows;
	size_t count, room;
	char *text; /* keys and values */
	size_t length, text_room;
	bool sorted;
	bool any_value; /* only the keys matter */

	/* what has come of it */
	uint64_t found, missing, extra, wrong;
	unsigned named;
	char differences[EXPECT_TEXT_SIZE]; /* the first few */
};

/* Of several rows with one key the last counts.  0 or -ENOMEM. */
int expect_add(struct expect *expect, const char *key, const char *value)
	__attribute__((warn_unused_result));

/* Here is a row.  After the first, no more may be added. */
void expect_see(struct expect *expect, const char *key, const char *value);

/* That were all; true if they are what was expected. */
bool expect_end(struct expect *expect);

void expect_done(struct expect *expect);

#endif
