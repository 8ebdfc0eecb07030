/* What all lookups have in common: ask, count, answer. */
#include "dracd/lookup.h"

#include <string.h>

void lookup_answer(struct connection *connection, const struct address *address,
	const struct lookup_words *words)
{
	struct lookup *lookup = server_context(connection_server(connection));
	int answer = address ? lookup->ask(address, lookup->context) : 0;
	const char *word = answer > 0    ? words->permit
			   : answer == 0 ? words->no
					 : words->later;

	lookup->asked++;
	lookup->permitted += answer > 0;
	connection_write(connection, word, strlen(word));
}
