/*
 * The states of a login follow each other in the order of enum state; each has a deadline
 * of its own.  Whatever goes wrong with dracd leads to STATE_ANSWER, so that the mail
 * user gets his session; only what Dovecot itself does wrong ends a connection
 * unanswered.
 */
#include "client/postlogin_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/postlogin_login.h"
#include "client/postlogin_message.h"
#include "client/postlogin_request.h"
#include "client/report.h"

enum {
	/* Dovecot's own script-login waits as long; the request is sent with the connect.
	 */
	REQUEST_TIME_MS = 10000,
	ANSWER_TIME_MS = 5000,
	/* Between two attempts to enter dracd's full listen queue. */
	CONNECT_RETRY_MS = 5,
	/* As many as the kernel passes with one message (SCM_MAX_FD). */
	PASSED_MAX = 253,
};

enum state {
	STATE_REQUEST, /* Dovecot is to send */
	STATE_CONNECT, /* dracd's listen queue is full */
	STATE_SEND,    /* the report */
	STATE_RECEIVE, /* dracd's answer */
	STATE_ANSWER,  /* to Dovecot */
};

enum step {
	STEP_ON,   /* the state has changed */
	STEP_WAIT, /* for an event or the deadline */
	STEP_END,
};

struct connection {
	const struct postlogin_options *options;
	int fd;        /* Dovecot's */
	int report_fd; /* dracd's; -1 */
	int *spare;    /* see connection_new() */
	bool is_spare; /* report_fd has served a login before */
	enum state state;
	long long deadline_ms; /* of the state; the states that concern dracd share one */
	long long retry_ms;    /* in STATE_CONNECT */
	struct postlogin_request request;
	struct line line; /* the report, then dracd's answer */
	size_t sent;      /* of line or of the answer to Dovecot */
	size_t length;    /* of data */
	char data[REQUEST_SIZE_MAX];
};

struct connection *connection_new(
	int fd, const struct postlogin_options *options, int *spare, long long now_ms)
{
	/* not zeroed: most of data is never touched */
	struct connection *connection = malloc(sizeof(*connection));

	if (!connection) {
		close(fd);
		return NULL;
	}
	connection->options = options;
	connection->fd = fd;
	connection->report_fd = -1;
	connection->spare = spare;
	connection->state = STATE_REQUEST;
	connection->deadline_ms = now_ms + REQUEST_TIME_MS;
	connection->length = 0;
	return connection;
}

static void close_report(struct connection *connection)
{
	if (connection->report_fd >= 0)
		close(connection->report_fd);
	connection->report_fd = -1;
}

struct connection *connection_free(struct connection *connection)
{
	if (!connection)
		return NULL;
	close_report(connection);
	close(connection->fd);
	free(connection);
	return NULL;
}

struct pollfd connection_events(const struct connection *connection)
{
	switch (connection->state) {
	case STATE_REQUEST:
		return (struct pollfd){.fd = connection->fd, .events = POLLIN};
	case STATE_SEND:
		return (struct pollfd){.fd = connection->report_fd, .events = POLLOUT};
	case STATE_RECEIVE:
		return (struct pollfd){.fd = connection->report_fd, .events = POLLIN};
	case STATE_ANSWER:
		return (struct pollfd){.fd = connection->fd, .events = POLLOUT};
	case STATE_CONNECT:
	default:
		return (struct pollfd){.fd = -1};
	}
}

long long connection_wake_ms(const struct connection *connection)
{
	if (connection->state == STATE_CONNECT &&
		connection->retry_ms < connection->deadline_ms)
		return connection->retry_ms;
	return connection->deadline_ms;
}

void connection_hurry(struct connection *connection, long long now_ms)
{
	long long deadline_ms = now_ms + connection->options->budget_ms;

	if (connection->state == STATE_REQUEST && deadline_ms < connection->deadline_ms)
		connection->deadline_ms = deadline_ms;
}

/* The login as the request tells of it; it borrows the request. */
static struct postlogin_login login_of(const struct postlogin_request *request)
{
	return (struct postlogin_login){
		.remote_ip = request->remote_ip,
		.local_ip = request->local_ip,
		.user = request->user,
		.mechanism = request->mechanism,
	};
}

static enum step begin_answer(struct connection *connection, long long now_ms)
{
	close_report(connection);
	connection->sent = 0;
	connection->state = STATE_ANSWER;
	connection->deadline_ms = now_ms + ANSWER_TIME_MS;
	return STEP_ON;
}

