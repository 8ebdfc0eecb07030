/* Answer lines of the report and control sockets. */
#include "dracd/answer.h"

#include <errno.h>
#include <string.h>

static uint64_t left_of(uint64_t deadline, uint64_t now)
{
	return deadline > now ? deadline - now : 0;
}

void answer_error(struct line *line, const char *reason, const char *text)
{
	line_init(line, "ERR");
	line_add(line, "reason", reason);
	line_add(line, "text", text);
}

static void answer_refused(
	struct line *line, const struct login *login, const struct outcome *outcome)
{
	char address[ADDRESS_TEXT_SIZE];

	line_init(line, "NO");
	line_add(line, "reason", reason_name(outcome->reason));
	line_add(line, "address", address_format(&login->address, address));
	if (reason_hint(outcome->reason))
		line_add(line, "hint", reason_hint(outcome->reason));
}

void answer_login(
	struct line *line, const struct login *login, const struct outcome *outcome)
{
	const struct lease *lease = &outcome->lease;
	char address[ADDRESS_TEXT_SIZE];

	if (outcome->error < 0) {
		answer_error(line, "temporary",
			"the login could not be stored; see dracd's log");
		return;
	}
	if (outcome->reason != REASON_OK) {
		answer_refused(line, login, outcome);
		return;
	}
	line_init(line, "OK");
	line_add_bare(line, outcome->is_new ? "granted" : "renewed");
	line_add(line, "address", address_format(&lease->address, address));
	line_add_number(line, "until_ms", lease->deadline_wall_usec / USEC_PER_MSEC);
	line_add_number(line, "boot_ms", lease->deadline_boot_usec / USEC_PER_MSEC);
	line_add_number(line, "left_ms",
		left_of(lease->deadline_boot_usec, clock_now().boot_usec) /
			USEC_PER_MSEC);
	if (outcome->waited)
		line_add(line, "published", outcome->maps_late == 0 ? "yes" : "no");
}

void answer_send(struct connection *connection, struct line *line)
{
	int length = line_finish(line);

	if (length < 0) {
		answer_error(line, "temporary", "the answer is too long for a line");
		length = line_finish(line);
	}
	if (length > 0)
		connection_write(connection, line->text, (size_t)length);
}

ssize_t line_find(const char *data, size_t length, size_t *ret_length)
{
	size_t limit = length < LINE_SIZE_MAX ? length : LINE_SIZE_MAX;
	const char *end = memchr(data, '\n', limit);

	if (!end)
		return length >= LINE_SIZE_MAX ? -EMSGSIZE : 0;
	*ret_length = (size_t)(end - data);
	return end - data + 1;
}
