/*
 * Random schedules of what may happen to dracd, against an oracle: `make soak`.
 *
 *   soak SCHEDULES SEED DIRECTORY
 *
 * Schedule i is made of the number SEED + i alone, so one that fails is repeated by
 * SOAK=1 SEED=that.  Two processes share the schedules.  Each has children that run them
 * one after the other, until a step kills the child in the midst of a system call; the
 * next child finds the clock, the oracle and the place in the schedule in shared memory,
 * and of dracd what is in its directory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/soak/soak.h"

enum {
	PROCESSES = 2,
	ALL_KINDS = 2000, /* schedules, from which on each kind of step must occur */
};

struct soak *soak;

static const char *const names[KINDS] = {"schedules", "logins", "renewals", "refusals",
	"revokes of hosts", "revokes of networks", "revokes of users", "unblocks",
	"flushes", "tidies", "failed operations", "publications", "clock forward",
	"clock backward", "suspends", "restarts", "reboots",
	"reboots with an incredible clock", "kills", "kills within a call",
	"kills within a start", "full disks", "failed calls", "failed starts",
	"tables given up", "questions", "permitted"};

/* Runs a share of the schedules; the shared memory tells how it went. */
static void supervise(void)
{
	bool after_death = false;

	for (;;) {
		pid_t child = fork();
		int status;

		if (child == 0)
			run_schedules(after_death);
		if (child < 0 || waitpid(child, &status, 0) < 0)
			exit(1);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			exit(0);
		after_death = WIFEXITED(status) && WEXITSTATUS(status) == KILLED;
		if (after_death)
			continue;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != FAILED)
			fprintf(stderr, "not ok schedule SOAK=1 SEED=%llu: status %d%s\n",
				(unsigned long long)(soak->first + soak->index), status,
				soak->trace);
		soak->failures++;
		soak->index += soak->stride;
		soak->is_begun = false;
	}
}

static pid_t start_process(struct soak *share, const char *directory)
{
	static char path[PROCESSES][128];
	unsigned number = (unsigned)(share->index);
	pid_t child;

	snprintf(path[number], sizeof(path[number]), "%s/%u", directory, number);
	if (mkdir(path[number], 0700) < 0)
		return -1;
	share->settings.directory = path[number];
	child = fork();
	if (child == 0) {
		soak = share;
		supervise();
	}
	return child;
}

/* Returns how many kinds of step did not occur at all. */
static unsigned print_counts(const struct soak *shares)
{
	unsigned missing = 0;

	for (size_t i = 0; i < KINDS; i++) {
		uint64_t sum = 0;
		for (int share = 0; share < PROCESSES; share++)
			sum += ((const uint64_t *)&shares[share].counts)[i];
		missing += sum == 0;
		printf("%-34s %12llu\n", names[i], (unsigned long long)sum);
	}
	return missing;
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 2 ? strtoull(argv[1], NULL, 10) : 0, failed = 0, run = 0;
	struct soak *shares = mmap(NULL, PROCESSES * sizeof(*shares),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char directory[96];
	unsigned missing;
	int status;

	if (argc != 4 || count == 0 || shares == MAP_FAILED) {
		fprintf(stderr, "usage: soak SCHEDULES SEED DIRECTORY\n");
		return 2;
	}
	snprintf(directory, sizeof(directory), "%s/dracd-soak-XXXXXX", argv[3]);
	if (!mkdtemp(directory))
		return 1;
	printf("seed %s, in %s\n", argv[2], directory);
	fflush(stdout);
	for (unsigned i = 0; i < PROCESSES; i++) {
		shares[i] = (struct soak){.first = strtoull(argv[2], NULL, 10),
			.index = i,
			.end = count,
			.stride = PROCESSES,
			.is_verbose = count == 1};
		if (start_process(&shares[i], directory) < 0)
			return 1;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	for (unsigned i = 0; i < PROCESSES; i++) {
		run += shares[i].counts.schedules;
		failed += shares[i].failures;
	}
	missing = print_counts(shares);
	if (missing > 0 && count >= ALL_KINDS) {
		printf("not ok soak: %u kinds of step did not occur\n", missing);
		failed++;
	}
	remove_all(directory);
	(void)rmdir(directory);
	printf("%llu passed, %llu failed\n", (unsigned long long)run,
		(unsigned long long)failed);
	return failed > 0 || run + failed < count;
}
