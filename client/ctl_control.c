#include "client/ctl_control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/report.h"

enum {
	/* Between two attempts to enter dracd's full listen queue. */
	CONNECT_RETRY_MS = 20,
};

static long long monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int fail(const struct control *control, int r, const char *text)
{
	fprintf(stderr, "dracctl: %s: %s\n", control->path, text);
	return r;
}

/* Says what r, a negative errno, means for the administrator, and returns it. */
static int fail_errno(const struct control *control, int r)
{
	char text[128];

	switch (r) {
	case -ECONNREFUSED:
		return fail(control, r,
			"connection refused: dracd is not running (journalctl -u dracd); leases "
			"are withdrawn");
	case -ENOENT:
		return fail(control, r,
			"no such socket: dracd is not running (journalctl -u dracd); leases are "
			"withdrawn");
	case -EACCES:
		snprintf(text, sizeof(text), "permission denied: only %s may ask",
			control->who);
		return fail(control, r, text);
	case -EAGAIN:
	case -ETIMEDOUT:
		snprintf(text, sizeof(text),
			"no answer within %u s: dracd hangs or is overloaded (journalctl -u dracd)",
			control->timeout_ms / 1000);
		return fail(control, r, text);
	case -ECONNRESET:
	case -EPIPE:
		return fail(control, r,
			"the connection was closed in the middle of the answer: dracd has ended "
			"(journalctl -u dracd)");
	default:
		return fail(control, r, strerror(-r));
	}
}

void control_init(
	struct control *control, const char *path, unsigned timeout_ms, bool is_text)
{
	control->path = path;
	control->who = "root and the members of control_group";
	control->timeout_ms = timeout_ms;
	control->is_text = is_text;
	control->fd = -1;
	control->file = -1;
	control->start = 0;
	control->length = 0;
}

void control_close(struct control *control)
{
	if (control->fd >= 0)
		close(control->fd);
	control->fd = -1;
}

static int wait_for(const struct control *control, short events)
{
	long long deadline_ms = monotonic_ms() + control->timeout_ms;
	struct pollfd wanted = {.fd = control->fd, .events = events};

	for (;;) {
		long long left_ms = deadline_ms - monotonic_ms();

		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (poll(&wanted, 1, (int)left_ms) > 0)
			return 0;
	}
}

static int connect_until(struct control *control)
{
	long long deadline_ms = monotonic_ms() + control->timeout_ms;

	do {
		control->fd = report_connect(control->path);
		if (control->fd >= 0)
			return 0;
		if (control->fd != -EAGAIN)
			break;
		(void)poll(NULL, 0, CONNECT_RETRY_MS);
	} while (monotonic_ms() < deadline_ms);
	return control->fd;
}

