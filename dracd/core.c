/*
 * The core's life: threads, timers, rules.  What it does for its callers is in
 * core_login.c and core_admin.c.
 */
#include "dracd/core.h"

#include <errno.h>
#include <string.h>

#include "dracd/core_internal.h"
#include "dracd/log.h"
#include "dracd/own_address.h"
#include "dracd/router.h"

#define TIDY_USEC (60 * USEC_PER_SEC)
/* Until the next commit of deletes alone, when one was not enough; the store and the disk
 * are the logins' meanwhile. */
#define TIDY_ON_USEC (50 * USEC_PER_MSEC)

/* While lines of ends are written turn by turn, maps are told of new ends so often. */
#define WAKE_USEC (20 * USEC_PER_MSEC)

struct rules core_rules(const struct core *core)
{
	return (struct rules){
		.config = core->config,
		.blocks = core->blocks,
		.own = &core->own,
		.routers = &core->routers,
	};
}

void core_check_table(struct core *core, int error)
{
	if (error != -EUCLEAN || core->has_failed)
		return;
	core->has_failed = true;
	log_message(LOG_ERR,
		"table: it can no longer be used; ending, so that nothing stays open, and the "
		"next start looks at it");
	(void)sd_event_exit(core->event, error);
}

/* ---- timers ---- */

/* The end of a hold-down changes no map: the leases it shut out are gone. */
static void drop_old_blocks(struct core *core, struct moment now)
{
	struct blocks *left;

	if (blocks_with(core->blocks, NULL, now, &left) < 0)
		return;
	if (left->count == core->blocks->count) {
		blocks_unref(left);
		return;
	}
	log_message(LOG_INFO, "unblocked %zu reason=hold_over",
		core->blocks->count - left->count);
	core_set_blocks(core, left);
	blocks_unref(left);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct core *core = userdata;
	struct moment now = clock_now();
	bool wake = core->resume_ends == 0 || now.boot_usec - core->woken > WAKE_USEC;

	(void)source;
	(void)usec;
	core_note_ends(core, now);
	if (wake || core->resume_ends == 0) {
		publisher_wake(core->publisher, WAKE_ENDS);
		core->woken = now.boot_usec;
	}
	drop_old_blocks(core, now);
	core_allow_delete(core);
	core_arm_timer(core);
	return 0;
}

void core_arm_timer(struct core *core)
{
	struct moment now = clock_now();
	uint64_t block = blocks_next_end(core->blocks, now), at = core->resume_ends;
	/* while no end is logged, the timer is there for the maps alone */
	struct expiry told = {.deadline_boot_usec = core->woken}, next;
	int r = 0;

	if (at == 0) {
		at = UINT64_MAX;
		r = table_reader_begin(core->reader);
		if (r == 0) {
			r = table_next_expiry(core->reader,
				core->revoking > 0 ? &told : &core->ended, &next);
			table_reader_end(core->reader);
		}
		if (r == 0)
			at = next.deadline_boot_usec;
		else if (r < 0) /* tried again */
			at = clock_add(now.boot_usec, USEC_PER_SEC);
		core_check_table(core, r);
	}
	if (block < at)
		at = block;
	core->armed = at;
	if (sd_event_source_set_time(core->timer, at) < 0 ||
		sd_event_source_set_enabled(core->timer,
			at == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT) < 0) {
		log_message(LOG_ERR, "cannot set the timer for the next end of a lease");
		core->armed = UINT64_MAX; /* the next grant tries again */
	}
}

/* What cannot be read stays as it was last. */
static int refresh_set(struct core *core, int (*read_into)(int, struct prefix_set *),
	struct prefix_set *set)
{
	struct prefix_set found = {0};
	int r = read_into(core->netlink, &found);

	if (r < 0) {
		prefix_set_done(&found);
		return r;
	}
	prefix_set_done(set);
	*set = found;
	return 0;
}

int core_refresh_own(struct core *core)
{
	int r = refresh_set(core, own_address_read, &core->own);
	int routers = refresh_set(core, router_read, &core->routers);

	if (r == 0)
		r = routers;
	core->own_is_unknown = r < 0;
	return r;
}

static void arm_tidy(struct core *core, uint64_t usec)
{
	(void)sd_event_source_set_time_relative(core->tidy, usec);
	(void)sd_event_source_set_enabled(core->tidy, SD_EVENT_ONESHOT);
}

