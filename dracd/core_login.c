/* The way of a login: may it have a lease, store it, tell the publisher, answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/core_internal.h"
#include "dracd/log.h"

/* Renewals by a session that lasts come in hundreds every few minutes, and those of users
 * without a lease are no refused logins: both are told apart and logged for debugging
 * only.
 */
#define BY_SESSION "session"

static void log_granted(const struct request *request)
{
	const struct outcome *outcome = &request->outcome;
	struct event event;

	event_init_address(&event, outcome->is_new ? LOG_INFO : LOG_DEBUG,
		outcome->is_new ? "granted" : "renewed", &outcome->lease.address);
	event_add(&event, "user", request->login.user);
	event_add(&event, "service", request->login.service);
	event_add_time(&event, "until", outcome->lease.deadline_wall_usec);
	event_add(&event, "reporter", request->login.reporter);
	event_add(&event, "by", request->login.is_renewal ? BY_SESSION : NULL);
	event_log(&event);
}

static void log_refused(const struct login *login, enum reason reason)
{
	const char *hint = reason_hint(reason);
	struct event event;

	event_init_address(&event, login->is_renewal ? LOG_DEBUG : LOG_INFO, "refused",
		&login->address);
	event_add(&event, "user", login->user);
	event_add(&event, "service", login->service);
	event_add(&event, "reason", reason_name(reason));
	event_add(&event, "by", login->is_renewal ? BY_SESSION : NULL);
	if (hint && strcmp(hint, "lease_special") == 0)
		event_add_note(&event, " (to permit: lease_special)");
	event_log(&event);
}

static bool is_shared(const struct core *core, const struct address *address)
{
	for (size_t i = 0; i < core->shared.count; i++)
		if (address_compare(&core->shared.items[i], address) == 0)
			return true;
	return false;
}

/* Not at each login, as it looks all of them up. */
static void seek_room(struct core *core)
{
	uint64_t now = clock_now().boot_usec;

	if (now - core->shared_sought_boot_usec < USEC_PER_SEC)
		return;
	core->shared_sought_boot_usec = now;
	core_forget_unshared(core);
}

/* A shared address, or a forgotten proxy: said once per lease, and in the status. */
static void note_shared(struct core *core, const struct lease *lease)
{
	unsigned users = lease_user_count(lease);
	struct event event;

	if (users < core->config->warn_users_per_address)
		return;
	if (is_shared(core, &lease->address))
		return;
	if (core->shared.count >= SHARED_MAX)
		seek_room(core);
	if (core->shared.count >= SHARED_MAX ||
		prefix_set_add(&core->shared, &lease->address) < 0)
		return;
	event_init_address(&event, LOG_WARNING, "shared", &lease->address);
	event_add_number(&event, "users", users);
	event_add_note(
		&event, " (shared NAT or a forgotten proxy? to exclude it: never_lease)");
	event_log(&event);
}

void core_forget_unshared(struct core *core)
{
	struct prefix_set left = {0};
	struct moment now = clock_now();

	for (size_t i = 0; i < core->shared.count; i++) {
		const struct address *address = &core->shared.items[i];
		struct lease lease;

		if (core_find(core, address, now, &lease) == REASON_OK &&
			lease_user_count(&lease) >=
				core->config->warn_users_per_address &&
			prefix_set_add(&left, address) < 0)
			break;
	}
	prefix_set_done(&core->shared);
	core->shared = left;
}

static enum reason reason_of(int table_result)
{
	if (table_result == TABLE_NOT_FOUND)
		return REASON_NO_LEASE;
	if (table_result == TABLE_FULL)
		return REASON_MAX_LEASES;
	if (table_result == TABLE_REPORTER_FULL)
		return REASON_MAX_LEASES_PER_REPORTER;
	return table_result == TABLE_USER_FULL ? REASON_MAX_LEASES_PER_USER : REASON_OK;
}

static void note_refused(struct core *core, const struct login *login, enum reason reason,
	struct moment now)
{
	if (!login->is_renewal)
		stats_refused(&core->stats, login, reason, now);
	/* these are told all together, by core_rate.c */
	if (reason != REASON_MAX_RATE)
		log_refused(login, reason);
}

static void note_granted(const struct request *request, struct counters *counters)
{
	const struct outcome *outcome = &request->outcome;

	log_granted(request);
	if (request->login.is_renewal)
		return;
	if (outcome->is_new)
		core_note_missed_end(request->core, &outcome->lease);
	if (outcome->is_new && is_shared(request->core, &outcome->lease.address))
		core_forget_unshared(request->core);
	++*(outcome->is_new ? &counters->granted : &counters->renewed);
	note_shared(request->core, &outcome->lease);
}

