/*
 * The store thread: group commit.
 *
 * While one commit waits for the disk the next logins queue up, and are the next commit:
 * the slower the disk or the heavier the load, the larger the batches, and nobody waits
 * for more than one commit under way and his own; on a slow disk see gather().
 */
#include "dracd/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "dracd/cleanup.h"
#include "dracd/guard.h"
#include "dracd/log.h"

enum {
	DELETES_RIDING = 100, /* rows that are over, deleted while logins wait */
	DELETES_ALONE = 1000, /* in a commit of their own */
	BATCH_MAX = 4096,     /* operations of one commit, to bound its time and memory */
	SLOW_COMMIT_USEC = 2000, /* from here on it pays to gather() */
	GATHER_FRACTION = 8,
};

struct queue {
	struct store_op *first, **last;
	unsigned count;
};

struct store {
	struct store_settings settings;
	pthread_t thread;
	sd_event_source *source;
	int finished_fd;         /* eventfd: finished is not empty */
	uint64_t delete_through; /* atomic; see store_allow_delete() */

	pthread_mutex_t lock; /* over all below */
	pthread_cond_t wake;
	struct queue submitted, riders, finished;
	struct table_state state; /* of the last commit in finished */
	unsigned expected;        /* operations that the next commit may hope for */
	unsigned wanted;          /* so many submitted wake the thread */
	bool stopping;

	uint64_t gather_until_usec; /* of the thread alone; monotonic */
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
	queue->count = 0;
}

static void queue_add(struct queue *queue, struct store_op *op)
{
	op->next = NULL;
	*queue->last = op;
	queue->last = &op->next;
	queue->count++;
}

/* Moves all of from to the end of to. */
static void queue_move(struct queue *to, struct queue *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	to->count += from->count;
	queue_init(from);
}

/* Takes the first limit operations. */
static void queue_take(struct queue *from, unsigned limit, struct queue *ret)
{
	queue_init(ret);
	while (from->first && limit-- > 0) {
		struct store_op *op = from->first;

		from->first = op->next;
		if (!from->first)
			from->last = &from->first;
		from->count--;
		queue_add(ret, op);
	}
}

struct store_op *store_op_new(
	enum store_kind kind, void (*done)(struct store_op *op), void *context)
{
	struct store_op *op = calloc(1, sizeof(*op));

	if (op) {
		op->kind = kind;
		op->done = done;
		op->context = context;
	}
	return op;
}

struct store_op *store_op_free(struct store_op *op)
{
	if (!op)
		return NULL;
	config_unref(op->config);
	blocks_unref(op->blocks);
	free(op);
	return NULL;
}

/* ---- the thread ---- */

static bool is_admitted(const struct lease *lease, void *context)
{
	const struct store_op *op = context;
	struct rules rules = {.config = op->config, .blocks = op->blocks};
	enum reason reason = guard_admit(&rules, &lease->address, lease, op->time);

	/* one that is over is for table_delete_over() */
	return reason == REASON_OK || reason == REASON_NO_LEASE;
}

/* Files first: a revocation is on the disk before the table shows it.  What cannot be
 * saved fails alone. */
static void save_blocks(struct store *store, struct queue *batch, struct moment now)
{
	for (struct store_op *op = batch->first; op; op = op->next)
		op->saved = op->blocks && op->kind != STORE_REJUDGE
				    ? blocks_save(op->blocks, store->settings.directory,
					      BLOCKS_FILE, store->settings.boot_id, now)
				    : 0;
}

static int apply_login(struct table *table, struct store_op *op)
{
	int r = 0;

	if (op->max_of_reporter > 0)
		r = table_check_reporter(
			table, &op->address, &op->login, op->max_of_reporter);
	if (r != 0)
		return r;
	if (op->login.is_renewal)
		return table_renew(
			table, &op->address, &op->login, op->usec, op->time, &op->grant);
	return table_login(table, &op->address, &op->login, op->usec, op->time,
		op->max_per_user, &op->grant);
}

static int apply_op(struct store *store, struct store_op *op)
{
	struct table *table = store->settings.table;

	switch (op->kind) {
	case STORE_LOGIN:
		return apply_login(table, op);
	case STORE_REVOKE:
		return op->is_user ? table_end_user(table, op->login.user, &op->ended)
				   : table_end_prefix(table, &op->address, &op->ended);
	case STORE_FLUSH:
		return table_end_all(table, &op->ended);
	case STORE_REJUDGE:
		if (op->config->map_count > 0)
			table_feed_changes(table);
		table_feed_users(table, config_shows_users(op->config));
		return table_end_unless(table, is_admitted, op, &op->ended);
	case STORE_TRIM:
		return table_trim(table, op->trim);
	case STORE_BLOCKS:
	case STORE_TIDY:
		return 0;
	}
	return -EINVAL;
}