static void done_tidy(struct store_op *op)
{
	struct core *core = op->context;

	if (op->result < 0)
		log_errno(LOG_ERR, op->result, "table: cannot delete what is over");
	core_check_table(core, op->result);
	core->tidies_on = op->result == 0 && op->is_more;
	arm_tidy(core, core->tidies_on ? TIDY_ON_USEC : TIDY_USEC);
	store_op_free(op);
}

/* Once a minute, if anything is due, and more often while much is: deletes rows that are
 * over and trims the feed, for a site where no login does it on the way; refreshes the
 * addresses of this host. */
static int on_tidy(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct core *core = userdata;
	struct store_op *op = NULL;

	(void)source;
	(void)usec;
	if (!core->tidies_on) {
		(void)core_refresh_own(core);
		core_save_blocks_again(core);
		core_forget_unshared(core);
	}
	if (core->state.ipv4 + core->state.ipv6 > 0)
		op = store_op_new(STORE_TIDY, done_tidy, core);
	if (op)
		store_submit(core->store, op);
	else
		arm_tidy(core, TIDY_USEC);
	return 0;
}

/* ---- what the store and the publisher tell ---- */

static void on_committed(const struct table_state *state, unsigned count, void *context)
{
	struct core *core = context;
	bool changed = state->sequence != core->state.sequence;
	bool keeps_timer = core->keeping == count;

	core->state = *state;
	core->keeping = 0;
	if (!core->publisher)
		return;
	if (changed)
		publisher_wake(core->publisher, WAKE_CHANGES);
	if (!keeps_timer)
		core_arm_timer(core);
}

static void note_leaving(struct core *core)
{
	core->leaving = publisher_leaving_count(core->publisher);
	core->left(core);
}

static void on_progress(void *context)
{
	struct core *core = context;

	if (!core->publisher)
		return;
	for (size_t i = 0; i < publisher_map_count(core->publisher); i++)
		core_check_table(core, publisher_report(core->publisher, i)->table_error);
	core_allow_delete(core);
	core_check_waiters(core);
	if (publisher_leaving_count(core->publisher) != core->leaving)
		note_leaving(core);
	if (!core->is_ready && publisher_is_ready(core->publisher)) {
		core->is_ready = true;
		core->ready(core);
	}
}

/* ---- rules ---- */

void core_set_blocks(struct core *core, struct blocks *blocks)
{
	blocks_ref(blocks);
	blocks_unref(core->blocks);
	core->blocks = blocks;
	publisher_set_blocks(core->publisher, core->blocks);
	core_arm_timer(core);
}

static void done_rejudge(struct store_op *op)
{
	if (op->result < 0)
		log_errno(LOG_ERR, op->result,
			"cannot end the leases that the new configuration refuses; they are "
			"not admitted all the same");
	else if (op->ended.leases > 0)
		log_message(LOG_INFO, "ended %llu leases reason=denied",
			(unsigned long long)op->ended.leases);
	store_op_free(op);
}

/* Ends live leases that the new lists refuse; until it is done they are refused anyway.
 * It also tells the store what the feed is to have. */
static void rejudge(struct core *core)
{
	struct store_op *op = store_op_new(STORE_REJUDGE, done_rejudge, core);

	if (!op)
		return;
	op->config = config_ref(core->config);
	op->blocks = blocks_ref(core->blocks);
	op->time = clock_now();
	store_submit(core->store, op);
}

int core_set_config(struct core *core, struct config *config)
{
	bool lists = !prefix_set_equal(&core->config->deny, &config->deny) ||
		     !prefix_set_equal(&core->config->never_lease, &config->never_lease);
	bool feed = config_shows_users(core->config) != config_shows_users(config) ||
		    (core->config->map_count == 0 && config->map_count > 0);
	int r;

	r = publisher_set_config(
		core->publisher, config, lists || core->config->mode != config->mode);
	if (r < 0)
		return r;
	config_ref(config);
	config_unref(core->config);
	core->config = config;
	note_leaving(core);
	(void)core_refresh_own(core); /* tried again within a minute */
	if (lists || feed)
		rejudge(core);
	return 0;
}

/* ---- questions ---- */

/* The lease that counts for address is the one of the longest prefix.  0, a positive
 * value of table_find(), or a negative errno. */
static int find_lease(struct core *core, const struct address *address, struct moment now,
	struct lease *ret)
{
	int r = table_reader_begin(core->reader);