/* Ends the part that concerns dracd, with what the report functions returned. */
static enum step finish_report(struct connection *connection, int outcome,
	const struct words *words, long long now_ms)
{
	struct postlogin_login login = login_of(&connection->request);

	postlogin_login_say(&login, connection->options, outcome, words);
	return begin_answer(connection, now_ms);
}

/* Writes the report.  A problem, static, if there is none to be made; a negative errno in
 * *ret_error. */
static const char *format_report(struct connection *connection, int *ret_error)
{
	struct postlogin_login login = login_of(&connection->request);
	struct postlogin_report report;
	const char *problem = connection->request.problem;

	if (!problem)
		problem = postlogin_login_prepare(&login, connection->options, &report);
	if (!problem)
		*ret_error = report_format(&report.login, &connection->line);
	connection->sent = 0;
	return problem;
}

static enum step begin_report(struct connection *connection, long long now_ms)
{
	struct postlogin_login login = login_of(&connection->request);
	const char *problem;
	int r = 0;

	if (postlogin_login_is_anonymous(&login))
		return begin_answer(connection, now_ms);
	problem = format_report(connection, &r);
	if (problem) {
		postlogin_say_unreported(login.user, login.remote_ip, problem);
		return begin_answer(connection, now_ms);
	}
	if (r < 0)
		return finish_report(connection, r, NULL, now_ms);
	connection->is_spare = *connection->spare >= 0;
	connection->state = STATE_CONNECT;
	connection->retry_ms = now_ms;
	connection->deadline_ms = now_ms + connection->options->budget_ms;
	return STEP_ON;
}

/* dracd has gone from a connection that it kept open after a login before: it may be
 * there anew.  To report a login twice does no harm. */
static enum step report_again(struct connection *connection, long long now_ms)
{
	int r = 0;

	close_report(connection);
	if (format_report(connection, &r) || r < 0)
		return finish_report(connection, -ECONNRESET, NULL, now_ms);
	connection->is_spare = false;
	connection->state = STATE_CONNECT;
	connection->retry_ms = now_ms;
	return STEP_ON;
}

/* The client's connection, which comes with the request: the mail process keeps its own,
 * and one held here would outlive the session. */
static void close_passed(struct msghdr *message)
{
	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at;
		at = CMSG_NXTHDR(message, at)) {
		size_t count;

		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(at) + i * sizeof(fd), sizeof(fd));
			close(fd);
		}
	}
}

/* recv(2), closing what is passed along. */
static ssize_t receive(int fd, char *data, size_t size)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(PASSED_MAX * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	close_passed(&message);
	return n;
}

static enum step step_request(struct connection *connection, long long now_ms)
{
	ssize_t n = receive(connection->fd, connection->data + connection->length,
		sizeof(connection->data) - connection->length);
	int r;

	if (n == -EAGAIN)
		return STEP_WAIT;
	if (n == -EINTR)
		return STEP_ON;
	if (n <= 0) {
		/* A connect without a request is how services are probed for life. */
		if (n < 0 || connection->length > 0)
			postlogin_say("a request of Dovecot's broke off: %s",
				n < 0 ? strerror((int)-n) : "connection closed");
		return STEP_END;
	}
	connection->length += (size_t)n;
	r = postlogin_request_parse(
		connection->data, connection->length, &connection->request);
	if (r == 0)
		return begin_report(connection, now_ms);
	if (r == -EAGAIN && connection->length < sizeof(connection->data))
		return STEP_ON;
	if (r == -EAGAIN)
		postlogin_say(
			"a request of Dovecot's is longer than %d octets; the login is "
			"not let in",
			REQUEST_SIZE_MAX);
	else if (r == -EPROTONOSUPPORT)
		postlogin_say(
			"a request that is not of version 1 of Dovecot's script-login "
			"protocol; the login is not let in. Use script-login mode instead, "
			"see drac-postlogin(8)");
	else
		postlogin_say(
			"a request of Dovecot's without a user; the login is not let in");
	return STEP_END;
}

static int take_spare(struct connection *connection)
{
	int fd = *connection->spare;

	*connection->spare = -1;
	return fd;
}

/* Leaves a connection on which nothing is owed to the next login. */
static void leave_spare(struct connection *connection)
{
	if (*connection->spare >= 0)
		return;
	*connection->spare = connection->report_fd;
	connection->report_fd = -1;
}

static enum step step_connect(struct connection *connection, long long now_ms)
{
	int fd = -1;

