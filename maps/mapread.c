/*
 * drac-mapread TYPE <FILE: prints the rows of a map.
 *
 * A library that reads a damaged or hostile file may crash, hang or do what the file
 * says; so whoever wants to know what is in one starts this program, which has no other
 * file, starts no other program, writes to no file, and does not last for long.
 *
 * A row is two lengths, of the key and the value, as uint32_t in the byte order of the
 * machine, then key and value as they are in the file, with a NUL if they have one.  The
 * end is two more numbers: MAPREAD_END and 0, or the errno value of what failed.
 * Whatever ends without that has failed.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "maps/format.h"
#include "maps/mapread.h"

enum {
	CPU_SEC = 60,
	WALL_SEC = 120,
	FILES_MAX = 16,
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED
#endif
#endif

/* LMDB maps far more than the file has; what counts is what is taken. */
#define ADDRESS_BYTES (64ULL << 30)
#define DATA_BYTES (256ULL << 20)

static int set_limit(__rlimit_resource_t resource, rlim_t limit)
{
	const struct rlimit both = {.rlim_cur = limit, .rlim_max = limit};

	return setrlimit(resource, &both) < 0 ? -errno : 0;
}

/* Not alarm(2), whose signal a format may have a use for. */
static int limit_time(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGKILL,
	};
	const struct itimerspec limit = {.it_value.tv_sec = WALL_SEC};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
		timer_settime(timer, 0, &limit, NULL) < 0)
		return -errno;
	return 0;
}

/* Also by what it inherits it shall not harm: it has no other files, and can start
 * nothing. */
static int confine(void)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t limit;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_CPU, CPU_SEC},
		{RLIMIT_FSIZE, 0},
		{RLIMIT_NOFILE, FILES_MAX},
#ifndef IS_SANITIZED /* it takes address space by the terabyte */
		{RLIMIT_NPROC, 0},
		{RLIMIT_AS, ADDRESS_BYTES},
		{RLIMIT_DATA, DATA_BYTES},
#endif
	};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	int r = 0;

	(void)sigaction(
		SIGXFSZ, &ignore, NULL); /* to write is an error, no reason to die */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (close_range(3, ~0U, 0) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits) && r == 0; i++)
		r = set_limit(limits[i].resource, limits[i].limit);
	return r == 0 ? limit_time() : r;
}

static int print(const void *data, size_t size)
{
	return size == 0 || fwrite(data, size, 1, stdout) == 1 ? 0 : -EIO;
}

static int print_row(struct map_bytes key, struct map_bytes value, void *context)
{
	const uint32_t sizes[2] = {(uint32_t)key.size, (uint32_t)value.size};
	int r;

	(void)context;
	if (key.size > MAPREAD_SIZE_MAX || value.size > MAPREAD_SIZE_MAX)
		return -EBADMSG;
	r = print(sizes, sizeof(sizes));
	if (r == 0)
		r = print(key.data, key.size);
	return r == 0 ? print(value.data, value.size) : r;
}

int main(int argc, char **argv)
{
	uint32_t end[2] = {MAPREAD_END, 0};
	const struct map_format *format;
	enum map_type type;
	int r = argc == 2 ? map_type_parse(argv[1], &type) : -EINVAL;

	if (r < 0) {
		fputs("usage: drac-mapread TYPE <FILE\n", stderr);
		return 2;
	}
	format = map_type_format(type);
	r = confine();
	if (r == 0)
		r = format->scan(format, "/proc/self/fd/0", print_row, NULL);
	end[1] = (uint32_t)-r;
	if (print(end, sizeof(end)) < 0 || fflush(stdout) != 0)
		return 1;
	return r < 0;
}
