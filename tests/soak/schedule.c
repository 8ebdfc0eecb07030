/* The steps of a schedule, and how they are chosen. */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dracd/log.h"
#include "tests/soak/soak.h"

#define PICK(...)                                                                        \
	pick((const long[]){__VA_ARGS__},                                                \
		sizeof((const long[]){__VA_ARGS__}) / sizeof(long))

/* ---- chance ---- */

static uint64_t draw(void)
{
	uint64_t z = soak->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static long below(long limit)
{
	return (long)(draw() % (uint64_t)limit);
}

static bool one_in(long of)
{
	return below(of) == 0;
}

static long pick(const long *from, long count)
{
	return from[below(count)];
}

static long some_step(void)
{
	long size = PICK(1000, SECOND, 30 * SECOND, 600 * SECOND, HOUR, 30 * 24 * HOUR);

	return (1 + below(size)) * PICK(-1, 1);
}

/* ---- operations ---- */

static struct op some_op(void)
{
	static const enum op_kind kinds[] = {OP_LOGIN, OP_LOGIN, OP_LOGIN, OP_LOGIN,
		OP_LOGIN, OP_RENEW, OP_RENEW, OP_REVOKE, OP_REVOKE, OP_UNBLOCK, OP_TIDY};
	struct op op = {.kind = kinds[below(sizeof(kinds) / sizeof(kinds[0]))]};

	if (one_in(40))
		op.kind = OP_FLUSH;
	if (op.kind == OP_REVOKE && soak->has_no_blocks)
		op.kind = OP_LOGIN;
	op.time = soak->oracle.t;
	op.result = -EINTR; /* what it is for the oracle if this is the end */
	if (op.kind == OP_LOGIN || op.kind == OP_RENEW) {
		op.subject = (int)below(HOSTS);
		op.user = (int)below(USERS);
		op.usec = PICK(SECOND, 10 * SECOND, 60 * SECOND, 1800 * SECOND, 2 * HOUR);
		op.usec += below(3);
	} else if (op.kind == OP_REVOKE || op.kind == OP_UNBLOCK) {
		op.subject = (int)below(SUBJECTS);
		if (op.subject == KEYS) /* nobody is no user */
			op.subject = 0;
	}
	if (op.kind == OP_REVOKE)
		op.usec = PICK(0, SECOND, 60 * SECOND, HOUR);
	return op;
}

/* One commit of some operations; time may pass between these and it. */
static void do_ops(void)
{
	unsigned count = one_in(3) ? 1 + (unsigned)below(OPS_MAX) : 1;
	bool has_failed = false;

	for (unsigned i = 0; i < count; i++) {
		soak->ops[i] = some_op();
		soak->op_count++;
		soak->in_commit = true;
		life_submit(&soak->ops[i]);
		if (one_in(8))
			pass(below(3 * SECOND));
	}
	soak->failed_before = soak->fault.failed;
	life_commit();
	for (unsigned i = 0; i < count; i++)
		has_failed |= soak->ops[i].result == -EUCLEAN;
	note_ops();
	if (has_failed)
		give_up();
}

/* ---- ends and starts ---- */

static void reboot(void)
{
	struct oracle *oracle = &soak->oracle;

	soak->counts.reboots++;
	soak->reboots++;
	soak->settings.boot_id[0]++;
	oracle->t += PICK(SECOND, 20 * SECOND, 20 * SECOND, 600 * SECOND, HOUR);
	soak->boot_start = oracle->t - PICK(SECOND, 5 * SECOND, 100 * SECOND);
	set_clock();
	if (one_in(3))
		set_wall(oracle->error + some_step(), true);
	if (oracle->t + oracle->error < oracle->least[1])
		soak->counts.reboots_with_an_incredible_clock++;
	tell_time();
	tell("the machine has started");
}

static void stop_clean(void)
{
	unsigned failed = soak->fault.failed;

	tell("stop");
	soak->marker = MARKER_MAYBE;
	close_life(false);
	if (soak->fault.failed == failed)
		soak->marker = MARKER_NONE;
	soak->counts.restarts++;
	if (one_in(2))
		reboot();
}

/* After a kill: nothing of the process is left. */
static void after_kill(void)
{
	soak->counts.kills++;
	soak->running = false;
	if (soak->fault.kind == FAULT_KILL) {
		soak->counts.kills_within_a_call++;
		soak->counts.kills_within_a_start += soak->starting;
		tell("; killed within a call");
	}
	if (soak->in_commit)
		note_ops();
	if (soak->starting) {
		oracle_commit(&soak->oracle, false);
		soak->failed_starts++;
	}
	soak->starting = false;
	soak->fault.kind = FAULT_NONE;
	if (one_in(2))
		reboot();
}

static void start(void)
{
	unsigned aside = soak->fault.aside, failed = soak->fault.failed;
	enum marker before = soak->marker;
	int r;

	tell_time();
	tell("start");
	soak->starting = true;
	if (soak->marker == MARKER_NONE)
		soak->marker = MARKER_MAYBE;
	set_clock();
	r = life_open(&soak->settings);
	soak->starting = false;
	if (r == 0) {
		soak->marker = before;
		note_start(soak->fault.aside - aside, soak->fault.failed > failed);
		check();
		return;
	}
	tell(" fails: %d", r);
	if (soak->fault.failed == failed)
		fail("dracd does not start", r);
	life_close(true);
	oracle_commit(&soak->oracle, false);
	soak->counts.failed_starts++;
	soak->failed_starts++;
	if (soak->failed_starts > 3)
		soak->fault.kind = FAULT_NONE;
}

/* ---- steps ---- */

/* To an end, or close by, if there is one to come. */
static void pass_to_an_end(void)
{
	const struct oracle *oracle = &soak->oracle;
	int at = (int)below(KEYS * USERS + SUBJECTS);
	long end = at < KEYS * USERS ? oracle->may[at] : oracle->out[at - KEYS * USERS];

	end += PICK(-1, 0, 0, 1);
	if (end > oracle->t)
		pass(end - oracle->t);
}

static void do_time(void)
{
	bool suspend = one_in(5);

	if (one_in(2))
		pass_to_an_end();
	else if (suspend) /* no timer runs meanwhile, and the boot clock counts it */
		pass(below(PICK(600 * SECOND, 12 * HOUR)));
	else
		pass(below(PICK(1000, SECOND, 60 * SECOND, 600 * SECOND)));
	soak->counts.suspends += suspend;
	tell("time passes until %ld", soak->oracle.t - soak->boot_start);
	/* the wall clock stands still in a suspended machine until somebody sets it */
	if (suspend && one_in(4))
		set_wall(soak->oracle.error - below(HOUR), false);
}

static void do_wall(void)
{
	long step = some_step();

	set_wall(soak->oracle.error + step, false);
	++*(step > 0 ? &soak->counts.clock_forward : &soak->counts.clock_backward);
	tell("wall clock is set by %ld", step);
}

static void plan_fault(void)
{
	bool kill = one_in(2);

	soak->fault.kind = kill ? FAULT_KILL : FAULT_ERROR;
	soak->fault.after = (unsigned)below(PICK(4, 12, 30));
	soak->fault.count = 1 + (unsigned)below(PICK(1, 8));
	soak->fault.error = (int)PICK(ENOSPC, ENOSPC, EIO, EDQUOT);
	soak->fault.done = one_in(2);
	soak->counts.full_disks += !kill;
	tell("after %u calls %s", soak->fault.after, kill ? "a kill" : "a full disk");
}

static void do_publish(void)
{
	int r = life_publish();

	tell("publish");
	soak->counts.publications++;
	if (r > 0)
		fail("a map that follows the feed is not what the table says", 0);
	if (r == 0)
		life_allow_delete(life_now.boot_usec);
}

static void do_step(void)
{
	long what = below(100);

	tell_time();
	if (what < 45)
		do_ops();
	else if (what < 65)
		do_time();
	else if (what < 73)
		do_wall();
	else if (what < 81)
		do_publish();
	else if (what < 89)
		plan_fault();
	else if (what < 94)
		stop_clean();
	else {
		tell("kill");
		soak->fault.kind = FAULT_NONE;
		life_drop();
		after_kill();
	}
	if (soak->running)
		check();
}

/* ---- schedules ---- */

void remove_all(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		char inside[512];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (unlink(inside) < 0) {
			remove_all(inside);
			(void)rmdir(inside);
		}
	}
	if (stream)
		closedir(stream);
}

