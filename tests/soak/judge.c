/* What happens is told to the oracle, and what it says is held against dracd. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/soak/soak.h"

/* ---- the tale ---- */

void tell(const char *format, ...)
{
	size_t room = sizeof(soak->trace) - soak->traced;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(soak->trace + soak->traced, room, format, arguments);
	va_end(arguments);
	if (length > 0 && (size_t)length < room)
		soak->traced += (size_t)length;
}

void tell_time(void)
{
	tell("\n%3u  boot %u +%ld.%06ld wall %+ld us: ", soak->steps,
		soak->settings.boot_id[0], (soak->oracle.t - soak->boot_start) / SECOND,
		(soak->oracle.t - soak->boot_start) % SECOND, soak->oracle.error);
}

_Noreturn void fail(const char *why, int subject)
{
	faults_use(NULL);
	fprintf(stderr, "not ok schedule SOAK=1 SEED=%llu: %s (%d)%s\n",
		(unsigned long long)(soak->first + soak->index), why, subject,
		soak->trace);
	_exit(FAILED);
}

/* ---- clocks ---- */

void set_clock(void)
{
	life_now = (struct moment){
		.boot_usec = (uint64_t)(soak->oracle.t - soak->boot_start),
		.wall_usec = (uint64_t)(soak->oracle.t + soak->oracle.error),
	};
}

void pass(long usec)
{
	soak->oracle.t += usec;
	set_clock();
}

/* What the oracle counts on across a reboot does not stand a wall clock that is set while
 * the machine runs. */
void set_wall(long error, bool down)
{
	struct oracle *oracle = &soak->oracle;

	if (!down)
		memset(oracle->kept, 0, sizeof(oracle->kept));
	soak->went_back |= error < oracle->error;
	oracle->error = error;
	set_clock();
}

/* ---- what must hold ---- */

void close_life(bool has_failed)
{
	life_close(has_failed);
	soak->running = false;
}

void give_up(void)
{
	if (soak->fault.failed == 0)
		fail("the table fails though no call did", 0);
	tell("; the table has failed");
	soak->counts.tables_given_up++;
	close_life(true);
}

void check(void)
{
	set_clock();
	for (int host = 0; host < HOSTS; host++) {
		int admitted = life_admits(host);

		if (admitted == -EUCLEAN) {
			give_up();
			return;
		}
		soak->counts.questions++;
		soak->counts.permitted += admitted > 0;
		if (admitted > 0 && !oracle_says(&soak->oracle, host, false))
			fail("admitted after its deadline or revocation: host", host);
		if (admitted <= 0 && oracle_says(&soak->oracle, host, true))
			fail("an answered login is not admitted: host", host);
	}
}

/* ---- operations ---- */

/* Did the oracle know a part of the user's that a renewal could extend? */
static bool has_part(const struct op *op)
{
	const struct oracle *oracle = &soak->oracle;

	return oracle->may[op->subject * USERS + op->user] > op->time ||
	       oracle->may[net_of(op->subject) * USERS + op->user] > op->time;
}

/* A commit that fails may be on the disk all the same; repeated, a renewal in it finds
 * what a login behind it has opened. */
static bool has_part_of_this_commit(const struct op *renewal)
{
	if (soak->fault.failed == soak->failed_before)
		return false;
	for (unsigned i = 0; i < soak->op_count; i++) {
		const struct op *op = &soak->ops[i];

		if (op->kind == OP_LOGIN && op->user == renewal->user &&
			(op->subject == renewal->subject ||
				(soak->oracle.wide &&
					net_of(op->subject) == net_of(renewal->subject))))
			return true;
	}
	return false;
}

static bool is_out(int subject, long time)
{
	return soak->oracle.out[subject] > time;
}

static void note_login(const struct op *op)
{
	bool answered = op->result == 0;
	bool extends =
		op->kind == OP_RENEW && (has_part(op) || has_part_of_this_commit(op));

	if (answered && op->kind == OP_RENEW && !extends)
		fail("renewed what had ended: host", op->subject);
	if (answered &&
		(is_out(op->subject, op->time) || is_out(net_of(op->subject), op->time) ||
			(op->user && is_out(KEYS + op->user, op->time))))
		fail("a login of somebody who is shut out: host", op->subject);
	soak->counts.logins += answered && op->kind == OP_LOGIN;
	soak->counts.renewals += answered && op->kind == OP_RENEW;
	soak->counts.refusals += op->result > 0;
	if (op->result <= 0 && (op->kind == OP_LOGIN || extends))
		oracle_login(&soak->oracle, op->subject, op->user, op->time + op->usec,
			answered);
}