	if (now_ms < connection->retry_ms)
		return STEP_WAIT;
	if (connection->is_spare)
		fd = take_spare(connection);
	connection->is_spare = fd >= 0;
	if (fd < 0)
		fd = report_connect(connection->options->socket_path);
	if (fd == -EAGAIN) {
		connection->retry_ms = now_ms + CONNECT_RETRY_MS;
		return STEP_WAIT;
	}
	if (fd < 0)
		return finish_report(connection, fd, NULL, now_ms);
	connection->report_fd = fd;
	connection->state = STATE_SEND;
	return STEP_ON;
}

static enum step step_send(struct connection *connection, long long now_ms)
{
	ssize_t n = send(connection->report_fd, connection->line.text + connection->sent,
		connection->line.length - connection->sent, MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN)
		return STEP_WAIT;
	if (n < 0 && errno != EINTR && connection->is_spare)
		return report_again(connection, now_ms);
	if (n < 0 && errno != EINTR && errno != EPIPE && errno != ECONNRESET)
		return finish_report(connection, -errno, NULL, now_ms);
	if (n > 0)
		connection->sent += (size_t)n;
	/* If dracd has closed already, its answer says why. */
	if ((n < 0 && errno != EINTR) || connection->sent == connection->line.length) {
		line_init(&connection->line, "");
		connection->state = STATE_RECEIVE;
		return STEP_WAIT;
	}
	return STEP_ON;
}

static enum step step_receive(struct connection *connection, long long now_ms)
{
	struct line *line = &connection->line;
	ssize_t n = recv(connection->report_fd, line->text + line->length,
		LINE_SIZE_MAX - line->length, 0);
	struct words words;
	const char *end;
	bool is_whole;
	int outcome;

	if (n < 0 && errno == EAGAIN)
		return STEP_WAIT;
	if (n < 0 && errno == EINTR)
		return STEP_ON;
	if (n <= 0 && connection->is_spare)
		return report_again(connection, now_ms);
	if (n <= 0)
		return finish_report(
			connection, n < 0 ? -errno : -ECONNRESET, NULL, now_ms);
	end = memchr(line->text + line->length, '\n', (size_t)n);
	line->length += (size_t)n;
	if (!end && line->length < LINE_SIZE_MAX)
		return STEP_ON;
	if (!end)
		return finish_report(connection, -EBADMSG, NULL, now_ms);
	is_whole = end + 1 == line->text + line->length;
	outcome = report_parse_answer(line->text, (size_t)(end - line->text), &words);
	if (is_whole && (outcome == REPORT_GRANTED || outcome == REPORT_REFUSED))
		leave_spare(connection);
	return finish_report(connection, outcome, &words, now_ms);
}

static enum step step_answer(struct connection *connection, long long now_ms)
{
	const struct postlogin_request *request = &connection->request;
	ssize_t n;

	(void)now_ms;
	n = send(connection->fd, request->answer + connection->sent,
		request->answer_length - connection->sent, MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN)
		return STEP_WAIT;
	if (n < 0 && errno == EINTR)
		return STEP_ON;
	if (n < 0) {
		postlogin_say("cannot answer Dovecot: %s", strerror(errno));
		return STEP_END;
	}
	connection->sent += (size_t)n;
	return connection->sent == request->answer_length ? STEP_END : STEP_ON;
}

/* The deadline of the state has passed. */
static enum step expire(struct connection *connection, long long now_ms)
{
	switch (connection->state) {
	case STATE_REQUEST:
		postlogin_say("a connection of Dovecot's brought no request");
		return STEP_END;
	case STATE_CONNECT:
		return finish_report(connection, -EAGAIN, NULL, now_ms);
	case STATE_SEND:
	case STATE_RECEIVE:
		return finish_report(connection, -ETIMEDOUT, NULL, now_ms);
	case STATE_ANSWER:
	default:
		postlogin_say("cannot answer Dovecot: it does not read");
		return STEP_END;
	}
}

bool connection_run(struct connection *connection, long long now_ms)
{
	static enum step (*const steps[])(struct connection *, long long) = {
		[STATE_REQUEST] = step_request,
		[STATE_CONNECT] = step_connect,
		[STATE_SEND] = step_send,
		[STATE_RECEIVE] = step_receive,
		[STATE_ANSWER] = step_answer,
	};

	for (;;) {
		enum step step = steps[connection->state](connection, now_ms);

		if (step == STEP_WAIT && now_ms >= connection->deadline_ms)
			step = expire(connection, now_ms);
		if (step == STEP_WAIT)
			return true;
		if (step == STEP_END)
			return false;
	}
}
