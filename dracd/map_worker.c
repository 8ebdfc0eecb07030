/* A map worker's thread: when it runs, and how it is told to. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dracd/map_worker_internal.h"

/* After a failure the next try is this much later, doubling up to the maximum. */
#define RETRY_MIN_USEC (USEC_PER_SEC)
#define RETRY_MAX_USEC (15 * USEC_PER_SEC)
/* A publication that took long is followed by nine times as long without one, within
 * reason: an end must not wait for ever, and if only the last one was slow, as a disk has
 * its moments, nothing has to wait longer for it. */
#define REST_FACTOR 9
#define REST_MAX_USEC (5 * USEC_PER_SEC)

/* ---- the thread ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The least time from the last publication to one for these reasons. */
static uint64_t least_pause(const struct map_worker *worker, unsigned why)
{
	const struct map_config *map = worker->settings.map;
	uint64_t rest = worker->usual_usec * REST_FACTOR;
	uint64_t interval = UINT64_MAX;

	if (rest > REST_MAX_USEC)
		rest = REST_MAX_USEC;
	if (why & (WAKE_REBUILD | WAKE_REPEAT | WAKE_CHANGES))
		interval = map->interval_usec;
	if (why & WAKE_ENDS && map->end_interval_usec < interval)
		interval = map->end_interval_usec;
	return later(interval, rest);
}

/* When the next try is after a failure.  One that can put the spare in place of somebody
 * does not wait that long; where nobody is in the map, or the spare is of no use, it
 * would but fail again. */
static uint64_t next_try(const struct map_worker *worker)
{
	uint64_t soon = clock_add(worker->retry_at - worker->retry_usec, RETRY_MIN_USEC);

	if (worker->now.is_withdrawn)
		return worker->retry_at;
	if (worker->fresh & WAKE_REVOKED)
		return 0;
	if (worker->fresh & WAKE_ENDS && !worker->is_stuck && soon < worker->retry_at)
		return soon;
	return worker->retry_at;
}

/* The boot-clock time before which nothing is published for these reasons.  For somebody
 * who waits it is not later than he needs, as long as half of the time is left without
 * writing. */
static uint64_t not_before(const struct map_worker *worker, unsigned why)
{
	uint64_t last = worker->now.published_boot_usec;
	uint64_t retry_at = next_try(worker);
	uint64_t usual, waited_for;

	if (why & WAKE_WITHDRAW)
		return 0;
	if (why & (WAKE_REVOKED | WAKE_LEAVE))
		return retry_at;
	usual = clock_add(last, least_pause(worker, why));
	waited_for = later(worker->due, clock_add(last, worker->usual_usec));
	return later(retry_at, usual < waited_for ? usual : waited_for);
}