	if (r < 0)
		return r;
	r = table_find(core->reader, address, core->state.lengths, now.boot_usec, ret);
	table_reader_end(core->reader);
	core_check_table(core, r);
	return r;
}

int core_find(struct core *core, const struct address *address, struct moment now,
	struct lease *ret_lease)
{
	struct rules rules = core_rules(core);
	int r;

	*ret_lease = (struct lease){0};
	r = find_lease(core, address, now, ret_lease);
	if (r < 0)
		return r;
	return (int)guard_admit(&rules, address, r == 0 ? ret_lease : NULL, now);
}

int core_find_in_view(struct core *core, const struct view *view,
	const struct address *address, struct moment now)
{
	struct rules rules = core_rules(core);
	struct address within = *address;
	unsigned shortest = address_is_ipv4(address) ? 96 : 0;

	for (;;) {
		struct lease lease;
		enum reason reason;
		int r = find_lease(core, &within, now, &lease);

		if (r < 0)
			return r;
		reason = guard_admit_view(
			&rules, view, address, r == 0 ? &lease : NULL, now);
		if (reason != REASON_SERVICE || lease.address.length <= shortest)
			return (int)reason;
		within = address_network(address, lease.address.length - 1U);
	}
}

int core_ask(struct core *core, const struct view *view, const struct address *address)
{
	struct moment now = clock_now();
	struct counters *counters = stats_now(&core->stats, now);
	struct event event;
	int r;

	counters->asked++;
	r = core_find_in_view(core, view, address, now);
	if (r < 0)
		return r;
	if (r != REASON_OK)
		return 0;
	counters->permitted++;
	if (core->config->mode == MODE_ENFORCE)
		return 1;
	event_init_address(&event, LOG_INFO, "would_relay", address);
	event_add(&event, "mode", "observe");
	event_log(&event);
	return 0;
}

void core_lease_user(struct core *core, const struct lease *lease, char ret[USER_SIZE])
{
	struct share share;

	ret[0] = '\0';
	if (lease->share_count == 0 || table_reader_begin(core->reader) < 0)
		return;
	if (table_read_share(core->reader, &lease->address,
		    lease->shares[lease->share_count - 1], &share) == 0)
		memcpy(ret, share.user, USER_SIZE);
	table_reader_end(core->reader);
}

/* ---- life ---- */

static int add_timers(struct core *core)
{
	int r;

	/* 1 us: the default accuracy of sd-event, 250 ms, would blur the end of a lease
	 */
	r = sd_event_add_time(
		core->event, &core->timer, CLOCK_BOOTTIME, UINT64_MAX, 1, on_timer, core);
	if (r >= 0)
		r = sd_event_source_set_enabled(core->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(core->event, &core->tidy, CLOCK_MONOTONIC,
			TIDY_USEC, 0, on_tidy, core);
	if (r >= 0)
		r = core_add_wait_timer(core);
	return r;
}

int core_start(struct core *core, int directory, const uint8_t boot_id[16])
{
	struct store_settings store = {
		.table = core->table,
		.directory = directory,
		.committed = on_committed,
		.context = core,
	};
	struct publisher_settings publisher = {
		.event = core->event,
		.table = core->table,
		.progressed = on_progress,
		.context = core,
	};
	int r;

	core->started = clock_now();
	memcpy(store.boot_id, boot_id, 16);
	r = table_reader_open(core->table, &core->reader);
	if (r == 0)
		r = add_timers(core);
	if (r >= 0)
		r = store_start(core->event, &store, &core->store);
	publisher.store = core->store;
	if (r >= 0)
		r = publisher_start(
			&publisher, core->config, core->blocks, &core->publisher);
	if (r >= 0)
		core_arm_timer(core);
	return r;
}

void core_await_maps(struct core *core)
{
	on_progress(core);
}

bool core_stop(struct core *core)
{
	bool withdrawn = publisher_stop(core->publisher);

	core->publisher = NULL;
	core->store = store_stop(core->store);
	core_drop_waiters(core);
	sd_event_source_disable_unref(core->timer);
	sd_event_source_disable_unref(core->tidy);
	sd_event_source_disable_unref(core->waiting);
	core->reader = table_reader_close(core->reader);
	core->config = config_unref(core->config);
	core->blocks = blocks_unref(core->blocks);
	prefix_set_done(&core->own);
	prefix_set_done(&core->routers);
	prefix_set_done(&core->shared);
	return withdrawn;
}
