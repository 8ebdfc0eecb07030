/* The report client against a server of a few lines: every answer, and none. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/report.h"

static const struct report_login LOGIN = {
	.address = "203.0.113.9",
	.local_address = "192.0.2.1",
	.user = "bob the builder",
	.service = "imap",
};

/* A server that takes one connection, reads one line and sends what it is told to. */
struct server {
	char directory[64];
	char path[96];
	int listener;
	pthread_t thread;
	bool running;
	const char *answer; /* NULL: says nothing until the client goes */
	size_t answer_length;
	bool answers_first; /* closes without having read */
	bool byte_by_byte;
	char request[LINE_SIZE_MAX + 1];
};

static void read_line(int fd, char *line, size_t size)
{
	size_t length = 0;

	while (length + 1 < size && read(fd, line + length, 1) == 1)
		if (line[length++] == '\n')
			break;
	line[length] = '\0';
}

static void *serve(void *argument)
{
	struct server *server = argument;
	int fd = accept(server->listener, NULL, NULL);
	char end;

	if (fd < 0)
		return NULL;
	if (!server->answers_first)
		read_line(fd, server->request, sizeof(server->request));
	if (!server->answer)
		while (read(fd, &end, 1) > 0)
			;
	for (size_t sent = 0; server->answer && sent < server->answer_length;) {
		size_t length = server->byte_by_byte ? 1 : server->answer_length - sent;
		ssize_t n = send(fd, server->answer + sent, length, MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	close(fd);
	return NULL;
}

static int open_server(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!server)
		return -1;
	snprintf(server->directory, sizeof(server->directory), "/tmp/test_report.XXXXXX");
	if (!mkdtemp(server->directory))
		return -1;
	snprintf(server->path, sizeof(server->path), "%s/report", server->directory);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(server->listener, 8) < 0)
		return -1;
	*state = server;
	return 0;
}

static int close_server(void **state)
{
	struct server *server = *state;

	if (server->running)
		pthread_join(server->thread, NULL);
	close(server->listener);
	unlink(server->path);
	rmdir(server->directory);
	free(server);
	return 0;
}

static void start(struct server *server, const char *answer)
{
	server->answer = answer;
	server->answer_length = answer ? strlen(answer) : 0;
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
	server->running = true;
}

