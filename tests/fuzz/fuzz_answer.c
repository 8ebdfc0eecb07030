/*
 * What dracd answers, as its clients read it: drac-postlogin, libdrac and drac-rpcd one
 * line, dracctl several.  The first octet says in what pieces they come, the second what
 * else happens to the connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "client/ctl_control.h"
#include "client/report.h"
#include "tests/fuzz/fuzz.h"

enum {
	SOCKET = 1000
};

static struct {
	const uint8_t *data;
	size_t left, piece;
	unsigned calls, disturbs; /* every so many calls are interrupted; 0: none */
	char sent[LINE_SIZE_MAX + 1];
	size_t sent_length;
	long now_ms;
	int refusal; /* of the connection; 0: none */
} peer;

int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
int __wrap_poll(struct pollfd *wanted, nfds_t count, int timeout);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_close(int fd);

static bool is_disturbed(int error)
{
	if (!peer.disturbs || ++peer.calls % peer.disturbs)
		return false;
	errno = error;
	return true;
}

int __wrap_socket(int family, int type, int protocol)
{
	(void)protocol;
	FUZZ_ASSERT(family == AF_UNIX && type & SOCK_CLOEXEC);
	return is_disturbed(EMFILE) ? -1 : SOCKET;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	FUZZ_ASSERT(fd == SOCKET && address && length > 0);
	errno = peer.refusal;
	return peer.refusal || is_disturbed(EAGAIN) ? -1 : 0;
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
	size_t taken = length < peer.piece ? length : peer.piece;

	FUZZ_ASSERT(fd == SOCKET && flags & MSG_NOSIGNAL);
	if (is_disturbed(peer.calls % 3 ? EAGAIN : EINTR))
		return -1;
	FUZZ_ASSERT(peer.sent_length + taken < sizeof(peer.sent));
	memcpy(peer.sent + peer.sent_length, data, taken);
	peer.sent_length += taken;
	return (ssize_t)taken;
}

/* With a descriptor. */
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);

	FUZZ_ASSERT(
		header && header->cmsg_type == SCM_RIGHTS && message->msg_iovlen == 1);
	FUZZ_ASSERT(header->cmsg_len == CMSG_LEN(sizeof(int)));
	return __wrap_send(
		fd, message->msg_iov->iov_base, message->msg_iov->iov_len, flags);
}

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
	size_t taken = size < peer.piece ? size : peer.piece;

	(void)flags;
	FUZZ_ASSERT(fd == SOCKET && size > 0);
	if (is_disturbed(peer.calls % 3 ? EAGAIN : EINTR))
		return -1;
	if (taken > peer.left)
		taken = peer.left;
	memcpy(data, peer.data, taken);
	peer.data += taken;
	peer.left -= taken;
	return (ssize_t)taken;
}

int __wrap_poll(struct pollfd *wanted, nfds_t count, int timeout)
{
	FUZZ_ASSERT(timeout > 0);
	peer.now_ms += count > 0 ? 1 : timeout;
	if (count > 0)
		wanted->revents = wanted->events;
	return (int)count;
}

/* Time passes where it is waited for. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	FUZZ_ASSERT(clock == CLOCK_MONOTONIC);
	*ret = (struct timespec){peer.now_ms / 1000, peer.now_ms % 1000 * 1000000};
	return 0;
}

int __wrap_close(int fd)
{
	FUZZ_ASSERT(fd == SOCKET);
	return 0;
}

/* Values are text, as words_parse() promises; shown ones deceive nobody. */
static void check_words(const struct words *words, bool is_shown)
{
	FUZZ_ASSERT(words->count >= 1 && words->count <= WORDS_MAX);
	FUZZ_ASSERT(!words->word[0].value);
	for (unsigned i = 0; i < words->count; i++) {
		const unsigned char *at = (const unsigned char *)words->word[i].value;

		for (; at && *at; at++) {
			FUZZ_ASSERT(*at >= ' ' && *at != 0x7f);
			/* U+202E turns what follows it around */
			FUZZ_ASSERT(!is_shown || memcmp(at, "\xe2\x80\xae", 3) != 0);
		}
	}
}

static void ask_dracd(void)
{
	static const struct report_login login = {.address = "203.0.113.9",
		.local_address = "192.0.2.1",
		.user = "bob smith",
		.service = "imap",
		.ttl_ms = 5,
		.wait_ms = 6};
	struct line answer;
	struct words words;
	int r = report_login("/run/dracd/report", &login, 1000, &answer, &words);

	FUZZ_ASSERT(r <= REPORT_REJECTED);
	if (r >= 0)
		check_words(&words, false);
	/* nothing but the one request, or the start of it */
	FUZZ_ASSERT(strncmp("login address=203.0.113.9 local=192.0.2.1 user=bob%20smith "
			    "service=imap ttl_ms=5 wait_ms=6\n",
			    peer.sent, peer.sent_length) == 0);
}

static void run_dracctl(bool is_text, bool hands_over)
{
	static struct control control;
	struct words words;
	struct line line;
	int r;

	control_init(&control, "/run/dracd/control", 1000, is_text);
	control.file = hands_over ? 0 : -1;
	line_init(&line, hands_over ? "import-drac" : "status");
	r = control_ask(&control, &line);
	if (r < 0)
		return;
	while ((r = control_next(&control, &words)) >= 0)
		check_words(&words, is_text);
	FUZZ_ASSERT(r != -EINVAL);
	control_close(&control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int refusals[] = {ECONNREFUSED, ENOENT, EACCES, EAGAIN, EMFILE};
	static FILE *nowhere;
	FILE *said = stderr;

	if (size < 2)
		return 0;
	if (!nowhere)
		nowhere = fopen("/dev/null", "we");
	FUZZ_ASSERT(nowhere);
	memset(&peer, 0, sizeof(peer));
	peer.data = data + 2;
	peer.left = size - 2;
	peer.piece = data[0] + 1U;
	peer.disturbs = data[1] >> 4 ? 1U + (data[1] >> 4) : 0;
	if (data[1] & 8)
		peer.refusal = refusals[data[0] % 5];
	stderr = nowhere; /* dracctl says what went wrong */
	if (data[1] & 1)
		ask_dracd();
	else
		run_dracctl(data[1] & 2, data[1] & 4);
	stderr = said;
	return 0;
}
