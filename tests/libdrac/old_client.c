/*
 * A program as those that were written for DRAC: it declares the calls itself, with the
 * types of 1.12, and is linked to libdrac.  A line of input is a call, a line of output
 * its result and text:
 *
 *     auth SERVER ADDRESS    conn SERVER    send ADDRESS    disc     and auth6 ... disc6
 *     quiet CALL ...         the same without a place for the text
 *     threads N CALL ...     that many at the same time; how often each result came
 *     fork CALL ...          in a child process
 *     slow MS CALL ...       while each look-up of a name takes so long
 *
 * A SERVER of "ADDRESS,ADDRESS" is one whose name is found to have these, in this order.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int dracauth(char *server, unsigned long userip, char **errmsg);
int dracconn(char *server, char **errmsg);
int dracsend(unsigned long userip, char **errmsg);
int dracdisc(char **errmsg);
int dracauth6(char *server, unsigned char *userip, char **errmsg);
int dracconn6(char *server, char **errmsg);
int dracsend6(unsigned char *userip, char **errmsg);
int dracdisc6(char **errmsg);

enum {
	WORDS = 5,
	THREADS_MAX = 64,
	CALLS = 20, /* of each thread */
};

/* A name of the library's own insides: a program may have one, too. */
int line_init(void);

int line_init(void)
{
	return 42;
}

static useconds_t look_up_usec;

/* Stands before the C library's, also for the shared library. */
int getaddrinfo(const char *restrict name, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	int (*real)(
		const char *, const char *, const struct addrinfo *, struct addrinfo **);
	const char *comma = name ? strchr(name, ',') : NULL;
	char first[64];
	int r;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	usleep(look_up_usec);
	if (!comma)
		return real(name, service, hints, ret);
	snprintf(first, sizeof(first), "%.*s", (int)(comma - name), name);
	r = real(first, service, hints, ret);
	return r ? r : real(comma + 1, service, hints, &(*ret)->ai_next);
}

static unsigned char *ipv6_of(const char *text)
{
	static _Thread_local unsigned char octets[16];

	if (inet_pton(AF_INET6, text, octets) != 1)
		exit(2);
	return octets;
}

static int call(char **word, char **text)
{
	if (strcmp(word[0], "auth") == 0)
		return dracauth(word[1], inet_addr(word[2]), text);
	if (strcmp(word[0], "conn") == 0)
		return dracconn(word[1], text);
	if (strcmp(word[0], "send") == 0)
		return dracsend(inet_addr(word[1]), text);
	if (strcmp(word[0], "disc") == 0)
		return dracdisc(text);
	if (strcmp(word[0], "auth6") == 0)
		return dracauth6(word[1], ipv6_of(word[2]), text);
	if (strcmp(word[0], "conn6") == 0)
		return dracconn6(word[1], text);
	if (strcmp(word[0], "send6") == 0)
		return dracsend6(ipv6_of(word[1]), text);
	if (strcmp(word[0], "disc6") == 0)
		return dracdisc6(text);
	exit(2);
}

static void *run_thread(void *context)
{
	char **word = context;
	long failed = 0;

	for (int i = 0; i < CALLS; i++) {
		char *text = NULL;
		int r = call(word, &text);

		/* its own text, whatever the other threads are told */
		if (r != 0 || strcmp(text, "Server reports add succeeded") != 0)
			failed++;
	}
	return (void *)failed;
}

static void run_threads(unsigned count, char **word)
{
	pthread_t threads[THREADS_MAX];
	long failed = 0;

	for (unsigned i = 0; i < count && i < THREADS_MAX; i++)
		if (pthread_create(&threads[i], NULL, run_thread, word) != 0)
			exit(2);
	for (unsigned i = 0; i < count && i < THREADS_MAX; i++) {
		void *one;

		pthread_join(threads[i], &one);
		failed += (long)one;
	}
	printf("%ld failed\n", failed);
}

static void run(char **word)
{
	char *text = NULL;
	int r;

	if (strcmp(word[0], "threads") == 0) {
		run_threads((unsigned)atoi(word[1]), word + 2);
	} else if (strcmp(word[0], "quiet") == 0) {
		printf("%d\n", call(word + 1, NULL));
	} else if (strcmp(word[0], "slow") == 0) {
		look_up_usec = 1000 * (useconds_t)atoi(word[1]);
		run(word + 2);
		look_up_usec = 0;
	} else if (strcmp(word[0], "fork") == 0) {
		if (fork() == 0) {
			run(word + 1);
			fflush(stdout);
			_exit(0);
		}
		wait(NULL);
	} else {
		r = call(word, &text);
		printf("%d %s\n", r, text ? text : "(no text)");
	}
}

int main(void)
{
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		char *word[WORDS + 2] = {NULL};
		char *rest = line;

		line[strcspn(line, "\n")] = '\0';
		for (unsigned i = 0; i < WORDS + 1 && rest; i++)
			word[i] = strsep(&rest, " ");
		run(word);
		fflush(stdout);
	}
	return line_init() == 42 ? 0 : 2;
}
