/*
 * Clients of one socket, each with one request outstanding:
 *
 *   clients login SOCKET CONNECTIONS SECONDS FIRST COUNT [OPTION ...]
 *   clients rpc PORT CONNECTIONS SECONDS FIRST COUNT [OPTION ...]
 *   clients socketmap|policy|echo SOCKET CONNECTIONS SECONDS LEASES 0 [OPTION ...]
 *
 * Those of rpc speak DRAC's version 1 by UDP to 127.0.0.1.  Logins are those of the
 * people FIRST to FIRST+COUNT-1 (person.h); it ends when all have logged in or after
 * SECONDS.  Lookups ask for the people 0 to 2*LEASES-1 for SECONDS, of whom the first
 * half is expected to have a lease and the others not.  Options:
 *
 *   pause=USEC  each client waits so long between two questions
 *   rate=N      N requests a second, each by the next client that is free; its latency
 *               counts from when it was due, whenever one was
 *   ends=USEC   boot clock: nobody is expected to have a lease from then on, and only the
 *               latencies of what is asked from then on are kept
 *
 * Prints "ANSWERS SECONDS P50_USEC P99_USEC MAX_USEC".  An answer that is not the
 * expected one is printed and ends the program with status 1: nothing wrong is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client/report.h"
#include "tests/bench/person.h"

enum {
	CONNECTIONS_MAX = 1024,
	LATENCIES_MAX = 1 << 24, /* latencies kept; what comes later is only counted */
	REQUEST_SIZE_MAX = 512,
	STRIDE = 7919, /* a prime: lookups jump about among the people */
};

struct load;

/* What is said on the socket. */
struct kind {
	const char *name;
	const char *end; /* of an answer; "": it is a datagram */
	bool is_login;
	size_t (*ask)(uint32_t number, char request[REQUEST_SIZE_MAX]);
	bool (*is_right)(const struct load *load, uint32_t number, const char *answer,
		size_t length);
};

struct client {
	int fd;
	uint32_t number; /* of the person asked for */
	uint64_t since_nsec;
	struct client *next; /* in the queue of those who pause */
	size_t length;
	char answer[REQUEST_SIZE_MAX];
};

