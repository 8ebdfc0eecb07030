/* What the files of `make soak` share. */
#ifndef TESTS_SOAK_SOAK_H
#define TESTS_SOAK_SOAK_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/soak/faults.h"
#include "tests/soak/life.h"
#include "tests/soak/oracle.h"

enum {
	OPS_MAX = 4,
	STEPS_LEAST = 6,
	STEPS_MORE = 28,
	TRACE_SIZE = 16384,
	FAILED = 78, /* exit status of a child */
};

#define SECOND 1000000L
#define HOUR (3600 * SECOND)
#define START (1795000000 * SECOND) /* in 2026 */

enum {
	KINDS = 27
};

/* Of each kind of step, and what came of them. */
struct counts {
	uint64_t schedules, logins, renewals, refusals, revokes_of_hosts,
		revokes_of_networks, revokes_of_users, unblocks, flushes, tidies,
		failed_operations, publications, clock_forward, clock_backward, suspends,
		restarts, reboots, reboots_with_an_incredible_clock, kills,
		kills_within_a_call, kills_within_a_start, full_disks, failed_calls,
		failed_starts, tables_given_up, questions, permitted;
};

static_assert(sizeof(struct counts) == KINDS * sizeof(uint64_t), "one name for each");

/* Of an end that was not clean. */
enum marker {
	MARKER_NONE,
	MARKER_MAYBE,
	MARKER_THERE,
};

/* What survives a child. */
struct soak {
	uint64_t first, index, end, stride; /* schedules */
	uint64_t random;
	struct counts counts;
	uint64_t failures;

	struct oracle oracle;
	struct life_settings settings;
	long boot_start; /* true time */
	struct fault fault;
	bool is_verbose;
	bool is_begun;            /* the schedule */
	unsigned steps;           /* still to come */
	bool running;             /* dracd */
	bool starting, in_commit; /* a child that finds it set follows one that died */
	unsigned reboots;         /* since dracd was last running */
	unsigned failed_starts;   /* likewise */
	enum marker marker;

	bool has_no_blocks;    /* this schedule */
	bool has_other_blocks; /* the file, than those in force */
	bool went_back;        /* the wall clock has */
	struct op ops[OPS_MAX];
	unsigned op_count;
	unsigned failed_before; /* calls, before the commit of these */
	size_t traced;
	char trace[TRACE_SIZE];
};

extern struct soak *soak;

/* ---- schedule.c ---- */

/* Runs schedules until none is left, or this process ends.  after_death: it goes on where
 * one that died has stopped. */
_Noreturn void run_schedules(bool after_death);

/* Empties a directory. */
void remove_all(const char *path);

/* ---- judge.c ---- */

/* A piece of what is shown of a schedule that fails. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tell_time(void);

/* Ends this process. */
_Noreturn void fail(const char *why, int subject);

void set_clock(void);
void pass(long usec);
/* The wall clock, while the machine runs or while it is down. */
void set_wall(long error, bool down);

/* Is everybody admitted who must be, and nobody else? */
void check(void);
void close_life(bool has_failed);
/* dracd ends, as it does when the table can no longer be read or written. */
void give_up(void);

/* Tells the oracle of the operations of a commit, or of one that may have been made. */
void note_ops(void);

/* dracd has started; so many tables were moved aside for it, and calls have failed. */
void note_start(unsigned aside, bool failed);

#endif
