/*
 * A connection in memory, for the targets that speak a whole protocol: what a server
 * calls of it and what it calls of the server, as in dracd/connection.c, without sockets.
 */
#ifndef TESTS_FUZZ_CONNECTION_H
#define TESTS_FUZZ_CONNECTION_H

#include "client/words.h"
#include "dracd/server.h"
#include "tests/fuzz/fuzz.h"

struct talk {
	const struct protocol *protocol;
	void *context; /* of the server */
	uid_t uid;
	size_t piece;    /* octets that come at once */
	bool shares;     /* a descriptor of it may be had */
	bool gets_stuck; /* now and then an answer waits until the peer reads */
	bool is_late;    /* what is not whole at the end of the input takes too long */
	bool leaves;     /* at the end of the input, without waiting for answers */
	/* Something that was begun goes on; NULL: nothing is ever left open.  False if
	 * there is nothing. */
	bool (*go_on)(void *context);
};

/* All that was answered, to be freed. */
struct talked {
	char *text;
	size_t length;
	bool is_finished; /* by the protocol, not by the end of the input */
};

/* Opens, gives it data in pieces, ends, closes. */
struct talked talk(const struct talk *talk, const uint8_t *data, size_t size);

/* Asserts that answers do not depend on the pieces in which requests come; returns them.
 * What one who leaves gets is another matter. */
struct talked talk_in_any_pieces(
	const struct talk *talk, const uint8_t *data, size_t size);

/* Asserts that the answers are whole lines that words_parse() reads, each of which is as
 * it should be. */
void fuzz_check_lines(
	const struct talked *answers, bool (*is_right)(const struct words *words));

#endif
