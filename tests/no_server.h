/* What the lookup protocols call; their parsers, which are tested, need none of it. */
#ifndef TESTS_NO_SERVER_H
#define TESTS_NO_SERVER_H

#include <stdlib.h>

#include "dracd/lookup.h"

void lookup_answer(struct connection *connection, const struct address *address,
	const struct lookup_words *words)
{
	(void)connection;
	(void)address;
	(void)words;
	abort();
}

void connection_finish(struct connection *connection)
{
	(void)connection;
	abort();
}

#endif
