/*
 * What publishing costs, by dracd's own map worker from a table filled with fill_table:
 *
 *   map_cost CONFIG REBUILDS PUBLICATIONS FIRST
 *
 * CONFIG is a drac.conf with one map; its table, of a dracd that does not run, gets one
 * new lease for each publication, of the people FIRST and on (person.h).
 *
 * Prints medians, as "REBUILD_MSEC PUBLISH_MSEC PUBLISH_OCTETS ENTRIES".  A publication
 * is measured from the commit of the lease to the file in place, synced as its format
 * has it; octets are those written meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dracd/map_worker.h"
#include "tests/bench/person.h"

enum {
	MAX_READERS = 126, /* as state.c */
	RUNS_MAX = 1000,
	LEASE_SECONDS = 3600,
	SHARES_MAX = 32,
	PATIENCE_MSEC = 120000,
};

struct bench {
	struct config *config;
	struct blocks *blocks;
	struct table *table;
	struct map_worker *worker;
	uint8_t boot_id[16];
	int reported;
};

static void must(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "map_cost: %s: %s\n", what, r < 0 ? strerror(-r) : "refused");
	exit(EXIT_FAILURE);
}

static void load(struct bench *bench, const char *file)
{
	struct problems problems = {0};
	int r = config_load(file, &bench->config, &problems);

	for (size_t i = 0; i < problems.count; i++)
		fprintf(stderr, "map_cost: %s\n", problems.items[i].text);
	must(r, file);
	must(bench->config->map_count == 1 ? 0 : -EINVAL, "one map");
	problems_done(&problems);
	must(clock_boot_id(bench->boot_id), "boot id");
	bench->blocks = blocks_new();
	must(bench->blocks ? 0 : -ENOMEM, "blocks");
}

static void open_table(struct bench *bench)
{
	struct table_settings settings = {
		.durability = bench->config->durability,
		.max_leases = bench->config->max_leases,
		.max_readers = MAX_READERS,
		.feed_changes = true,
	};
	uint64_t dropped;
	char *path;

	must(asprintf(&path, "%s/table", bench->config->state_directory) < 0 ? -ENOMEM
									     : 0,
		"path");
	settings.directory = path;
	memcpy(settings.boot_id, bench->boot_id, sizeof(settings.boot_id));
	must(table_open(&settings, NULL, clock_now(), &bench->table, &dropped), path);
	free(path);
}

/* On the worker's thread. */
static void on_reported(void *context)
{
	const struct bench *bench = context;
	uint64_t one = 1;

	(void)!write(bench->reported, &one, sizeof(one));
}

/* Waits for what was published last at or after since. */
static struct map_report await(struct bench *bench, uint64_t since, uint64_t sequence)
{
	struct pollfd poll_fd = {.fd = bench->reported, .events = POLLIN};

	for (;;) {
		struct map_report report = map_worker_report(bench->worker);
		uint64_t count;

		must(report.error, report.step ? report.step : "publish");
		if (report.has_published && report.published_boot_usec >= since &&
			report.sequence >= sequence)
			return report;
		must(poll(&poll_fd, 1, PATIENCE_MSEC) == 1 ? 0 : -ETIMEDOUT, "publish");
		must(read(bench->reported, &count, sizeof(count)) > 0 ? 0 : -EIO, "read");
	}
}

/* The worker rests after a publication as long as that took, even for one who waits. */
static void rest(struct bench *bench)
{
	uint64_t usec = map_worker_report(bench->worker).duration_usec + 2000;

	struct timespec pause = {
		.tv_sec = (time_t)(usec / USEC_PER_SEC),
		.tv_nsec = (long)(usec % USEC_PER_SEC * 1000),
	};

	(void)nanosleep(&pause, NULL);
}

