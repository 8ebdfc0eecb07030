/* The ends of leases: each is told in the log, then its row may go. */
#include <errno.h>

#include "dracd/core_internal.h"
#include "dracd/log.h"

/* A million leases may end in one second, and a lookup must not wait for their lines: the
 * loop writes lines for this long, then leaves them alone for as long. */
#define TURN_USEC (USEC_PER_MSEC / 2)

/* A line that comes so much later than the end says when that was. */
#define LATE_USEC USEC_PER_SEC

void core_allow_delete(struct core *core)
{
	uint64_t through = publisher_ends_through(core->publisher);

	if (core->ended.deadline_boot_usec < through)
		through = core->ended.deadline_boot_usec;
	/* of those that ended in the same microsecond some may still be without a line */
	if ((core->resume_ends > 0 || core->revoking > 0) && through > 0)
		through--;
	store_allow_delete(core->store, through);
}

struct ends {
	struct core *core;
	struct moment now;
	bool more;
};

static void log_end(const struct lease *lease, struct moment now)
{
	struct event event;

	event_init_address(&event, LOG_INFO, "ended", &lease->address);
	event_add(&event, "reason", "expired");
	/* the wall clock may have been set back since */
	event_add_duration(&event, "after",
		lease->deadline_wall_usec > lease->granted_wall_usec
			? lease->deadline_wall_usec - lease->granted_wall_usec
			: 0);
	event_add_number(&event, "logins", lease->logins);
	if (now.boot_usec - lease->deadline_boot_usec >= LATE_USEC)
		event_add_time(&event, "at", lease->deadline_wall_usec);
	event_log(&event);
}

static int note_end(const struct expiry *row, void *context)
{
	struct ends *ends = context;
	struct moment now = clock_now();
	struct lease lease;

	if (row->deadline_boot_usec > ends->now.boot_usec)
		return TABLE_NOT_FOUND; /* nonzero: the walk ends */
	if (now.boot_usec - ends->now.boot_usec > TURN_USEC) {
		ends->more = true;
		return TABLE_NOT_FOUND;
	}
	ends->core->ended = *row;
	if (table_read_lease(ends->core->reader, &row->key, &lease) == 0)
		log_end(&lease, now);
	return 0;
}

void core_note_ends(struct core *core, struct moment now)
{
	struct ends ends = {.core = core, .now = now};
	int r;

	core->resume_ends = 0;
	if (core->revoking > 0)
		return; /* its commit arms the timer */
	r = table_reader_begin(core->reader);
	if (r == 0) {
		r = table_each_expiry(core->reader, &core->ended, note_end, &ends);
		table_reader_end(core->reader);
	}
	if (r < 0)
		log_errno(LOG_ERR, r, "table: cannot read the expiry index");
	core_check_table(core, r);
	if (ends.more)
		core->resume_ends = clock_add(clock_now().boot_usec, TURN_USEC);
	else if (core->ended.deadline_boot_usec < now.boot_usec)
		core->ended = (struct expiry){.deadline_boot_usec = now.boot_usec};
}

void core_note_missed_end(struct core *core, const struct lease *lease)
{
	if (lease->deadline_boot_usec <= core->ended.deadline_boot_usec)
		log_end(lease, clock_now());
}