/* The mail user waits for the answer, so it goes before the log. */
static void finish_granted(
	struct request *request, struct counters *counters, uint64_t sequence)
{
	struct core *core = request->core;

	if (request->wait_usec == 0) {
		request->done(&request->outcome, request->context);
		note_granted(request, counters);
		free(request);
		return;
	}
	note_granted(request, counters);
	/* a third of his time for the pause between publications, the rest for writing */
	publisher_wake_by(core->publisher, WAKE_CHANGES,
		clock_add(request->outcome.time.boot_usec, request->wait_usec / 3));
	core_wait(request, sequence);
}

/* True if the next end is still the one that the timer is set for. */
static bool keeps_timer(const struct core *core, const struct table_grant *grant)
{
	return grant->lease.deadline_boot_usec >= core->armed &&
	       (grant->is_new || grant->old_deadline_boot_usec > core->armed);
}

static void take_outcome(const struct store_op *op, struct outcome *outcome)
{
	outcome->error = op->result < 0 ? op->result : 0;
	outcome->reason = reason_of(op->result);
	outcome->is_new = op->grant.is_new;
	outcome->lease = op->grant.lease;
}

/* On the store's thread: the request is the op's until done_login(). */
static void committed_login(struct store_op *op)
{
	struct request *request = op->context;

	take_outcome(op, &request->outcome);
	request->early(&request->outcome, request->context);
}

static void done_login(struct store_op *op)
{
	struct request *request = op->context;
	struct core *core = request->core;
	struct outcome *outcome = &request->outcome;
	struct moment now = clock_now();
	struct counters *counters = stats_now(&core->stats, now);
	uint64_t sequence = op->state.sequence;

	core->storing--;
	take_outcome(op, outcome);
	/* lookups must find the prefix length of the new lease before anybody is answered
	 */
	memcpy(core->state.lengths, op->state.lengths, sizeof(core->state.lengths));
	if (op->result == 0 && keeps_timer(core, &op->grant))
		core->keeping++;
	store_op_free(op);
	if (outcome->error) {
		counters->errors++;
		log_errno(LOG_ERR, outcome->error, "table: cannot store a login");
		core_check_table(core, outcome->error);
	} else if (outcome->reason != REASON_OK) {
		note_refused(core, &request->login, outcome->reason, now);
	} else {
		finish_granted(request, counters, sequence);
		return;
	}
	core_answer(request);
}

/* A login that gets no lease, or could not be worked on. */
static void refuse(struct request *request, enum reason reason, int error)
{
	struct core *core = request->core;
	struct outcome outcome = request->outcome;

	outcome.reason = reason;
	outcome.error = error;
	if (reason != REASON_OK)
		note_refused(core, &request->login, reason, outcome.time);
	core_answer_later(request, &outcome);
}

bool core_is_idle(const struct core *core)
{
	return core->storing == 0;
}

/* Who has been answered is permitted by every lookup: only where the loop need not learn
 * of the new lease before, because it looks for leases of this length already, can he be
 * answered without it.  The bits are never cleared. */
static bool can_be_early(const struct core *core, const struct address *key)
{
	uint64_t lengths = core->state.lengths[key->length / 64];

	return core_is_idle(core) && lengths & UINT64_C(1) << key->length % 64;
}

void core_login(struct core *core, const struct login *login, bool by_admin,
	const struct login_reply *reply)
{
	struct request *request = core_request_new(core, reply->done, reply->context);
	struct outcome failed = {.error = -ENOMEM};
	const struct reporter_settings *limits =
		by_admin ? NULL : config_reporter_limits(core->config, login->reporter);
	struct rules rules = core_rules(core);
	struct store_op *op;
	enum reason reason;

	if (!request) {
		reply->done(&failed, reply->context);
		return;
	}
	request->early = reply->early;
	request->login = *login;
	request->wait_usec = login->wait_usec;
	if (limits && !core_take_rate(core, limits, request->outcome.time)) {
		refuse(request, REASON_MAX_RATE, 0);
		return;
	}
	op = store_op_new(STORE_LOGIN, done_login, request);
	if (!op) {
		refuse(request, REASON_OK, -ENOMEM);
		return;
	}
	op->time = request->outcome.time;
	op->login = *login;
	op->max_per_user = core->config->max_leases_per_user;
	op->max_of_reporter = limits ? limits->max_leases : 0;
	reason = guard_judge(&rules, login, by_admin, op->time, &op->address, &op->usec);
	if (reason != REASON_OK) {
		store_op_free(op);
		refuse(request, reason, 0);
		return;
	}
	if (request->early && request->wait_usec == 0 && can_be_early(core, &op->address))
		op->committed = committed_login;
	core->storing++;
	store_submit(core->store, op);
}
