/*
 * A row of the database that DRAC's rpc.dracd leaves behind: an address as text, and
 * until when it may relay, in decimal seconds since 1970 UTC.
 *
 * Pure.  Rows come from a file that may be damaged or made by anybody.
 */
#ifndef DRACD_DRAC_ROW_H
#define DRACD_DRAC_ROW_H

#include "dracd/address.h"
#include "dracd/map_child.h"

struct drac_row {
	struct address address; /* a host */
	uint64_t left_usec;     /* at least a second */
};

enum {
	DRAC_ROW_EXPIRED = 1, /* less than a second is left */
};

/* With a NUL at the end of key and value or without; the address may have "/32" or
 * "/128".  0, DRAC_ROW_EXPIRED, or -EBADMSG with what is wrong in *ret_problem (static).
 */
int drac_row_decode(const struct map_child_row *row, uint64_t wall_usec,
	struct drac_row *ret, const char **ret_problem)
	__attribute__((warn_unused_result));

enum {
	DRAC_ROW_TEXT_SIZE = 64,
};

/* The key as far as it can be shown: printable ASCII, and '?' for all else. */
const char *drac_row_key_text(
	const struct map_child_row *row, char text[static DRAC_ROW_TEXT_SIZE]);

#endif
