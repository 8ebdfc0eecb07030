/*
 * The report client, blocking and piecewise: the same four steps serve a helper that
 * waits for one answer and a helper with a loop of its own.
 *
 * Every wait has an end on CLOCK_MONOTONIC.  Known limit: a report socket on a hung
 * network file system blocks connect(2) itself, which no time budget can prevent; /run is
 * local.
 */
#include "client/report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	/* Between two attempts to enter dracd's full listen queue. */
	CONNECT_RETRY_MS = 5,
};

static long long monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void add_known(struct line *line, const char *key, const char *value)
{
	if (value)
		line_add(line, key, value);
}

int report_format(const struct report_login *login, struct line *ret)
{
	line_init(ret, "login");
	add_known(ret, "address", login->address);
	add_known(ret, "local", login->local_address);
	add_known(ret, "user", login->user);
	add_known(ret, "service", login->service);
	if (login->ttl_ms)
		line_add_number(ret, "ttl_ms", login->ttl_ms);
	if (login->wait_ms)
		line_add_number(ret, "wait_ms", login->wait_ms);
	return line_finish(ret);
}

int report_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	int fd, error;

	/* An empty path would autobind or name an abstract socket. */
	if (length == 0)
		return -ENOENT;
	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length + 1);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int report_parse_answer(char *line, size_t length, struct words *ret_words)
{
	const char *problem;
	int r = words_parse(line, length, ret_words, &problem);

	if (r < 0)
		return -EBADMSG;
	if (words_is(ret_words, 0, "OK"))
		return REPORT_GRANTED;
	if (words_is(ret_words, 0, "NO"))
		return REPORT_REFUSED;
	if (words_is(ret_words, 0, "ERR"))
		return REPORT_REJECTED;
	return -EBADMSG;
}

/* Waits for events on fd.  Returns 0 (look again at the descriptor) or -ETIMEDOUT. */
static int wait_for(int fd, short events, long long deadline_ms)
{
	struct pollfd wanted = {.fd = fd, .events = events};

	for (;;) {
		long long left_ms = deadline_ms - monotonic_ms();

		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (poll(&wanted, 1, (int)left_ms) > 0)
			return 0;
	}
}

/* A full listen queue empties within moments unless dracd hangs; no event tells of it. */
static int connect_until(const char *path, long long deadline_ms)
{
	for (;;) {
		int fd = report_connect(path);

		if (fd != -EAGAIN || monotonic_ms() + CONNECT_RETRY_MS >= deadline_ms)
			return fd;
		(void)poll(NULL, 0, CONNECT_RETRY_MS);
	}
}

static int send_until(int fd, const struct line *request, long long deadline_ms)
{
	size_t sent = 0;

	while (sent < request->length) {
		ssize_t n = send(
			fd, request->text + sent, request->length - sent, MSG_NOSIGNAL);

		if (n >= 0) {
			sent += (size_t)n;
		} else if (errno == EAGAIN) {
			int r = wait_for(fd, POLLOUT, deadline_ms);

			if (r < 0)
				return r;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Reads one line, which is left in answer without its LF. */
static int receive_until(int fd, long long deadline_ms, struct line *answer)
{
	for (;;) {
		ssize_t n = recv(fd, answer->text + answer->length,
			LINE_SIZE_MAX - answer->length, 0);
		const char *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		if (n > 0) {
			end = memchr(answer->text + answer->length, '\n', (size_t)n);
			if (end) {
				answer->length = (size_t)(end - answer->text);
				return 0;
			}
			answer->length += (size_t)n;
			if (answer->length == LINE_SIZE_MAX)
				return -EBADMSG;
		} else {
			int r = wait_for(fd, POLLIN, deadline_ms);

			if (r < 0)
				return r;
		}
	}
}

int report_login(const char *path, const struct report_login *login, unsigned budget_ms,
	struct line *ret_answer, struct words *ret_words)
{
	long long deadline_ms = monotonic_ms() + budget_ms;
	struct line request;
	int r, fd;

	line_init(ret_answer, "");
	r = report_format(login, &request);
	if (r < 0)
		return r;
	fd = connect_until(path, deadline_ms);
	if (fd < 0)
		return fd;
	r = send_until(fd, &request, deadline_ms);
	/* A dracd that closed at once has said why: the answer waits to be read. */
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		r = receive_until(fd, deadline_ms, ret_answer);
	close(fd);
	if (r < 0)
		return r;
	return report_parse_answer(ret_answer->text, ret_answer->length, ret_words);
}
