/*
 * Asks lookups of dracd once a millisecond, each on one open connection, until they
 * refuse and a little longer; for tests of the end of a lease.
 *
 * Standard input: a line "policy|socketmap SOCKET ADDRESS FROM" per connection, FROM in
 * microseconds of CLOCK_BOOTTIME: the connection is opened and asked once now, and from
 * then on every millisecond.  Standard output: a line per connection, in the same order:
 *
 *     asked permit_sent refuse_due refuse_sent refuse_received permits_later longest_gap
 *
 * the last permitted question and the first refused one as times of CLOCK_BOOTTIME (what
 * lies between due and sent is the asker's own delay), how many were permitted after it,
 * and the longest time between two questions; in microseconds.
 *
 * A program of its own, in C: a Python thread would see every other thread's delay.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_USEC 1000U

enum {
	CONNECTIONS_MAX = 512,
	ASKED_AFTER_REFUSAL = 25,
	ASKED_MAX = 20000,
	ANSWER_TIME_MS = 10000,
};

struct asker {
	pthread_t thread;
	bool is_policy;
	char path[108], address[64];
	uint64_t from_usec;
	int fd;
	unsigned asked, permits_later;
	uint64_t permit_sent, refuse_due, refuse_sent, refuse_received, longest_gap;
};

/* One question, and when the one before was sent. */
struct question {
	uint64_t due, sent, received, before_sent;
	bool permit;
};

static uint64_t now_usec(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void sleep_until(uint64_t usec)
{
	struct timespec until = {
		.tv_sec = (time_t)(usec / 1000000),
		.tv_nsec = (long)(usec % 1000000 * 1000),
	};

	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void fail(const struct asker *asker, const char *what)
{
	fprintf(stderr, "asker: %s, %s: %s\n", asker->path, asker->address, what);
	exit(1);
}

static int open_connection(const struct asker *asker)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(name.sun_path, asker->path, sizeof(asker->path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		fail(asker, strerror(errno));
	return fd;
}

/* One question and its answer: true if permitted. */
static bool ask(const struct asker *asker)
{
	struct pollfd ready = {.fd = asker->fd, .events = POLLIN};
	char question[256], answer[64] = "";
	const char *end = asker->is_policy ? "\n\n" : ",";
	size_t got = 0;
	int length =
		asker->is_policy
			? snprintf(question, sizeof(question),
				  "request=smtpd_access_policy\nclient_address=%s\n\n",
				  asker->address)
			: snprintf(question, sizeof(question), "%zu:drac %s,",
				  strlen(asker->address) + 5, asker->address);

	if (send(asker->fd, question, (size_t)length, MSG_NOSIGNAL) != length)
		fail(asker, "cannot ask");
	while (!strstr(answer, end)) {
		ssize_t n;

		if (poll(&ready, 1, ANSWER_TIME_MS) != 1 || got == sizeof(answer) - 1)
			fail(asker, "no answer");
		n = recv(asker->fd, answer + got, sizeof(answer) - 1 - got, 0);
		if (n <= 0)
			fail(asker, "closed");
		got += (size_t)n;
		answer[got] = '\0';
	}
	if (strcmp(answer, asker->is_policy ? "action=OK\n\n" : "5:OK OK,") == 0)
		return true;
	if (strcmp(answer, asker->is_policy ? "action=DUNNO\n\n" : "9:NOTFOUND ,") != 0)
		fail(asker, answer);
	return false;
}

static void note(struct asker *asker, const struct question *question)
{
	asker->asked++;
	if (question->before_sent &&
		question->sent - question->before_sent > asker->longest_gap)
		asker->longest_gap = question->sent - question->before_sent;
	if (question->permit) {
		asker->permit_sent = question->sent;
		asker->permits_later += asker->refuse_sent != 0;
	} else if (!asker->refuse_sent) {
		asker->refuse_due = question->due;
		asker->refuse_sent = question->sent;
		asker->refuse_received = question->received;
	}
}

static void *run(void *argument)
{
	struct asker *asker = argument;
	struct question question = {.due = asker->from_usec};
	unsigned left = ASKED_AFTER_REFUSAL;

	while (left > 0 && asker->asked < ASKED_MAX) {
		sleep_until(question.due);
		question.sent = now_usec();
		question.permit = ask(asker);
		question.received = now_usec();
		note(asker, &question);
		left -= asker->refuse_sent != 0;
		question.before_sent = question.sent;
		/* what was missed while it waited for an answer is not made up for */
		question.due += PERIOD_USEC;
		if (question.due < question.received)
			question.due = question.received;
	}
	close(asker->fd);
	return NULL;
}

static bool read_asker(struct asker *ret)
{
	char protocol[16];
	unsigned long long from;

	*ret = (struct asker){0};
	if (scanf("%15s %107s %63s %llu", protocol, ret->path, ret->address, &from) != 4)
		return false;
	ret->is_policy = strcmp(protocol, "policy") == 0;
	ret->from_usec = from;
	ret->fd = open_connection(ret);
	if (!ask(ret))
		fail(ret, "refused from the start");
	return true;
}

int main(void)
{
	static struct asker askers[CONNECTIONS_MAX];
	size_t count = 0;

	while (count < CONNECTIONS_MAX && read_asker(&askers[count]))
		count++;
	for (size_t i = 0; i < count; i++)
		if (pthread_create(&askers[i].thread, NULL, run, &askers[i]) != 0)
			fail(&askers[i], "cannot start a thread");
	for (size_t i = 0; i < count; i++) {
		const struct asker *asker = &askers[i];

		pthread_join(asker->thread, NULL);
		printf("%u %llu %llu %llu %llu %u %llu\n", asker->asked,
			(unsigned long long)asker->permit_sent,
			(unsigned long long)asker->refuse_due,
			(unsigned long long)asker->refuse_sent,
			(unsigned long long)asker->refuse_received, asker->permits_later,
			(unsigned long long)asker->longest_gap);
	}
	return 0;
}