/* A worker begins with a rebuild. */
static double start(struct bench *bench)
{
	struct map_worker_settings settings = {
		.map = &bench->config->maps[0],
		.table = bench->table,
		.reported = on_reported,
		.context = bench,
	};

	uint64_t since = clock_now().boot_usec;

	bench->reported = eventfd(0, EFD_CLOEXEC);
	must(map_worker_start(&settings, bench->config, bench->blocks, &bench->worker),
		"worker");
	return (double)(await(bench, since, 0).published_boot_usec - since) / 1e3;
}

static double rebuild(struct bench *bench)
{
	uint64_t since;

	rest(bench);
	since = clock_now().boot_usec;
	map_worker_wake(bench->worker, WAKE_REBUILD, 0, bench->config, bench->blocks);
	return (double)(await(bench, since, 0).published_boot_usec - since) / 1e3;
}

static void log_in(struct bench *bench, uint32_t number)
{
	struct login login = {.service = "imap", .reporter = "root"};
	char text[PERSON_TEXT_SIZE], user[PERSON_TEXT_SIZE];
	struct moment now = clock_now();
	struct address address;
	struct table_grant grant;

	person_address(number, text);
	person_user(number, user);
	memcpy(login.user, user, sizeof(user));
	must(address_parse(text, &address), text);
	must(table_begin(bench->table, now), "table_begin");
	must(table_login(bench->table, &address, &login, LEASE_SECONDS * USEC_PER_SEC,
		     now, SHARES_MAX, &grant),
		text);
	must(grant.is_new ? 0 : -EEXIST, text);
	must(table_commit(bench->table, false), "table_commit");
}

/* Octets that this process has written to files: see proc(5). */
static double octets_written(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	unsigned long long read_octets, written = 0;

	if (!file || fscanf(file, "rchar: %llu wchar: %llu", &read_octets, &written) != 2)
		must(-EIO, "/proc/self/io");
	fclose(file);
	return (double)written;
}

static double publish(struct bench *bench, uint32_t number, double *ret_octets)
{
	uint64_t since;
	double before, msec;

	rest(bench);
	log_in(bench, number);
	before = octets_written();
	since = clock_now().boot_usec;
	map_worker_wake(bench->worker, WAKE_CHANGES, 0, bench->config, bench->blocks);
	msec = (double)(await(bench, since, table_get_state(bench->table)->sequence)
				.published_boot_usec -
			since) /
	       1e3;
	*ret_octets = octets_written() - before;
	return msec;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *numbers, unsigned count)
{
	qsort(numbers, count, sizeof(*numbers), compare);
	return count > 0 ? numbers[count / 2] : 0;
}

static unsigned number_of(const char *text)
{
	unsigned long number = strtoul(text, NULL, 10);

	must(number <= UINT32_MAX ? 0 : -ERANGE, text);
	return (unsigned)number;
}

int main(int argc, char *argv[])
{
	static double rebuilds[RUNS_MAX], publications[RUNS_MAX], octets[RUNS_MAX];
	struct bench bench = {0};
	unsigned rebuild_count, publish_count;

	must(argc == 5 ? 0 : -EINVAL, "arguments");
	rebuild_count = number_of(argv[2]);
	publish_count = number_of(argv[3]);
	must(rebuild_count > 0 && rebuild_count <= RUNS_MAX && publish_count <= RUNS_MAX
			? 0
			: -ERANGE,
		"runs");
	load(&bench, argv[1]);
	open_table(&bench);
	rebuilds[0] = start(&bench);
	for (unsigned i = 1; i < rebuild_count; i++)
		rebuilds[i] = rebuild(&bench);
	for (unsigned i = 0; i < publish_count; i++)
		publications[i] = publish(&bench, number_of(argv[4]) + i, &octets[i]);
	printf("%.3f %.3f %.0f %llu\n", median(rebuilds, rebuild_count),
		median(publications, publish_count), median(octets, publish_count),
		(unsigned long long)map_worker_report(bench.worker).entries);
	bench.worker = map_worker_stop(bench.worker);
	must(table_close(bench.table), "table_close");
	blocks_unref(bench.blocks);
	config_unref(bench.config);
	return EXIT_SUCCESS;
}
