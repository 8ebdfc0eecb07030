/* What Dovecot sends to the served helper; what of it the helper reports, dracd reads. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "client/postlogin_login.h"
#include "client/postlogin_message.h"
#include "client/postlogin_request.h"
#include "dracd/login.h"
#include "tests/fuzz/fuzz.h"

ssize_t __wrap_write(int fd, const void *data, size_t length);
int __wrap_poll(struct pollfd *wanted, nfds_t count, int timeout);

/* Whatever names are in it, a message is one line of printable ASCII. */
ssize_t __wrap_write(int fd, const void *data, size_t length)
{
	const char *text = data;

	FUZZ_ASSERT(fd == STDERR_FILENO && length > 0 && text[length - 1] == '\n');
	for (size_t i = 0; i + 1 < length; i++)
		FUZZ_ASSERT(text[i] >= ' ' && text[i] <= '~');
	return (ssize_t)length;
}

int __wrap_poll(struct pollfd *wanted, nfds_t count, int timeout)
{
	(void)timeout;
	wanted->revents = wanted->events;
	return (int)count;
}

static bool is_plain(const char *text)
{
	for (const char *at = text; *at; at++)
		if (*at < ' ' || *at > '~')
			return false;
	return true;
}

/* The helper's line is one that dracd takes, unless the user's name is no text. */
static void report(const struct postlogin_request *request)
{
	const struct postlogin_options options = {
		.socket_path = "/run/dracd/report", .service = "imap", .budget_ms = 1000};
	const struct postlogin_login login = {.local_ip = request->local_ip,
		.remote_ip = request->remote_ip,
		.user = request->user,
		.mechanism = request->mechanism};
	struct postlogin_report report;
	const char *problem = postlogin_login_prepare(&login, &options, &report);
	struct words words;
	struct login read;
	struct line line;
	int length;

	(void)postlogin_login_is_anonymous(&login);
	postlogin_say_unreported(request->user, request->remote_ip, "fuzz");
	if (problem)
		return;
	length = report_format(&report.login, &line);
	FUZZ_ASSERT(length > 1);
	if (words_parse(line.text, (size_t)length - 1, &words, &problem) < 0 ||
		login_parse(&words, "x", false, &read, &problem) < 0) {
		FUZZ_ASSERT(
			!is_plain(request->user) || strlen(request->user) >= USER_SIZE);
		return;
	}
	FUZZ_ASSERT(strcmp(read.user, request->user) == 0);
	FUZZ_ASSERT(read.has_local == (*request->local_ip != '\0'));
}

/* Before it is whole it is not taken for one. */
static void check_part(const char *text, size_t size, int r)
{
	struct postlogin_request request;
	char *part = fuzz_copy((const uint8_t *)text, size, 0);
	int early = postlogin_request_parse(part, size, &request);

	FUZZ_ASSERT(early == -EAGAIN || early == r);
	free(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, 0);
	struct postlogin_request request;
	int r = postlogin_request_parse(text, size, &request);

	if (r == 0) {
		FUZZ_ASSERT(request.answer >= text && request.answer_length <= size);
		FUZZ_ASSERT(request.answer + request.answer_length <= text + size);
		FUZZ_ASSERT(request.answer[request.answer_length - 1] == '\n');
		if (!request.problem)
			report(&request);
	}
	for (size_t part = 0; part < size; part += 1 + size / 16)
		check_part(text, part, r);
	free(text);
	return 0;
}