/* The descriptor goes with the first octet: unix(7), SCM_RIGHTS. */
static ssize_t send_octets(struct control *control, const char *data, size_t length)
{
	_Alignas(struct cmsghdr) char rights[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec octets = {.iov_len = length};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1};
	struct cmsghdr *header;
	ssize_t sent;

	if (control->file < 0)
		return send(control->fd, data, length, MSG_NOSIGNAL);
	memcpy(&octets.iov_base, &data, sizeof(data)); /* is for reading, too */
	message.msg_control = rights;
	message.msg_controllen = sizeof(rights);
	header = CMSG_FIRSTHDR(&message);
	*header =
		(struct cmsghdr){CMSG_LEN(sizeof(control->file)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(header), &control->file, sizeof(control->file));
	sent = sendmsg(control->fd, &message, MSG_NOSIGNAL);
	if (sent > 0)
		control->file = -1;
	return sent;
}

static int send_request(struct control *control, const struct line *request)
{
	size_t sent = 0;

	while (sent < request->length) {
		ssize_t n = send_octets(
			control, request->text + sent, request->length - sent);
		int r = n < 0 ? -errno : 0;

		if (r == 0)
			sent += (size_t)n;
		else if (r == -EAGAIN)
			r = wait_for(control, POLLOUT);
		/* A dracd that closed at once has said why: the answer waits to be read.
		 */
		if (r == -EPIPE || r == -ECONNRESET)
			return 0;
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

int control_connect(struct control *control)
{
	int r = connect_until(control);

	return r < 0 ? fail_errno(control, r) : 0;
}

int control_send(struct control *control, struct line *request)
{
	int r = line_finish(request);

	if (r < 0) {
		fprintf(stderr, "dracctl: the arguments are too long\n");
		return r;
	}
	r = send_request(control, request);
	return r < 0 ? fail_errno(control, r) : 0;
}

int control_ask(struct control *control, struct line *request)
{
	int r;

	/* what is too long is not worth a connection */
	if (request->overflow)
		return control_send(control, request);
	r = control_connect(control);
	return r < 0 ? r : control_send(control, request);
}

/* Makes more octets available behind those that are there. */
static int receive(struct control *control)
{
	memmove(control->data, control->data + control->start,
		control->length - control->start);
	control->length -= control->start;
	control->start = 0;
	for (;;) {
		ssize_t n = recv(control->fd, control->data + control->length,
			sizeof(control->data) - control->length, 0);
		int r = n < 0 ? -errno : 0;

		if (n == 0)
			return -ECONNRESET;
		if (n > 0) {
			control->length += (size_t)n;
			return 0;
		}
		if (r == -EAGAIN)
			r = wait_for(control, POLLIN);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

/* How many octets at text are a control character, or one that changes the direction of
 * the text around it and so can make one user name look like another; 0 if none. */
static size_t deceptive_length(const unsigned char *text)
{
	if (text[0] < 0x20 || text[0] == 0x7f)
		return 1;
	if ((text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0) || /* C1 */
		(text[0] == 0xd8 && text[1] == 0x9c))                 /* U+061C */
		return 2;
	if (text[0] != 0xe2)
		return 0;
	/* U+200B..U+200F, U+2028..U+202E, U+2066..U+2069 */
	if (text[1] == 0x80 && ((text[2] >= 0x8b && text[2] <= 0x8f) ||
				       (text[2] >= 0xa8 && text[2] <= 0xae)))
		return 3;
	return text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9 ? 3 : 0;
}

/* Replaces the values by copies that are safe on a terminal. */
static void mask_values(struct control *control, struct words *words)
{
	size_t used = 0;

	for (unsigned i = 0; i < words->count; i++) {
		const char *at = words->word[i].value;

		if (!at)
			continue;
		words->word[i].value = control->masked + used;
		while (*at) {
			size_t skip = deceptive_length((const unsigned char *)at);

			control->masked[used] = *at;
			if (skip)
				control->masked[used] = '?';
			used++;
			at += skip ? skip : 1;
		}
		control->masked[used++] = '\0';
	}
}

/* Finds the next whole line.  Returns 0 or a negative errno. */
static int find_line(struct control *control, char **ret_line, size_t *ret_length)
{
	for (;;) {
		char *line = control->data + control->start;
		size_t there = control->length - control->start;
		const char *end = memchr(line, '\n', there);
		int r;

		if (end ? end - line >= LINE_SIZE_MAX : there >= LINE_SIZE_MAX)
			return fail(control, -EBADMSG,
				"answers with a line that is too long");
		if (end) {
			*ret_line = line;
			*ret_length = (size_t)(end - line);
			control->start += *ret_length + 1;
			return 0;
		}
		r = receive(control);
		if (r < 0)
			return fail_errno(control, r);
	}
}

int control_next(struct control *control, struct words *ret)
{
	const char *problem;
	size_t length = 0;
	char *line = NULL;
	int r = find_line(control, &line, &length);

	if (r < 0)
		return r;
	if (words_parse(line, length, ret, &problem) < 0)
		return fail(
			control, -EBADMSG, "answers with a line that is not understood");
	if (control->is_text)
		mask_values(control, ret);
	if (words_is(ret, 0, "OK"))
		return CONTROL_OK;
	if (words_is(ret, 0, "NO"))
		return CONTROL_NO;
	return words_is(ret, 0, "ERR") ? CONTROL_ERR : CONTROL_DATA;
}
