/* Answer lines that the report and the control socket have in common. */
#ifndef DRACD_ANSWER_H
#define DRACD_ANSWER_H

#include "client/words.h"
#include "dracd/core.h"
#include "dracd/server.h"

/* The answer to a login: "OK granted ...", "NO reason=..." or "ERR reason=temporary". */
void answer_login(
	struct line *line, const struct login *login, const struct outcome *outcome);

/* "ERR reason=<reason> text=<text>". */
void answer_error(struct line *line, const char *reason, const char *text);

/* Ends the line and sends it. */
void answer_send(struct connection *connection, struct line *line);

/* Finds one line at the start of data: its length without LF in *ret_length, and returns
 * how many octets it takes; 0 if it is not whole; -EMSGSIZE if it is too long. */
ssize_t line_find(const char *data, size_t length, size_t *ret_length)
	__attribute__((warn_unused_result));

#endif
