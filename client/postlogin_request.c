/* The request is handed back octet by octet as it came; only the few fields that a report
 * needs are decoded.  The secret among the others (auth_token) is never looked at. */
#include "client/postlogin_request.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char VERSION_START[] = "VERSION\tscript-login\t1\t";
static const char MECHANISM_KEY[] = "auth_mech=";

/* Text between two positions of the request. */
struct span {
	const char *start;
	const char *end;
};

/* What \001 and this octet stand for in Dovecot's tab-escaped text. */
static char unescape(char octet)
{
	switch (octet) {
	case '0':
		return '\0';
	case '1':
		return '\001';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	default:
		return octet;
	}
}

/* Decodes field.  False if it does not fit or holds a NUL; then ret is "". */
static bool decode(struct span field, char *ret, size_t size)
{
	size_t length = 0;

	for (const char *at = field.start; at < field.end; at++) {
		char octet = *at;

		if (octet == '\001' && at + 1 < field.end)
			octet = unescape(*++at);
		if (octet == '\0' || length + 1 == size) {
			ret[0] = '\0';
			return false;
		}
		ret[length++] = octet;
	}
	ret[length] = '\0';
	return true;
}

/* Cuts the next field off line.  False if there is none. */
static bool next_field(struct span *line, struct span *ret)
{
	const char *tab;

	if (!line->start)
		return false;
	tab = memchr(line->start, '\t', (size_t)(line->end - line->start));
	*ret = (struct span){line->start, tab ? tab : line->end};
	line->start = tab ? tab + 1 : NULL;
	return true;
}

static bool is_version(struct span line)
{
	size_t length = strlen(VERSION_START);

	if ((size_t)(line.end - line.start) <= length ||
		memcmp(line.start, VERSION_START, length) != 0)
		return false;
	for (const char *at = line.start + length; at < line.end; at++)
		if (*at < '0' || *at > '9')
			return false;
	return true;
}

/* Anonymous is what any one of the fields says is anonymous. */
static void take_mechanism(struct span field, struct postlogin_request *request)
{
	size_t length = strlen(MECHANISM_KEY);

	if ((size_t)(field.end - field.start) < length ||
		memcmp(field.start, MECHANISM_KEY, length) != 0 ||
		strcasecmp(request->mechanism, "ANONYMOUS") == 0)
		return;
	field.start += length;
	(void)decode(field, request->mechanism, sizeof(request->mechanism));
}

static int parse_fields(struct span line, struct postlogin_request *ret)
{
	struct span local, remote, user, field;

	if (!next_field(&line, &local) || !next_field(&line, &remote) ||
		!next_field(&line, &user))
		return -EBADMSG;
	ret->problem = NULL;
	if (!decode(local, ret->local_ip, sizeof(ret->local_ip)))
		ret->problem = "what Dovecot gave as local address is none";
	if (!decode(remote, ret->remote_ip, sizeof(ret->remote_ip)))
		ret->problem = "what Dovecot gave as client address is none";
	if (!decode(user, ret->user, sizeof(ret->user)))
		ret->problem = "the user name is too long or holds a NUL";
	ret->mechanism[0] = '\0';
	while (next_field(&line, &field))
		take_mechanism(field, ret);
	ret->answer = user.start;
	return 0;
}

int postlogin_request_parse(
	const char *data, size_t length, struct postlogin_request *ret)
{
	const char *version_end = memchr(data, '\n', length);
	const char *end;
	int r;

	if (!version_end)
		return -EAGAIN;
	if (!is_version((struct span){data, version_end}))
		return -EPROTONOSUPPORT;
	end = memchr(version_end + 1, '\n', length - (size_t)(version_end + 1 - data));
	if (!end)
		return -EAGAIN;
	r = parse_fields((struct span){version_end + 1, end}, ret);
	if (r == 0)
		ret->answer_length = (size_t)(end + 1 - ret->answer);
	return r;
}