static void note_revoke(const struct op *op)
{
	struct counts *counts = &soak->counts;

	counts->revokes_of_hosts += op->subject < HOSTS;
	counts->revokes_of_networks += op->subject >= HOSTS && op->subject < KEYS;
	counts->revokes_of_users += op->subject >= KEYS;
	oracle_revoke(&soak->oracle, op->subject, op->usec ? op->time + op->usec : 0,
		op->result == 0);
}

static void note_unblock(const struct op *op)
{
	soak->counts.unblocks++;
	soak->oracle.out[op->subject] = 0;
}

static void note_op(const struct op *op)
{
	tell(" %s %d/%d %ld -> %d",
		(const char *[]){
			"login", "renew", "revoke", "unblock", "flush", "tidy"}[op->kind],
		op->subject, op->user, op->usec, op->result);
	soak->counts.failed_operations += op->result < 0;
	soak->has_other_blocks |=
		op->result < 0 && (op->kind == OP_REVOKE || op->kind == OP_UNBLOCK);
	if (op->kind == OP_LOGIN || op->kind == OP_RENEW)
		note_login(op);
	else if (op->kind == OP_REVOKE)
		note_revoke(op);
	else if (op->kind == OP_UNBLOCK)
		note_unblock(op);
	else if (op->kind == OP_FLUSH)
		for (int net = HOSTS; net < KEYS; net++)
			oracle_revoke(&soak->oracle, net, 0, op->result == 0);
	soak->counts.flushes += op->kind == OP_FLUSH;
	soak->counts.tidies += op->kind == OP_TIDY;
}

void note_ops(void)
{
	const long now = soak->oracle.t;
	bool known = false, tried = false;

	for (unsigned i = 0; i < soak->op_count; i++) {
		soak->oracle.t = soak->ops[i].time; /* when it was judged */
		note_op(&soak->ops[i]);
		known |= soak->ops[i].is_stored && soak->ops[i].result >= 0;
		tried |= soak->ops[i].is_stored;
	}
	soak->oracle.t = now;
	if (tried)
		oracle_commit(&soak->oracle, known);
	soak->op_count = 0;
	soak->in_commit = false;
}

/* ---- starts ---- */

/* True if the table must have been given up, and moved aside. */
static bool is_lost(enum marker marker)
{
	return soak->settings.durability == DURABILITY_PROCESS && soak->reboots > 0 &&
	       soak->marker == marker;
}

static void forget(long must[HOSTS * USERS])
{
	memset(must, 0, HOSTS * USERS * sizeof(*must));
}

void note_start(unsigned aside, bool failed)
{
	bool lost = is_lost(MARKER_THERE), maybe_lost = is_lost(MARKER_MAYBE);

	if (aside > 0 && !lost && !maybe_lost)
		fail("a sound table was moved aside", 0);
	/* Which of several starts has carried the leases over, and by which clock? */
	if (soak->reboots > 1 || soak->failed_starts > 0 || maybe_lost)
		forget(soak->oracle.kept);
	/* The blocks of the file may be others than those in force were.  By a clock that
	 * has gone back, blocks that are over have all of their time again. */
	if (soak->went_back && !soak->has_no_blocks) {
		forget(soak->oracle.kept);
		soak->oracle.unsure = true;
	}
	if (soak->has_other_blocks ||
		(soak->went_back && !soak->has_no_blocks && soak->fault.failed > 0)) {
		forget(soak->oracle.kept);
		forget(soak->oracle.must);
	}
	soak->has_other_blocks = false;
	if (soak->reboots > 0)
		oracle_boot(&soak->oracle, lost);
	/* by whose clock the blocks are stored; those that are in force still keep a
	 * lease from being its network's */
	if (soak->reboots > 0 && failed) {
		memset(soak->oracle.out, 0, sizeof(soak->oracle.out));
		soak->oracle.unsure = true;
	}
	oracle_commit(&soak->oracle, true);
	soak->reboots = soak->failed_starts = 0;
	soak->marker = MARKER_THERE;
	soak->running = true;
}
