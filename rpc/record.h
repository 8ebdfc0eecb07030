/*
 * Record marking (RFC 5531 section 11): from the octets of a TCP connection to messages.
 *
 * A record comes in fragments, each after four octets of length and "last" bit.  Only the
 * first CALL_SIZE_MAX octets of a record are kept, since nothing after them is of use.
 */
#ifndef RPC_RECORD_H
#define RPC_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/call.h"

enum {
	/* Of a record with all its fragment headers; what libtirpc takes by UDP. */
	RECORD_SIZE_MAX = 8800,
};

/* Zero-initialised: at the start of a record. */
struct record {
	uint32_t mark; /* of the fragment, while its header is read */
	unsigned mark_length;
	uint32_t left; /* of the fragment */
	bool is_last;
	size_t seen; /* octets of the record, headers counted */
	size_t length;
	unsigned char data[CALL_SIZE_MAX];
};

enum {
	RECORD_MORE, /* all of data is taken, and the record is not whole */
	RECORD_WHOLE,
};

/* Takes octets up to the end of the record.  Returns RECORD_MORE, RECORD_WHOLE (then
 * *ret_taken of them belong to it, and it is to be reset), or -EMSGSIZE if it is too
 * long: then the rest of the connection cannot be read. */
int record_feed(struct record *record, const unsigned char *data, size_t length,
	size_t *ret_taken) __attribute__((warn_unused_result));

void record_reset(struct record *record);

/* Writes the header of a record that is one fragment of length octets. */
void record_mark(size_t length, unsigned char ret[4]);

#endif
