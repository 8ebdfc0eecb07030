/* What the three targets of lookups have in common: the questions that reach the core. */
#ifndef TESTS_FUZZ_LOOKUPS_H
#define TESTS_FUZZ_LOOKUPS_H

#include "dracd/lookup.h"
#include "tests/fuzz/connection.h"

/* Any answer there is, the same for the same address. */
static int answer_any(const struct address *address, void *context)
{
	(void)context;
	FUZZ_ASSERT(address_is_host(address));
	return address->ip.s6_addr[15] % 3 - 1;
}

/* Talks in pieces of the given size; whatever was asked, every request was answered by
 * one of the protocol's words (given with their ends), and nothing else. */
static inline void fuzz_lookup(const struct talk *how, const char *const words[3],
	const uint8_t *data, size_t size)
{
	struct lookup lookup = {.ask = answer_any};
	struct talk asking = *how;
	struct talked answers;
	size_t at = 0, count = 0;

	asking.context = &lookup;
	answers = talk_in_any_pieces(&asking, data, size);
	while (at < answers.length) {
		size_t i = 0, length = 0;

		for (; i < 3 && length == 0; i++)
			if (answers.length - at >= strlen(words[i]) &&
				memcmp(answers.text + at, words[i], strlen(words[i])) ==
					0)
				length = strlen(words[i]);
		FUZZ_ASSERT(length > 0);
		at += length;
		count++;
	}
	/* the talk was had twice */
	FUZZ_ASSERT(lookup.asked == 2 * count && lookup.permitted <= lookup.asked);
	free(answers.text);
}

#endif
