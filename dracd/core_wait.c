/* Requests that are answered when the maps have published, or when their time is up. */
#include <errno.h>
#include <stdlib.h>

#include "dracd/core_internal.h"

struct waiter {
	struct waiter *next;
	struct request *request;
	uint64_t sequence;
	uint64_t until; /* boot clock */
};

struct request *core_request_new(struct core *core, core_done *done, void *context)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request) {
		request->core = core;
		request->done = done;
		request->context = context;
		request->outcome.time = clock_now();
	}
	return request;
}

void core_answer(struct request *request)
{
	request->done(&request->outcome, request->context);
	free(request);
}

static struct waiter *add_waiter(
	struct request *request, uint64_t sequence, uint64_t until)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	waiter->request = request;
	waiter->sequence = sequence;
	waiter->until = until;
	waiter->next = request->core->waiters;
	request->core->waiters = waiter;
	return waiter;
}

/* The timer stands at the earliest end of a budget, or before it. */
static void arm_wait_timer(struct core *core, uint64_t until)
{
	uint64_t armed = UINT64_MAX;
	int enabled = SD_EVENT_OFF;

	(void)sd_event_source_get_enabled(core->waiting, &enabled);
	if (enabled != SD_EVENT_OFF)
		(void)sd_event_source_get_time(core->waiting, &armed);
	if (until >= armed)
		return;
	(void)sd_event_source_set_time(core->waiting, until);
	(void)sd_event_source_set_enabled(core->waiting, SD_EVENT_ONESHOT);
}

void core_answer_later(struct request *request, const struct outcome *outcome)
{
	struct core *core = request->core;

	request->outcome = *outcome;
	/* a waiter whose time is up: the timer's next turn answers it */
	if (add_waiter(request, 0, 0))
		arm_wait_timer(core, 0);
	else
		core_answer(request);
}

/* True if nothing remains to be waited for; notes how many maps are late. */
static bool is_published(struct core *core, struct waiter *waiter)
{
	struct outcome *outcome = &waiter->request->outcome;
	unsigned failed = 0, late = 0;

	if (!outcome->waited)
		return false;
	if (core->publisher && waiter->request->asks_maps)
		late = publisher_unanswered(core->publisher);
	else if (core->publisher)
		late = publisher_late(core->publisher, waiter->sequence,
			waiter->request->settles, &failed);
	if (core->publisher && outcome->lease.deadline_boot_usec > 0) /* of a login */
		failed += publisher_barred(core->publisher);
	outcome->maps_late = late + failed;
	return late == 0;
}

void core_check_waiters(struct core *core)
{
	uint64_t now = clock_now().boot_usec, earliest = UINT64_MAX;
	struct waiter **at = &core->waiters, *ready = NULL, **last = &ready;

	while (*at) {
		struct waiter *waiter = *at;

		if (is_published(core, waiter) || waiter->until <= now) {
			*at = waiter->next;
			waiter->next = NULL;
			*last = waiter;
			last = &waiter->next;
		} else {
			if (waiter->until < earliest)
				earliest = waiter->until;
			at = &waiter->next;
		}
	}
	if (core->waiters)
		arm_wait_timer(core, earliest);
	while (ready) {
		struct waiter *waiter = ready;

		ready = waiter->next;
		core_answer(waiter->request);
		free(waiter);
	}
}

static int on_waiting(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	core_check_waiters(userdata);
	return 0;
}

int core_add_wait_timer(struct core *core)
{
	int r = sd_event_add_time(core->event, &core->waiting, CLOCK_BOOTTIME, UINT64_MAX,
		1, on_waiting, core);

	return r < 0 ? r : sd_event_source_set_enabled(core->waiting, SD_EVENT_OFF);
}

void core_wait(struct request *request, uint64_t sequence)
{
	struct core *core = request->core;
	struct waiter *waiter = NULL;

	if (request->wait_usec > 0) {
		request->outcome.waited = true;
		waiter = add_waiter(request, sequence,
			clock_add(request->outcome.time.boot_usec, request->wait_usec));
	}
	if (!waiter) {
		core_answer(request);
	} else if (is_published(core, waiter)) {
		/* it is the first of the list */
		core->waiters = waiter->next;
		free(waiter);
		core_answer(request);
	} else {
		arm_wait_timer(core, waiter->until);
	}
}

void core_settle(struct core *core, uint64_t wait_usec, core_done *done, void *context)
{
	struct request *request = core_request_new(core, done, context);
	struct outcome failed = {.error = -ENOMEM};

	if (!request) {
		done(&failed, context);
		return;
	}
	request->settles = true;
	request->wait_usec = wait_usec;
	core_wait(request, core->state.sequence);
}

int core_ask_maps(struct core *core, const struct map_question *question, core_done *done,
	void *context)
{
	struct request *request = core_request_new(core, done, context);
	int r;

	if (!request)
		return -ENOMEM;
	r = publisher_ask(core->publisher, question->name, question->why);
	if (r < 0) {
		free(request);
		return r;
	}
	request->asks_maps = true;
	request->wait_usec = question->wait_usec;
	core_wait(request, 0);
	return 0;
}

void core_drop_waiters(struct core *core)
{
	while (core->waiters) {
		struct waiter *waiter = core->waiters;

		core->waiters = waiter->next;
		core_answer(waiter->request);
		free(waiter);
	}
}
