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

size_t policy_parse(const char *data, size_t length, bool *ret_has_address,
	struct address *ret_address)
{
	bool is_policy = false, is_valid = false;
	unsigned addresses = 0;
	size_t at = 0;

	for (;;) {
		const char *line = data + at, *value;
		const char *end = memchr(line, '\n', length - at);
		size_t line_length, size;

		if (!end)
			return 0;
		line_length = (size_t)(end - line);
		at += line_length + 1;
		if (line_length == 0)
			break;
		value = attribute(line, line_length, "request=", &size);
		if (value)
			is_policy = size == strlen("smtpd_access_policy") &&
				    memcmp(value, "smtpd_access_policy", size) == 0;
		value = attribute(line, line_length, "client_address=", &size);
		if (value) {
			addresses++;
			is_valid = parse_client(value, size, ret_address);
		}
	}
	*ret_has_address = is_policy && addresses == 1 && is_valid;
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
	size_t taken = policy_parse(data, length, &has_address, &address);

	if (taken > 0)
		lookup_answer(connection, has_address ? &address : NULL, &words);
	return (ssize_t)taken;
}

const struct protocol policy_protocol = {
	.name = "policy",
	.request_max = POLICY_REQUEST_MAX,
	.consume = consume_policy,
};