static unsigned deletes_of(const struct queue *batch)
{
	for (const struct store_op *op = batch->first; op; op = op->next)
		if (op->kind != STORE_TIDY && op->kind != STORE_TRIM)
			return DELETES_RIDING;
	return DELETES_ALONE;
}

/* A refusal of one operation does not spoil the transaction; an error does. */
static int apply_batch(struct store *store, struct queue *batch, struct moment now)
{
	struct table *table = store->settings.table;
	uint64_t through = __atomic_load_n(&store->delete_through, __ATOMIC_RELAXED);
	bool sync = false;
	unsigned deletes = deletes_of(batch), deleted = 0;
	int r;

	r = table_begin(table, now);
	if (r == 0)
		r = table_delete_over(table, through, deletes, &deleted);
	for (struct store_op *op = batch->first; op && r == 0; op = op->next) {
		op->is_more = deleted == deletes;
		op->result = op->saved < 0 ? op->saved : apply_op(store, op);
		sync = sync || op->kind == STORE_REVOKE || op->kind == STORE_FLUSH;
		if (op->result < 0 && op->saved == 0)
			r = op->result;
	}
	if (r == 0)
		return table_commit(table, sync);
	table_abort(table);
	return r;
}

/* A renewal that was committed only after the old deadline: a map may have applied that
 * end from a snapshot in between, so it is told to look again. */
static void touch_late_renewals(struct store *store, struct queue *batch)
{
	struct table *table = store->settings.table;
	struct moment now = clock_now();
	bool begun = false;
	int r = 0;

	for (struct store_op *op = batch->first; op && r == 0; op = op->next) {
		if (op->kind != STORE_LOGIN || op->result != 0 || op->grant.is_new ||
			op->grant.old_deadline_boot_usec > now.boot_usec)
			continue;
		if (!begun)
			r = table_begin(table, now);
		begun = true;
		if (r == 0)
			r = table_touch(table, &op->address);
	}
	if (begun && r == 0)
		r = table_commit(table, false);
	else if (begun)
		table_abort(table);
	for (struct store_op *op = batch->first; op && r != 0; op = op->next)
		if (op->result == 0)
			op->result = r;
}

/* Applies a batch.  If it fails as a whole, each operation gets a transaction of its own,
 * so that one that cannot be done fails alone; unless it is the disk or the table that
 * fails. */
static void run_batch(struct store *store, struct queue *batch)
{
	struct moment now = clock_now();
	int r;

	save_blocks(store, batch, now);
	r = apply_batch(store, batch, now);
	if (r == 0) {
		touch_late_renewals(store, batch);
		return;
	}
	if (!batch->first->next || r == -EIO || r == -ENOSPC || r == -EUCLEAN) {
		for (struct store_op *op = batch->first; op; op = op->next)
			op->result = r;
		return;
	}
	for (struct store_op *op = batch->first; op; op = op->next) {
		struct store_op *next = op->next;
		struct queue alone = {.first = op};

		op->next = NULL;
		r = apply_batch(store, &alone, now);
		if (r != 0)
			op->result = r;
		else
			touch_late_renewals(store, &alone);
		op->next = next;
	}
}

/* Waking the loop, only for it to wake who waits for the answer, takes as long as all
 * else that is done for a login; of many the loop can answer some while we go on. */
static void tell_alone(const struct queue *batch)
{
	struct store_op *op = batch->first;

	if (batch->count == 1 && op->committed && op->result == 0)
		op->committed(op);
}

/* Returns true if nobody waits for the next commit, nor is likely to at once. */
static bool hand_back(struct store *store, struct queue *batch)
{
	struct table_state state = *table_get_state(store->settings.table);
	const unsigned count = batch->count;
	uint64_t one = 1;
	bool is_idle;

	for (struct store_op *op = batch->first; op; op = op->next)
		op->state = state;
	pthread_mutex_lock(&store->lock);
	queue_move(&store->finished, batch);
	store->state = state;
	store->expected = store->submitted.count + count;
	is_idle = count <= 1 && !store->submitted.first;
	pthread_mutex_unlock(&store->lock);
	(void)!write(store->finished_fd, &one, sizeof(one));
	return is_idle;
}

static uint64_t monotonic_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* Who has just been answered often has the next login ready.  On a slow disk it is worth
 * a moment to let it come along: else it waits for the commit that begins now and then
 * for its own, and busy reporters stay in two groups that wait for each other.  The
 * moment is a fraction of what the last commit took, begins with its end, and is over
 * when as many are there as were waiting then. */