struct load {
	const struct kind *kind;
	unsigned connections;
	uint32_t first, count;
	uint32_t admitted;    /* people with a lower number have a lease */
	uint64_t pause_nsec;  /* 0: none */
	uint64_t period_nsec; /* from one request to the next; 0: as they can */
	uint64_t due_nsec;    /* the next one */
	uint64_t ends_nsec;   /* of all leases; 0: they last */
	uint64_t start_nsec, end_nsec;
	int epoll;
	uint32_t asked, outstanding;
	uint64_t answered;
	struct client *pausing, **last_pausing;
	uint32_t *latencies_nsec;
	struct client clients[CONNECTIONS_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "clients: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(EXIT_FAILURE);
}

static uint64_t now_nsec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ---- kinds ---- */

static size_t ask_login(uint32_t number, char request[REQUEST_SIZE_MAX])
{
	char address[PERSON_TEXT_SIZE], user[PERSON_TEXT_SIZE];
	struct report_login login = {
		.address = address,
		.user = user,
		.service = "imap",
	};
	struct line line;

	person_address(number, address);
	person_user(number, user);
	if (report_format(&login, &line) < 0)
		die("report_format");
	memcpy(request, line.text, line.length);
	return line.length;
}

static bool is_granted(
	const struct load *load, uint32_t number, const char *answer, size_t length)
{
	static const char wanted[] = "OK granted ";

	(void)load;
	(void)number;
	return length > strlen(wanted) && memcmp(answer, wanted, strlen(wanted)) == 0;
}

/* The answer has the number of the person as its xid. */
static size_t ask_rpc(uint32_t number, char request[REQUEST_SIZE_MAX])
{
	uint32_t words[11] = {
		htonl(number), 0, htonl(2), htonl(900101), htonl(1), htonl(1)};
	char address[PERSON_TEXT_SIZE];

	person_address(number, address);
	words[10] = inet_addr(address);
	memcpy(request, words, sizeof(words));
	return sizeof(words);
}

static bool is_success(
	const struct load *load, uint32_t number, const char *answer, size_t length)
{
	const uint32_t wanted[7] = {htonl(number), htonl(1)};

	(void)load;
	return length == sizeof(wanted) && memcmp(answer, wanted, sizeof(wanted)) == 0;
}

static size_t ask_socketmap(uint32_t number, char request[REQUEST_SIZE_MAX])
{
	char address[PERSON_TEXT_SIZE];

	person_address(number, address);
	return (size_t)snprintf(request, REQUEST_SIZE_MAX, "%zu:drac %s,",
		strlen("drac ") + strlen(address), address);
}

static bool is_text(const char *answer, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(answer, wanted, length) == 0;
}

static bool is_map_answer(
	const struct load *load, uint32_t number, const char *answer, size_t length)
{
	return is_text(
		answer, length, number < load->admitted ? "5:OK OK," : "9:NOTFOUND ,");
}

static bool is_echo(
	const struct load *load, uint32_t number, const char *answer, size_t length)
{
	char request[REQUEST_SIZE_MAX];

	(void)load;
	return ask_socketmap(number, request) == length &&
	       memcmp(request, answer, length) == 0;
}

/* What Postfix 3.7 sends, as far as it knows it at RCPT. */
static size_t ask_policy(uint32_t number, char request[REQUEST_SIZE_MAX])
{
	char address[PERSON_TEXT_SIZE];

	person_address(number, address);
	return (size_t)snprintf(request, REQUEST_SIZE_MAX,
		"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
		"client_address=%s\nclient_name=unknown\nclient_port=50123\n"
		"reverse_client_name=unknown\nhelo_name=client.example\n"
		"sender=someone@client.example\nrecipient=someone@outside.example\n"
		"recipient_count=0\nqueue_id=\ninstance=4d2.6553f100.8a1f2.0\nsize=0\n"
		"policy_context=drac\n\n",
		address);
}

static bool is_policy_answer(
	const struct load *load, uint32_t number, const char *answer, size_t length)
{
	return is_text(answer, length,
		number < load->admitted ? "action=OK\n\n" : "action=DUNNO\n\n");
}

static const struct kind kinds[] = {
	{"login", "\n", true, ask_login, is_granted},
	{"rpc", "", true, ask_rpc, is_success},
	{"socketmap", ",", false, ask_socketmap, is_map_answer},
	{"policy", "\n\n", false, ask_policy, is_policy_answer},
	{"echo", ",", false, ask_socketmap, is_echo},
};

/* ---- the load ---- */

/* The next person, or false when nobody is left to be asked for. */
static bool next_number(struct load *load, uint32_t *ret)
{
	if (!load->kind->is_login) {
		*ret = (uint32_t)((uint64_t)load->asked++ * STRIDE % (2U * load->count));
		return true;
	}
	if (load->asked == load->count)
		return false;
	*ret = load->first + load->asked++;
	return true;
}

/* The latency will count from since. */
static void ask(struct load *load, struct client *client, uint64_t since)
{
	char request[REQUEST_SIZE_MAX];
	size_t length;

	if (now_nsec() >= load->end_nsec || !next_number(load, &client->number))
		return;
	length = load->kind->ask(client->number, request);
	client->length = 0;
	client->since_nsec = since;
	if (send(client->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
		die("send");
	load->outstanding++;
}

/* Asks again: at once, after the pause, or when the next request is due. */
static void go_on(struct load *load, struct client *client, uint64_t now)
{
	if (load->pause_nsec == 0 && load->period_nsec == 0) {
		ask(load, client, now);
		return;
	}
	client->since_nsec = now + load->pause_nsec;
	client->next = NULL;
	*load->last_pausing = client;
	load->last_pausing = &client->next;
}

/* When the first of those who pause asks again: all pause for the same time. */
static uint64_t next_nsec(const struct load *load)
{
	return load->period_nsec ? load->due_nsec : load->pausing->since_nsec;
}

static void wake(struct load *load, uint64_t now)
{
	while (load->pausing && next_nsec(load) <= now) {
		struct client *client = load->pausing;
		uint64_t since = load->period_nsec ? load->due_nsec : now;

		load->pausing = client->next;
		if (!load->pausing)
			load->last_pausing = &load->pausing;
		load->due_nsec += load->period_nsec;
		ask(load, client, since);
	}
}

/* What was on its way when the leases ended may be answered either way. */
static bool is_right(struct load *load, const struct client *client, uint64_t now)
{
	load->admitted = load->count;
	if (load->ends_nsec && client->since_nsec >= load->ends_nsec)
		load->admitted = 0;
	else if (load->ends_nsec && now >= load->ends_nsec)
		return true;
	return load->kind->is_right(load, client->number, client->answer, client->length);
}

static void keep_latency(struct load *load, const struct client *client, uint64_t now)
{
	uint64_t latency = now - client->since_nsec;

	if (client->since_nsec < load->ends_nsec)
		return;
	if (load->answered < LATENCIES_MAX)
		load->latencies_nsec[load->answered] =
			latency < UINT32_MAX ? (uint32_t)latency : UINT32_MAX;
	load->answered++;
}

static void receive(struct load *load, struct client *client)
{
	const char *end = load->kind->end;
	size_t end_length = strlen(end);
	ssize_t got = recv(client->fd, client->answer + client->length,
		sizeof(client->answer) - client->length, 0);
	uint64_t now;

	if (got <= 0)
		die("recv");
	client->length += (size_t)got;
	if (client->length < end_length ||
		memcmp(client->answer + client->length - end_length, end, end_length) !=
			0)
		return;
	now = now_nsec();
	if (!is_right(load, client, now)) {
		fprintf(stderr, "clients: person %u: wrong answer: %.*s\n",
			client->number, (int)client->length, client->answer);
		exit(EXIT_FAILURE);
	}
	keep_latency(load, client, now);
	load->outstanding--;
	go_on(load, client, now);
}

/* How long to wait for an answer: until the next pause is over. */
static struct timespec timeout_of(const struct load *load)
{
	uint64_t now = now_nsec(), left = 1000000000U;

	if (load->pausing)
		left = next_nsec(load) > now ? next_nsec(load) - now : 0;
	return (struct timespec){
		.tv_sec = (time_t)(left / 1000000000U),
		.tv_nsec = (long)(left % 1000000000U),
	};
}

static void run(struct load *load)
{
	struct epoll_event events[CONNECTIONS_MAX];

	load->start_nsec = now_nsec();
	load->end_nsec += load->start_nsec;
	load->due_nsec = load->start_nsec;
	for (unsigned i = 0; i < load->connections; i++)
		if (load->period_nsec)
			go_on(load, &load->clients[i], load->start_nsec);
		else
			ask(load, &load->clients[i], load->start_nsec);
	wake(load, load->start_nsec);
	while (load->outstanding || load->pausing) {
		struct timespec timeout = timeout_of(load);
		int count = epoll_pwait2(
			load->epoll, events, CONNECTIONS_MAX, &timeout, NULL);

		if (count < 0)
			die("epoll_pwait2");
		for (int i = 0; i < count; i++)
			receive(load, events[i].data.ptr);
		wake(load, now_nsec());
	}
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static void print_result(struct load *load)
{
	double seconds = (double)(now_nsec() - load->start_nsec) / 1e9;
	size_t count = load->answered < LATENCIES_MAX ? load->answered : LATENCIES_MAX;
	const uint32_t *sorted = load->latencies_nsec;

	errno = 0;
	if (count == 0)
		die("no answer");
	qsort(load->latencies_nsec, count, sizeof(*sorted), compare);
	printf("%llu %.6f %.1f %.1f %.1f\n", (unsigned long long)load->answered, seconds,
		sorted[count / 2] / 1e3, sorted[count - 1 - count / 100] / 1e3,
		sorted[count - 1] / 1e3);
}

static uint32_t number_of(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	errno = EINVAL;
	if (*end || number > UINT32_MAX)
		die(text);
	errno = 0;
	return (uint32_t)number;
}

/* Returns a descriptor or a negative errno. */
static int connect_udp(const char *port)
{
	const struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)number_of(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
		return -errno;
	return fd;
}

static void connect_all(struct load *load, const char *path)
{
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < load->connections; i++) {
		struct client *client = &load->clients[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

		client->fd = load->kind->ask == ask_rpc ? connect_udp(path)
							: report_connect(path);
		if (client->fd < 0) {
			errno = -client->fd;
			die(path);
		}
		if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
			die("epoll_ctl");
	}
}

/* Of the clock of now_nsec(), from the boot clock. */
static uint64_t nsec_of_boot(uint64_t boot_usec)
{
	struct timespec boot;

	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	return now_nsec() + boot_usec * 1000 -
	       ((uint64_t)boot.tv_sec * 1000000000U + (uint64_t)boot.tv_nsec);
}

static void take_option(struct load *load, const char *option)
{
	const char *value = strchr(option, '=');
	uint64_t number = value ? strtoull(value + 1, NULL, 10) : 0;

	if (number > 0 && strncmp(option, "pause=", 6) == 0)
		load->pause_nsec = number * 1000;
	else if (number > 0 && strncmp(option, "rate=", 5) == 0)
		load->period_nsec = 1000000000U / number;
	else if (number > 0 && strncmp(option, "ends=", 5) == 0)
		load->ends_nsec = nsec_of_boot(number);
	else
		die(option);
}

int main(int argc, char *argv[])
{
	static struct load load;

	errno = EINVAL;
	if (argc < 7)
		die("arguments");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0)
			load.kind = &kinds[i];
	load.connections = number_of(argv[3]);
	load.end_nsec = (uint64_t)(strtod(argv[4], NULL) * 1e9);
	load.first = number_of(argv[5]);
	load.count = number_of(argv[6]);
	if (load.kind && !load.kind->is_login)
		load.count = load.first;
	for (int i = 7; i < argc; i++)
		take_option(&load, argv[i]);
	load.last_pausing = &load.pausing;
	load.latencies_nsec = malloc(LATENCIES_MAX * sizeof(*load.latencies_nsec));
	if (!load.kind || load.connections == 0 || load.connections > CONNECTIONS_MAX ||
		load.count == 0 || !load.latencies_nsec)
		die("arguments");
	connect_all(&load, argv[2]);
	run(&load);
	print_result(&load);
	return EXIT_SUCCESS;
}