static void wait_until(struct map_worker *worker, uint64_t boot_usec, uint64_t now)
{
	struct timespec until;

	if (boot_usec == UINT64_MAX) {
		pthread_cond_wait(&worker->wake, &worker->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)((boot_usec - now) / USEC_PER_SEC);
	until.tv_nsec += (long)((boot_usec - now) % USEC_PER_SEC * 1000);
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	(void)pthread_cond_timedwait(&worker->wake, &worker->lock, &until);
}

static unsigned take(struct map_worker *worker, unsigned why)
{
	worker->why &= ~why;
	return why;
}

/* Waits for a reason to run, and the time to.  Called with the lock held; 0 to stop.  A
 * check goes first, as it tells of what a run would repair; but only once, for whoever
 * can touch the file can ask for checks without end. */
static unsigned next_reason(struct map_worker *worker)
{
	const unsigned checks = WAKE_CHECK | WAKE_EMPTY;

	for (;;) {
		unsigned check = worker->why & checks, run = worker->why & ~checks;
		uint64_t now = clock_now().boot_usec, at = UINT64_MAX;

		if (worker->stopping && !(run & WAKE_WITHDRAW))
			return 0;
		if (run)
			at = not_before(worker, run);
		if (check && (at > now || !worker->has_checked)) {
			worker->has_checked = true;
			return take(worker, check);
		}
		if (at <= now) {
			worker->has_checked = false;
			worker->fresh = 0;
			worker->due = UINT64_MAX;
			return take(worker, run);
		}
		wait_until(worker, at, now);
	}
}

/* After a failure the same reasons stand again, later. */
static void plan_retry(struct map_worker *worker, unsigned why)
{
	if (worker->now.error == 0) {
		worker->retry_usec = worker->retry_at = 0;
		return;
	}
	worker->retry_usec *= 2;
	if (worker->retry_usec < RETRY_MIN_USEC)
		worker->retry_usec = RETRY_MIN_USEC;
	if (worker->retry_usec > RETRY_MAX_USEC)
		worker->retry_usec = RETRY_MAX_USEC;
	worker->retry_at = clock_add(clock_now().boot_usec, worker->retry_usec);
	/* ends may be deleted from the table meanwhile: only a rebuild is sure to see
	 * them */
	worker->why |=
		why & WAKE_LEAVE
			? WAKE_LEAVE
			: WAKE_REPEAT | (why & ~(unsigned)(WAKE_WITHDRAW | WAKE_VERIFY));
}

/* What was interrupted is repeated at once, with what is more urgent. */
static void verify_again(struct map_worker *worker, uint64_t answered)
{
	worker->now.answered = answered;
	worker->why |= WAKE_VERIFY;
	worker->due = 0;
}

/* What is found is repaired like an end: a row that lets a stranger in must go. */
static void run_check(struct map_worker *worker, unsigned why)
{
	const uint64_t given_up = worker->now.given_up_count;
	bool found;

	pthread_mutex_unlock(&worker->lock);
	if (worker->map && why & WAKE_EMPTY) /* whoever had it locked may have let go */
		(void)map_empty_replaced(worker->map, 0);
	found = map_check(worker);
	map_note_given_up(worker);
	pthread_mutex_lock(&worker->lock);
	if (worker->now.given_up_count != given_up) {
		worker->report = worker->now;
		worker->settings.reported(worker->settings.context);
	}
	if (!found)
		return;
	worker->why |= WAKE_REBUILD | WAKE_ENDS;
	worker->fresh |= WAKE_ENDS;
}

/* How long the change that waited longest has waited.  After a failure it still waits. */
static void note_lag(struct map_worker *worker, uint64_t since)
{
	uint64_t now = clock_now().boot_usec;

	if (since == 0)
		return;
	if (worker->now.error)
		worker->told = since;
	else if (now - since > worker->now.slowest_usec)
		worker->now.slowest_usec = now - since;
}

/* As ps(1) and top(1) show it. */
static void name_thread(const struct map_worker *worker)
{
	char name[16]; /* prctl(2) */

	snprintf(name, sizeof(name), "map %.11s", worker->settings.map->name);
	(void)pthread_setname_np(pthread_self(), name);
}

static void *run_worker(void *argument)
{
	struct map_worker *worker = argument;
	unsigned why;

	name_thread(worker);
	pthread_mutex_lock(&worker->lock);
	while ((why = next_reason(worker))) {
		struct config *config;
		struct blocks *blocks;
		uint64_t answered, told;

		if (why & WAKE_CHECK) {
			run_check(worker, why);
			continue;
		}
		answered = worker->now.answered;
		worker->now.answered = worker->asked;
		told = worker->told;
		worker->told = 0;
		config = config_ref(worker->config);
		blocks = blocks_ref(worker->blocks);
		pthread_mutex_unlock(&worker->lock);
		worker->now.error = map_run(worker, why, config, blocks);
		map_note_given_up(worker);
		config_unref(config);
		blocks_unref(blocks);
		pthread_mutex_lock(&worker->lock);
		plan_retry(worker, why);
		if (why & WAKE_VERIFY &&
			worker->now.verified.result == MAP_VERIFIED_STOPPED)
			verify_again(worker, answered);
		if (!(why & WAKE_VERIFY)) /* which takes its own time */
			note_lag(worker, told);
		worker->report = worker->now;
		if (why & WAKE_WITHDRAW || (why & WAKE_LEAVE && worker->now.error == 0))
			break;
		worker->settings.reported(worker->settings.context);
	}
	worker->has_withdrawn = true;
	worker->settings.reported(worker->settings.context);
	pthread_cond_signal(&worker->withdrawn);
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* ---- the loop's side ---- */

static struct map_worker *free_worker(struct map_worker *worker)
{
	pthread_cond_destroy(&worker->wake);
	pthread_cond_destroy(&worker->withdrawn);
	pthread_mutex_destroy(&worker->lock);
	table_reader_close(worker->reader);
	map_close(worker->map);
	access_free(worker->access);
	config_unref(worker->config);
	blocks_unref(worker->blocks);
	free(worker);
	return NULL;
}

static void init_lock(struct map_worker *worker)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&worker->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&worker->wake, &monotonic);
	pthread_cond_init(&worker->withdrawn, NULL);
	pthread_condattr_destroy(&monotonic);
}

