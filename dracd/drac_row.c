#include "dracd/drac_row.h"

#include <errno.h>
#include <string.h>

#include "dracd/clock.h"

enum {
	DIGITS_MAX = 19, /* as in the line protocol */
};

/* Without the NUL that a program which stores C strings puts at their end. */
static size_t text_length(const char *text, size_t length)
{
	return length > 0 && text[length - 1] == '\0' ? length - 1 : length;
}

static const char *parse_address(const struct map_child_row *row, struct address *ret)
{
	size_t length = text_length(row->key, row->key_length);

	if (length == 0 || strlen(row->key) != length)
		return "its key is no address";
	if (address_parse_prefix(row->key, ret) < 0)
		return "its key is no address";
	if (!address_is_host(ret))
		return "its key is a network";
	return NULL;
}

/* 0 is a deadline as well, and over. */
static const char *parse_deadline(const struct map_child_row *row, uint64_t *ret_seconds)
{
	size_t length = text_length(row->value, row->value_length);
	uint64_t seconds = 0;

	if (length == 0 || length > DIGITS_MAX)
		return "its value is no time";
	for (size_t i = 0; i < length; i++) {
		if (row->value[i] < '0' || row->value[i] > '9')
			return "its value is no time";
		seconds = 10 * seconds + (uint64_t)(row->value[i] - '0');
	}
	*ret_seconds = seconds;
	return NULL;
}

int drac_row_decode(const struct map_child_row *row, uint64_t wall_usec,
	struct drac_row *ret, const char **ret_problem)
{
	struct drac_row decoded = {0};
	uint64_t seconds = 0, deadline_usec;

	*ret_problem = parse_address(row, &decoded.address);
	if (!*ret_problem)
		*ret_problem = parse_deadline(row, &seconds);
	if (*ret_problem)
		return -EBADMSG;
	deadline_usec =
		seconds > UINT64_MAX / USEC_PER_SEC ? UINT64_MAX : seconds * USEC_PER_SEC;
	if (deadline_usec < clock_add(wall_usec, USEC_PER_SEC))
		return DRAC_ROW_EXPIRED;
	decoded.left_usec = deadline_usec - wall_usec;
	*ret = decoded;
	return 0;
}

const char *drac_row_key_text(
	const struct map_child_row *row, char text[static DRAC_ROW_TEXT_SIZE])
{
	size_t length = text_length(row->key, row->key_length);

	if (length >= DRAC_ROW_TEXT_SIZE)
		length = DRAC_ROW_TEXT_SIZE - 1;
	for (size_t i = 0; i < length; i++)
		text[i] = row->key[i] >= ' ' && row->key[i] <= '~' ? row->key[i] : '?';
	text[length] = '\0';
	return text;
}