static int report(
	const struct server *server, unsigned budget_ms, struct words *ret_words)
{
	static struct line answer;

	return report_login(server->path, &LOGIN, budget_ms, &answer, ret_words);
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void the_request_says_what_is_known(void **state)
{
	struct report_login login = LOGIN;
	struct line line;

	(void)state;
	assert_true(report_format(&login, &line) > 0);
	assert_string_equal(line.text,
		"login address=203.0.113.9 local=192.0.2.1 user=bob%20the%20builder "
		"service=imap\n");
	login = (struct report_login){
		.address = "2001:db8::1", .ttl_ms = 1800000, .wait_ms = 225};
	assert_true(report_format(&login, &line) > 0);
	assert_string_equal(
		line.text, "login address=2001:db8::1 ttl_ms=1800000 wait_ms=225\n");
}

static void a_request_that_is_too_long_is_not_sent(void **state)
{
	char user[LINE_SIZE_MAX + 1];
	struct report_login login = LOGIN;
	struct line answer;
	struct words words;

	(void)state;
	memset(user, 'u', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	login.user = user;
	assert_int_equal(report_format(&login, &answer), -EMSGSIZE);
	assert_int_equal(
		report_login("/nonexistent", &login, 1000, &answer, &words), -EMSGSIZE);
}

static void a_granted_login_is_granted(void **state)
{
	struct server *server = *state;
	struct words words;

	start(server, "OK granted address=203.0.113.9 until_ms=1 boot_ms=2 left_ms=3\n");
	assert_int_equal(report(server, 5000, &words), REPORT_GRANTED);
	assert_true(words_is(&words, 1, "granted"));
	assert_string_equal(words_get(&words, "left_ms"), "3");
	pthread_join(server->thread, NULL);
	server->running = false;
	assert_string_equal(server->request,
		"login address=203.0.113.9 local=192.0.2.1 user=bob%20the%20builder "
		"service=imap\n");
}

static void a_refused_login_is_refused(void **state)
{
	struct words words;

	start(*state, "NO reason=private address=10.0.0.1 hint=lease_special\n");
	assert_int_equal(report(*state, 5000, &words), REPORT_REFUSED);
	assert_string_equal(words_get(&words, "reason"), "private");
}

static void an_error_says_its_reason(void **state)
{
	struct words words;

	start(*state, "ERR reason=denied text=uid%2042%20may%20not\n");
	assert_int_equal(report(*state, 5000, &words), REPORT_REJECTED);
	assert_string_equal(words_get(&words, "text"), "uid 42 may not");
}

static void a_server_that_closes_at_once_is_heard(void **state)
{
	struct server *server = *state;
	struct words words;

	server->answers_first = true;
	start(server, "ERR reason=denied\n");
	assert_int_equal(report(server, 5000, &words), REPORT_REJECTED);
}

static void an_answer_may_come_octet_by_octet(void **state)
{
	struct server *server = *state;
	struct words words;

	server->byte_by_byte = true;
	start(server, "OK renewed address=203.0.113.9\n");
	assert_int_equal(report(server, 5000, &words), REPORT_GRANTED);
}

static void what_follows_the_answer_is_not_looked_at(void **state)
{
	struct words words;

	start(*state, "OK granted\n\xff\xff\xff");
	assert_int_equal(report(*state, 5000, &words), REPORT_GRANTED);
}

static void garbage_is_no_answer(void **state)
{
	struct words words;

	start(*state, "\xff\xfe HTTP/1.1 400\r\n\r\n");
	assert_int_equal(report(*state, 5000, &words), -EBADMSG);
}

static void an_unknown_verb_is_no_answer(void **state)
{
	struct words words;

	start(*state, "YES granted\n");
	assert_int_equal(report(*state, 5000, &words), -EBADMSG);
}

static void half_a_line_is_no_answer(void **state)
{
	struct words words;

	start(*state, "OK granted address=203.0.113");
	assert_int_equal(report(*state, 5000, &words), -ECONNRESET);
}

static void no_line_at_all_is_no_answer(void **state)
{
	struct words words;

	start(*state, "");
	assert_int_equal(report(*state, 5000, &words), -ECONNRESET);
}

static void a_line_without_end_is_given_up_at_the_limit(void **state)
{
	static char endless[2 * LINE_SIZE_MAX + 1];
	struct words words;

	memset(endless, 'x', sizeof(endless) - 1);
	start(*state, endless);
	assert_int_equal(report(*state, 5000, &words), -EBADMSG);
}

static void a_line_of_the_full_length_is_an_answer(void **state)
{
	static char full[LINE_SIZE_MAX + 1];
	struct words words;

	memset(full, 'x', sizeof(full) - 1);
	memcpy(full, "OK k=", 5);
	full[LINE_SIZE_MAX - 1] = '\n';
	start(*state, full);
	assert_int_equal(report(*state, 5000, &words), REPORT_GRANTED);
	assert_int_equal(strlen(words_get(&words, "k")), LINE_SIZE_MAX - 1 - 5);
}

static void a_server_that_hangs_costs_the_budget(void **state)
{
	struct words words;
	long long begun_ms = now_ms();

	start(*state, NULL);
	assert_int_equal(report(*state, 50, &words), -ETIMEDOUT);
	assert_true(now_ms() - begun_ms >= 50);
	assert_true(now_ms() - begun_ms < 5000);
}

static void a_server_that_is_not_there_is_known_at_once(void **state)
{
	struct server *server = *state;
	struct line answer;
	struct words words;

	assert_int_equal(
		report_login("/nonexistent/report", &LOGIN, 5000, &answer, &words),
		-ENOENT);
	assert_int_equal(report_login("", &LOGIN, 5000, &answer, &words), -ENOENT);
	close(server->listener);
	assert_int_equal(
		report_login(server->path, &LOGIN, 5000, &answer, &words), -ECONNREFUSED);
	server->listener = -1;
}

static void a_path_that_does_not_fit_is_not_cut_short(void **state)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(report_connect(path), -ENAMETOOLONG);
	path[sizeof(path) - 2] = '\0';
	assert_int_equal(report_connect(path), -ENOENT);
}

/* Nobody accepts: once the queue of the kernel is full a connection waits its turn, and
 * at most for the budget. */
static void a_full_queue_costs_the_budget(void **state)
{
	struct server *server = *state;
	struct line answer;
	struct words words;
	long long begun_ms;
	int queued[64], count = 0;

	listen(server->listener, 0);
	while (count < 64 && (queued[count] = report_connect(server->path)) >= 0)
		count++;
	assert_in_range(count, 1, 63);
	assert_int_equal(queued[count], -EAGAIN);
	begun_ms = now_ms();
	assert_int_equal(
		report_login(server->path, &LOGIN, 50, &answer, &words), -EAGAIN);
	assert_true(now_ms() - begun_ms >= 40);
	assert_true(now_ms() - begun_ms < 5000);
	while (count > 0)
		close(queued[--count]);
}

static void a_connection_is_not_inherited_and_does_not_block(void **state)
{
	struct server *server = *state;
	int fd = report_connect(server->path);

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
}

/* Whatever became of a report, no descriptor stays behind. */
static void no_descriptor_is_left(void **state)
{
	struct server *server = *state;
	struct words words;
	int before = dup(0), after;

	close(before);
	assert_true(report(server, 1, &words) < 0);
	close(server->listener);
	server->listener = -1;
	assert_true(report(server, 1, &words) < 0);
	after = dup(0);
	close(after);
	assert_true(after <= before);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_says_what_is_known),
		cmocka_unit_test(a_request_that_is_too_long_is_not_sent),
		WITH_SERVER(a_granted_login_is_granted),
		WITH_SERVER(a_refused_login_is_refused),
		WITH_SERVER(an_error_says_its_reason),
		WITH_SERVER(a_server_that_closes_at_once_is_heard),
		WITH_SERVER(an_answer_may_come_octet_by_octet),
		WITH_SERVER(what_follows_the_answer_is_not_looked_at),
		WITH_SERVER(garbage_is_no_answer),
		WITH_SERVER(an_unknown_verb_is_no_answer),
		WITH_SERVER(half_a_line_is_no_answer),
		WITH_SERVER(no_line_at_all_is_no_answer),
		WITH_SERVER(a_line_without_end_is_given_up_at_the_limit),
		WITH_SERVER(a_line_of_the_full_length_is_an_answer),
		WITH_SERVER(a_server_that_hangs_costs_the_budget),
		WITH_SERVER(a_server_that_is_not_there_is_known_at_once),
		cmocka_unit_test(a_path_that_does_not_fit_is_not_cut_short),
		WITH_SERVER(a_full_queue_costs_the_budget),
		WITH_SERVER(a_connection_is_not_inherited_and_does_not_block),
		WITH_SERVER(no_descriptor_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
