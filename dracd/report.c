/*
 * Requests of one connection form a queue: each is answered when it is done and all
 * before it are.  When the peer goes, the requests under way stay until the store hands
 * them back; their logins count, only the answer is dropped.
 */
#include "dracd/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dracd/abandon.h"
#include "dracd/answer.h"
#include "dracd/cleanup.h"
#include "dracd/core.h"
#include "dracd/log.h"

enum {
	PENDING_MAX = 64
};

struct pending {
	struct pending *next;
	struct reporter *reporter; /* NULL: it has gone */
	bool is_done;
	int early_fd;      /* for an answer from the store's thread; -1: none */
	size_t early_sent; /* octets of line that it has sent */
	struct login login;
	struct line line;
};

/* The state of a connection. */
struct reporter {
	struct connection *connection;
	struct pending *first, **last;
	unsigned count;
};

static int open_reporter(struct connection *connection, void **ret_state)
{
	struct reporter *reporter = calloc(1, sizeof(*reporter));

	if (!reporter)
		return -ENOMEM;
	reporter->connection = connection;
	reporter->last = &reporter->first;
	*ret_state = reporter;
	return 0;
}

static void close_reporter(struct connection *connection)
{
	struct reporter *reporter = connection_state(connection);
	struct pending *next;

	if (!reporter)
		return;
	for (struct pending *at = reporter->first; at; at = next) {
		next = at->next;
		at->reporter = NULL;
		if (at->is_done)
			free(at);
	}
	free(reporter);
}

/* What the store's thread has sent is not sent again. */
static void send_answer(struct connection *connection, struct pending *pending)
{
	const size_t sent = pending->early_sent;

	if (sent == 0)
		answer_send(connection, &pending->line);
	else if (sent < pending->line.length)
		connection_write(connection, pending->line.text + sent,
			pending->line.length - sent);
}

/* Sends the answers at the head of the queue that are done. */
static void send_done(struct reporter *reporter)
{
	struct connection *connection = reporter->connection;

	while (reporter->first && reporter->first->is_done) {
		struct pending *pending = reporter->first;

		reporter->first = pending->next;
		if (!reporter->first)
			reporter->last = &reporter->first;
		reporter->count--;
		send_answer(connection, pending);
		free(pending);
		connection_release(connection);
	}
	if (reporter->count < PENDING_MAX)
		connection_resume(connection);
}

static void finish(struct pending *pending)
{
	pending->is_done = true;
	if (!pending->reporter)
		free(pending);
	else
		send_done(pending->reporter);
}

/* If the reporter has gone, this is the last of his connection. */
static void end_early(struct pending *pending)
{
	if (pending->reporter)
		close_fd(&pending->early_fd);
	else if (pending->early_fd >= 0)
		abandon_connection(pending->early_fd);
}

static void done_login(const struct outcome *outcome, void *context)
{
	struct pending *pending = context;

	end_early(pending);
	if (pending->early_sent == 0)
		answer_login(&pending->line, &pending->login, outcome);
	finish(pending);
}

/* On the store's thread, while the loop waits for done_login() and sends nothing on this
 * connection, as this is the first answer that is due. */
static void answer_early(const struct outcome *outcome, void *context)
{
	struct pending *pending = context;
	ssize_t sent;
	int length;

	answer_login(&pending->line, &pending->login, outcome);
	length = line_finish(&pending->line);
	if (length < 0)
		return;
	sent = send(pending->early_fd, pending->line.text, (size_t)length,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		pending->early_sent = (size_t)sent;
}

static void work_on_login(struct core *core, struct pending *pending)
{
	struct login_reply reply = {.done = done_login, .context = pending};

	if (pending->login.wait_usec == 0 && pending == pending->reporter->first &&
		core_is_idle(core))
		pending->early_fd = connection_share(pending->reporter->connection);
	if (pending->early_fd >= 0)
		reply.early = answer_early;
	core_login(core, &pending->login, false, &reply);
}

static struct pending *add_pending(struct reporter *reporter)
{
	/* not zeroed: most of the line is never touched */
	struct pending *pending = malloc(sizeof(*pending));

	if (!pending)
		return NULL;
	pending->next = NULL;
	pending->is_done = false;
	pending->early_fd = -1;
	pending->early_sent = 0;
	pending->reporter = reporter;
	*reporter->last = pending;
	reporter->last = &pending->next;
	connection_hold(reporter->connection);
	if (++reporter->count == PENDING_MAX)
		connection_pause(reporter->connection);
	return pending;
}

/* The name under which the peer may report; NULL if it may not.  The overflow uid stands
 * for accounts of another user namespace, so it is nobody in particular. */
static const char *reporter_name(const struct core *core, const struct peer *peer)
{
	enum {
		OVERFLOW_UID = 65534
	};

	if (peer->uid == (uid_t)-1 || peer->uid == OVERFLOW_UID)
		return NULL;
	return config_reporter(core->config, peer->uid);
}

static void work_on(struct core *core, struct pending *pending, const char *name,
	char *text, size_t length)
{
	const char *problem;
	struct words words;

	if (words_parse(text, length, &words, &problem) < 0) {
		answer_error(&pending->line, "syntax", problem);
		finish(pending);
	} else if (words_is(&words, 0, "noop")) {
		if (words.count > 1)
			answer_error(&pending->line, "syntax", "unknown key");
		else
			line_init(&pending->line, "OK");
		finish(pending);
	} else if (!words_is(&words, 0, "login") && !words_is(&words, 0, "renew")) {
		answer_error(&pending->line, "syntax",
			"unknown request; known: login, renew, noop");
		finish(pending);
	} else if (login_parse(&words, name, false, &pending->login, &problem) < 0) {
		answer_error(&pending->line, "syntax", problem);
		finish(pending);
	} else {
		work_on_login(core, pending);
	}
}

/* An error after which the connection is closed.  It comes after the answers to what is
 * pending, or the peer would take it for one of them. */
static void end_with(struct connection *connection, const char *reason, const char *text)
{
	struct pending *pending = add_pending(connection_state(connection));

	connection_finish(connection);
	if (!pending)
		return;
	answer_error(&pending->line, reason, text);
	finish(pending);
}

static ssize_t consume_report(struct connection *connection, char *data, size_t length)
{
	struct core *core = server_context(connection_server(connection));
	const struct peer *peer = connection_peer(connection);
	const char *name = reporter_name(core, peer);
	struct pending *pending;
	size_t line_length;
	ssize_t taken;

	if (!name) {
		server_say_denied(connection_server(connection), peer);
		end_with(connection, "denied", "this account is not among the reporters");
		return (ssize_t)length;
	}
	taken = line_find(data, length, &line_length);
	if (taken == 0)
		return 0;
	if (taken < 0) {
		end_with(connection, "too_long", "a line has at most 2048 octets");
		return (ssize_t)length;
	}
	pending = add_pending(connection_state(connection));
	if (!pending)
		return -ENOMEM;
	work_on(core, pending, name, data, line_length);
	return taken;
}

static void overdue_report(struct connection *connection)
{
	end_with(connection, "timeout", "no whole request within 10 s");
}

const struct protocol report_protocol = {
	.name = "report",
	.request_max = LINE_SIZE_MAX,
	.no_room = "ERR reason=busy text=too%20many%20connections\n",
	.overdue = overdue_report,
	.opened = open_reporter,
	.consume = consume_report,
	.closed = close_reporter,
};
