/*
 * dracctl's side of the control socket: one request, data lines, one final line.  Of the
 * report socket too: there, requests may be sent ahead, and each has a final line alone.
 *
 * These functions say themselves on standard error what went wrong.
 */
#ifndef CLIENT_CTL_CONTROL_H
#define CLIENT_CTL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "client/words.h"

/* CONTROL_SOCKET_PATH and, in client/report.h, REPORT_SOCKET_PATH are the defaults. */
#define CONTROL_SOCKET_PATH "/run/dracd/control"

struct control {
	const char *path;
	const char *who;     /* may open the socket, for a message */
	unsigned timeout_ms; /* for each wait: to be let in, for the next octets */
	bool is_text; /* values are to be seen on a terminal: what could deceive there is
			 masked */
	int fd;       /* -1 */
	int file;     /* to be handed over with the next request; borrowed; -1: none */
	size_t start; /* of what is not yet parsed in data */
	size_t length;
	char data[16 * LINE_SIZE_MAX];
	char masked[LINE_SIZE_MAX];
};

enum control_line {
	CONTROL_DATA,
	CONTROL_OK, /* the last three are final lines */
	CONTROL_NO,
	CONTROL_ERR,
};

/* path is borrowed. */
void control_init(
	struct control *control, const char *path, unsigned timeout_ms, bool is_text);

/* The steps of control_ask(), for several requests on one connection. */
int control_connect(struct control *control) __attribute__((warn_unused_result));
int control_send(struct control *control, struct line *request)
	__attribute__((warn_unused_result));

void control_close(struct control *control);

/* Connects and sends request, which need not be finished.  Returns 0 or a negative errno:
 * -EMSGSIZE if the request is too long, else there is no answer to be had. */
int control_ask(struct control *control, struct line *request)
	__attribute__((warn_unused_result));

/* The next line of the answer, its values fit to print; valid until the next call.
 * Returns an enum control_line or a negative errno. */
int control_next(struct control *control, struct words *ret)
	__attribute__((warn_unused_result));

#endif
