/*
 * One line there, one word back, and the end: for Exim's ${readsocket} and for scripts.
 *
 * Exim ends its side behind the request and reads up to the end of ours; a script may
 * forget the newline.  So the end of what the peer sends ends a line as well, and
 * whatever came, the answer is the last that he gets: there is no next request to be
 * misread, which is why a malformed one can be answered "no" where the other protocols
 * fall silent.
 */
#include <string.h>

#include "dracd/lookup.h"

enum {
	PLAIN_LINE_MAX = 1024
};

/* A name that the client may put before the address, for whoever reads a trace. */
static bool is_word(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return length > 0;
}

/* A line without what ends it. */
static bool parse_line(const char *line, size_t length, struct address *ret)
{
	const char *space;

	if (length > 0 && line[length - 1] == '\r')
		length--;
	space = memchr(line, ' ', length);
	if (space) {
		size_t word = (size_t)(space - line);

		if (!is_word(line, word))
			return false;
		line = space + 1;
		length -= word + 1;
	}
	return lookup_key_parse(line, length, ret);
}

size_t plain_parse(const char *data, size_t length, bool is_end, bool *ret_has_address,
	struct address *ret_address)
{
	size_t most = length < PLAIN_LINE_MAX ? length : PLAIN_LINE_MAX;
	const char *end = memchr(data, '\n', most);

	if (!end && length >= PLAIN_LINE_MAX) {
		*ret_has_address = false;
		return length;
	}
	if (!end && !is_end)
		return 0;
	*ret_has_address =
		parse_line(data, end ? (size_t)(end - data) : length, ret_address);
	return end ? (size_t)(end - data) + 1 : length;
}

static size_t answer(
	struct connection *connection, const char *data, size_t length, bool is_end)
{
	static const struct lookup_words words = {
		.permit = "yes\n",
		.no = "no\n",
		.later = "later\n",
	};
	struct address address;
	bool has_address;

	if (plain_parse(data, length, is_end, &has_address, &address) == 0)
		return 0;
	lookup_answer(connection, has_address ? &address : NULL, &words);
	connection_finish(connection);
	return length;
}

static ssize_t consume_plain(struct connection *connection, char *data, size_t length)
{
	return (ssize_t)answer(connection, data, length, false);
}

static void end_plain(struct connection *connection, const char *data, size_t length)
{
	(void)answer(connection, data, length, true);
}

const struct protocol plain_protocol = {
	.name = "plain",
	.request_max = PLAIN_LINE_MAX,
	.consume = consume_plain,
	.ended = end_plain,
	.no_room = "later\n",
};
