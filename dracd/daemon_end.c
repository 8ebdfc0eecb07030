/*
 * How a signal ends dracd: reporters first get their answers.
 *
 * With a report socket of systemd's, a login that comes now waits there for the next
 * dracd; so none is lost in a restart but those whose connection this one has accepted.
 * Those send at once.  One that keeps its connection for later logins is not waited for.
 */
#include "dracd/daemon.h"

enum {
	STEPS_MAX = 40
};

#define STEP_USEC (5 * USEC_PER_MSEC)

static int on_step(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct daemon *daemon = userdata;
	int r;

	(void)usec;
	if (!server_is_owed(daemon->report) || ++daemon->end_steps >= STEPS_MAX)
		return sd_event_exit(daemon->core.event, 0);
	r = sd_event_source_set_time_relative(source, STEP_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int daemon_end(struct daemon *daemon)
{
	struct sd_event *event = daemon->core.event;

	if (!daemon->report || daemon->end_steps > 0 || !server_is_owed(daemon->report) ||
		server_stop_accepting(daemon->report) < 0 ||
		sd_event_add_time_relative(
			event, NULL, CLOCK_MONOTONIC, STEP_USEC, 0, on_step, daemon) < 0)
		return sd_event_exit(event, 0);
	daemon->end_steps = 1; /* a second signal ends at once */
	return 0;
}