static void gather(struct store *store)
{
	struct timespec until = {
		.tv_sec = (time_t)(store->gather_until_usec / USEC_PER_SEC),
		.tv_nsec = (long)(store->gather_until_usec % USEC_PER_SEC * 1000),
	};

	if (store->gather_until_usec == 0)
		return;
	store->wanted = store->expected;
	while (store->submitted.count < store->wanted && !store->stopping)
		if (pthread_cond_timedwait(&store->wake, &store->lock, &until) != 0)
			break;
	store->wanted = 1;
}

/* Waits for work: false when there is none and none will come. */
static bool next_batch(struct store *store, struct queue *ret)
{
	bool work;

	pthread_mutex_lock(&store->lock);
	while (!store->submitted.first && !store->stopping)
		pthread_cond_wait(&store->wake, &store->lock);
	gather(store);
	/* riders alone are worth a commit only at the end */
	work = store->submitted.first || store->riders.first;
	queue_move(&store->submitted, &store->riders);
	queue_take(&store->submitted, BATCH_MAX, ret);
	pthread_mutex_unlock(&store->lock);
	return work;
}

static void note_time(struct store *store, uint64_t start_usec)
{
	uint64_t now_usec = monotonic_usec(), took_usec = now_usec - start_usec;

	store->gather_until_usec =
		took_usec < SLOW_COMMIT_USEC ? 0 : now_usec + took_usec / GATHER_FRACTION;
}

static void *run_store(void *argument)
{
	struct store *store = argument;
	struct queue batch;

	table_make_room(store->settings.table);
	while (next_batch(store, &batch)) {
		uint64_t start_usec = monotonic_usec();

		run_batch(store, &batch);
		tell_alone(&batch);
		note_time(store, start_usec);
		if (hand_back(store, &batch))
			table_make_room(store->settings.table);
	}
	return NULL;
}

/* ---- the loop's side ---- */

void store_submit(struct store *store, struct store_op *op)
{
	bool wake;

	pthread_mutex_lock(&store->lock);
	queue_add(op->kind == STORE_TRIM ? &store->riders : &store->submitted, op);
	wake = op->kind != STORE_TRIM && store->submitted.count >= store->wanted;
	pthread_mutex_unlock(&store->lock);
	/* not under the lock, which is the first thing that the thread will want */
	if (wake)
		pthread_cond_signal(&store->wake);
}

void store_allow_delete(struct store *store, uint64_t boot_usec)
{
	__atomic_store_n(&store->delete_through, boot_usec, __ATOMIC_RELAXED);
}

static void finish_ops(struct store *store)
{
	struct table_state state;
	struct queue done;
	unsigned count;

	queue_init(&done);
	pthread_mutex_lock(&store->lock);
	queue_move(&done, &store->finished);
	state = store->state;
	pthread_mutex_unlock(&store->lock);
	if (!done.first)
		return;
	count = done.count;
	while (done.first) {
		struct store_op *op = done.first;

		done.first = op->next;
		op->done(op);
	}
	store->settings.committed(&state, count, store->settings.context);
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	uint64_t count;

	(void)source;
	(void)events;
	(void)!read(fd, &count, sizeof(count));
	finish_ops(userdata);
	return 0;
}

static struct store *free_store(struct store *store)
{
	sd_event_source_disable_unref(store->source);
	close_fd(&store->finished_fd);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	free(store);
	return NULL;
}

int store_start(
	sd_event *event, const struct store_settings *settings, struct store **ret)
{
	struct store *store = calloc(1, sizeof(*store));
	pthread_condattr_t monotonic;
	int r;

	if (!store)
		return -ENOMEM;
	store->settings = *settings;
	queue_init(&store->submitted);
	queue_init(&store->riders);
	queue_init(&store->finished);
	pthread_mutex_init(&store->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	store->wanted = 1;
	store->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store->finished_fd < 0) {
		r = -errno;
		free_store(store);
		return r;
	}
	r = sd_event_add_io(
		event, &store->source, store->finished_fd, EPOLLIN, on_finished, store);
	if (r >= 0)
		r = -pthread_create(&store->thread, NULL, run_store, store);
	if (r < 0) {
		free_store(store);
		return r;
	}
	*ret = store;
	return 0;
}

struct store *store_stop(struct store *store)
{
	if (!store)
		return NULL;
	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
	pthread_join(store->thread, NULL);
	finish_ops(store);
	return free_store(store);
}