int map_worker_start(const struct map_worker_settings *settings, struct config *config,
	struct blocks *blocks, struct map_worker **ret)
{
	struct map_worker *worker = calloc(1, sizeof(*worker));
	int r;

	if (!worker)
		return -ENOMEM;
	worker->settings = *settings;
	worker->config = config_ref(config);
	worker->blocks = blocks_ref(blocks);
	/* what stands there is withdrawn, or of another run with other rules */
	worker->why = settings->leaves ? WAKE_LEAVE : WAKE_REBUILD;
	worker->due = UINT64_MAX;
	init_lock(worker);
	r = table_reader_open(settings->table, &worker->reader);
	if (r == 0)
		r = -pthread_create(&worker->thread, NULL, run_worker, worker);
	if (r < 0) {
		free_worker(worker);
		return r;
	}
	*ret = worker;
	return 0;
}

/* The next try is in a second, and then as after a first failure. */
static void retry_soon(struct map_worker *worker)
{
	uint64_t soon = clock_add(clock_now().boot_usec, RETRY_MIN_USEC);

	worker->retry_usec = 0;
	if (soon < worker->retry_at)
		worker->retry_at = soon;
}

void map_worker_wake(struct map_worker *worker, unsigned why, uint64_t due,
	struct config *config, struct blocks *blocks)
{
	struct config *old_config;
	struct blocks *old_blocks;

	pthread_mutex_lock(&worker->lock);
	old_config = worker->config;
	old_blocks = worker->blocks;
	worker->config = config_ref(config);
	worker->blocks = blocks_ref(blocks);
	worker->why |= why & ~(unsigned)(WAKE_RETRY | WAKE_ASKED);
	worker->fresh |= why;
	if (why & WAKE_CHANGES && worker->told == 0)
		worker->told = clock_now().boot_usec;
	if (why & WAKE_ASKED)
		worker->asked++;
	if (why & WAKE_RETRY)
		retry_soon(worker);
	if (why & WAKE_LEAVE)
		worker->retry_at = worker->retry_usec = 0;
	if (due < worker->due)
		worker->due = due;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	config_unref(old_config);
	blocks_unref(old_blocks);
}

uint64_t map_worker_ask(struct map_worker *worker, unsigned why, struct config *config,
	struct blocks *blocks)
{
	uint64_t asked;

	map_worker_wake(worker, why | WAKE_ASKED | WAKE_RETRY, clock_now().boot_usec,
		config, blocks);
	pthread_mutex_lock(&worker->lock);
	asked = worker->asked;
	pthread_mutex_unlock(&worker->lock);
	return asked;
}

struct map_report map_worker_report(struct map_worker *worker)
{
	struct map_report report;

	pthread_mutex_lock(&worker->lock);
	report = worker->report;
	pthread_mutex_unlock(&worker->lock);
	return report;
}

bool map_worker_has_withdrawn(struct map_worker *worker)
{
	bool has;

	pthread_mutex_lock(&worker->lock);
	has = worker->has_withdrawn;
	pthread_mutex_unlock(&worker->lock);
	return has;
}

bool map_worker_withdraw(struct map_worker *worker, struct map_report *ret_report)
{
	pthread_mutex_lock(&worker->lock);
	while (!worker->has_withdrawn)
		pthread_cond_wait(&worker->withdrawn, &worker->lock);
	*ret_report = worker->report;
	pthread_mutex_unlock(&worker->lock);
	return ret_report->error == 0;
}

struct map_worker *map_worker_stop(struct map_worker *worker)
{
	if (!worker)
		return NULL;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	return free_worker(worker);
}