static void begin_schedule(void)
{
	remove_all(soak->settings.directory);
	soak->random = soak->first + soak->index;
	soak->traced = 0;
	soak->oracle = (struct oracle){.t = START};
	soak->boot_start = START - 100 * SECOND;
	soak->settings.durability = one_in(2) ? DURABILITY_FULL : DURABILITY_PROCESS;
	soak->settings.wide = soak->oracle.wide = one_in(2);
	soak->settings.max_leases = (unsigned)PICK(3, 100, 100);
	soak->settings.max_per_user = (unsigned)PICK(2, 100, 100);
	memset(soak->settings.boot_id, 0, sizeof(soak->settings.boot_id));
	soak->fault = (struct fault){0};
	soak->marker = MARKER_NONE;
	soak->has_no_blocks = one_in(3);
	soak->has_other_blocks = soak->went_back = soak->starting = soak->in_commit =
		soak->running = false;
	soak->reboots = soak->failed_starts = soak->op_count = 0;
	soak->steps = STEPS_LEAST + (unsigned)below(STEPS_MORE);
	tell("\n     durability %s, ipv6_prefix %d, max_leases %u, per user %u",
		soak->settings.durability == DURABILITY_FULL ? "full" : "process",
		soak->settings.wide ? 64 : 128, soak->settings.max_leases,
		soak->settings.max_per_user);
	oracle_commit(&soak->oracle, true);
	soak->is_begun = true;
}

static void end_schedule(void)
{
	soak->fault.kind = FAULT_NONE;
	if (soak->running)
		close_life(false);
	soak->counts.failed_calls += soak->fault.failed;
	soak->counts.schedules++;
	if (soak->is_verbose)
		fprintf(stderr, "%s\n", soak->trace);
	soak->index += soak->stride;
	soak->is_begun = false;
}

_Noreturn void run_schedules(bool after_death)
{
	log_set_level(-1);
	/* what LMDB allocates with each environment, 2 MB, is used in small part: it
	 * comes as zeros from the kernel, not from the heap */
	(void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	faults_use(&soak->fault);
	if (after_death)
		after_kill();
	for (;;) {
		if (soak->index >= soak->end)
			_exit(0);
		if (!soak->is_begun)
			begin_schedule();
		while (soak->steps > 0) {
			soak->steps--;
			if (soak->running)
				do_step();
			else
				start();
		}
		end_schedule();
	}
}
