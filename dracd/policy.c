/* Postfix policy delegation: name=value lines up to an empty one. */
#include <string.h>

#include "dracd/lookup.h"

enum {
	POLICY_REQUEST_MAX = 16 * 1024
};

/* The value of "name=" if line (length octets) starts with it, else NULL. */
static const char *attribute(
	const char *line, size_t length, const char *name, size_t *ret_length)
{
	size_t used = strlen(name);

	if (length < used || memcmp(line, name, used) != 0)
		return NULL;
	*ret_length = length - used;
	return line + used;
}

static bool parse_client(const char *text, size_t length, struct address *ret)
{
	char address[INET6_ADDRSTRLEN];

	if (length >= sizeof(address) || memchr(text, '\0', length))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	return address_parse(address, ret) == 0;
}

/* What the lines of a request have said so far. */
struct question {
	unsigned requests, addresses; /* how often each was named */
	bool is_wrong; /* a line is malformed, or asks for something else */
	struct address address;
};

/* One line, not the empty one.  Names that we do not know are passed over. */
static void take_line(const char *line, size_t length, struct question *question)
{
	const char *equals = memchr(line, '=', length), *value;
	size_t size;

	if (!equals || equals == line || memchr(line, '\0', length))
		question->is_wrong = true;
	value = attribute(line, length, "request=", &size);
	if (value) {
		question->requests++;
		if (size != strlen("smtpd_access_policy") ||
			memcmp(value, "smtpd_access_policy", size) != 0)
			question->is_wrong = true;
	}
	value = attribute(line, length, "client_address=", &size);
	if (value) {
		question->addresses++;
		if (!parse_client(value, size, &question->address))
			question->is_wrong = true;
	}
}

size_t policy_parse(const char *data, size_t length, bool *ret_has_address,
	struct address *ret_address)
{
	struct question question = {0};
	size_t at = 0;

	for (;;) {
		const char *line = data + at;
		const char *end = memchr(line, '\n', length - at);

		if (!end)
			return 0;
		at += (size_t)(end - line) + 1;
		if (end == line)
			break;
		take_line(line, (size_t)(end - line), &question);
	}
	*ret_has_address =
		!question.is_wrong && question.requests > 0 && question.addresses == 1;
	if (*ret_has_address)
		*ret_address = question.address;
	return at;
}

static ssize_t consume_policy(struct connection *connection, char *data, size_t length)
{
	static const struct lookup_words words = {
		.permit = "action=OK\n\n",
		.no = "action=DUNNO\n\n",
		/* only a relay attempt asks us, so this defers nothing else */
		.later = "action=451 4.3.0 dracd cannot read its table\n\n",
	};
	struct address address;
	bool has_address;
	/* the limit is the same however many octets have come at once */
	size_t taken = policy_parse(data,
		length < POLICY_REQUEST_MAX ? length : POLICY_REQUEST_MAX, &has_address,
		&address);

	if (taken > 0)
		lookup_answer(connection, has_address ? &address : NULL, &words);
	return (ssize_t)taken;
}

const struct protocol policy_protocol = {
	.name = "policy",
	.request_max = POLICY_REQUEST_MAX,
	.consume = consume_policy,
};
