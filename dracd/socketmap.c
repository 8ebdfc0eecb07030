/* Socketmap: netstrings there and back. */
#include <errno.h>
#include <string.h>

#include "dracd/lookup.h"

enum {
	QUERY_MAX = 10000, /* Postfix 3.12 sends no longer one */
	DIGITS_MAX = 5,
};

/* The length before the colon (cr.yp.to/proto/netstrings.txt: decimal, no leading zero).
 * Returns the octets it takes with the colon, 0 if it is not whole, or -EBADMSG. */
static ssize_t parse_length(const char *data, size_t length, size_t *ret)
{
	size_t number = 0, at = 0;

	while (at < length && at <= DIGITS_MAX && data[at] >= '0' && data[at] <= '9')
		number = number * 10 + (size_t)(data[at++] - '0');
	if (at > DIGITS_MAX || number > QUERY_MAX || (at > 1 && data[0] == '0'))
		return -EBADMSG;
	if (at == length)
		return 0;
	if (at == 0 || data[at] != ':')
		return -EBADMSG;
	*ret = number;
	return (ssize_t)at + 1;
}

/* The query is "<map> <key>"; the map's name is whatever the MTA calls it. */
static bool parse_key(const char *query, size_t length, struct address *ret)
{
	const char *space = memchr(query, ' ', length);

	return space &&
	       lookup_key_parse(space + 1, length - (size_t)(space + 1 - query), ret);
}

ssize_t socketmap_parse(const char *data, size_t length, bool *ret_has_address,
	struct address *ret_address)
{
	size_t query;
	ssize_t start = parse_length(data, length, &query);

	if (start <= 0)
		return start;
	if (length - (size_t)start < query + 1)
		return 0;
	if (data[(size_t)start + query] != ',')
		return -EBADMSG;
	*ret_has_address = parse_key(data + start, query, ret_address);
	return start + (ssize_t)query + 1;
}

static ssize_t consume_socketmap(struct connection *connection, char *data, size_t length)
{
	/* Sendmail takes any value after "OK ", but a bare "OK" kills its child; Postfix
	 * wants the space after NOTFOUND from 3.12 on */
	static const struct lookup_words words = {
		.permit = "5:OK OK,",
		.no = "9:NOTFOUND ,",
		.later = "33:TEMP dracd cannot read its table ,",
	};
	struct address address;
	bool has_address;
	ssize_t taken = socketmap_parse(data, length, &has_address, &address);

	if (taken > 0)
		lookup_answer(connection, has_address ? &address : NULL, &words);
	return taken;
}

const struct protocol socketmap_protocol = {
	.name = "socketmap",
	.request_max = DIGITS_MAX + 1 + QUERY_MAX + 1,
	.consume = consume_socketmap,
};
