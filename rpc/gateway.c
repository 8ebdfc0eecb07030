/* The middle of the gateway: one function through which every call passes. */
#include "rpc/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/duplicates.h"
#include "rpc/log.h"
#include "rpc/quota.h"
#include "rpc/reports.h"

struct gateway {
	sd_event *event;
	struct settings settings;
	const struct prefix_list *own;
	struct allow allow;
	struct quota *quota;
	struct reports *reports;
	struct log_pace caller_pace, limit_pace;
	struct duplicates duplicates;
};

/* A call that waits for dracd. */
struct waiting {
	struct report report; /* first: the one is cast to the other */
	struct gateway *gateway;
	struct call call;
	struct origin origin;
	bool is_new; /* see quota_take() */
};

static uint64_t now_of(const struct gateway *gateway)
{
	uint64_t now_usec = 0;

	(void)sd_event_now(gateway->event, CLOCK_BOOTTIME, &now_usec);
	return now_usec;
}

/* ---- the file of callers ---- */

static void tell_line(unsigned line, const char *problem, void *context)
{
	log_message(LOG_WARNING, "%s:%u: %s", (const char *)context, line, problem);
}

int gateway_load_allow(
	const struct settings *settings, const struct prefix_list *own, struct allow *ret)
{
	int r = allow_load(
		settings->allow_file, own, ret, tell_line, settings->allow_file);

	if (r < 0)
		return log_errno(LOG_ERR, r, "cannot read %s", settings->allow_file);
	if (ret->is_absent)
		log_message(LOG_INFO, "%s: not there; callers on this host may report",
			settings->allow_file);
	else if (ret->count == 0 && settings->callers.count == 0)
		log_message(LOG_WARNING, "%s: empty; no caller may report",
			settings->allow_file);
	return 0;
}

static bool is_permitted(const struct gateway *gateway, const struct in6_addr *caller)
{
	return allow_permits(&gateway->allow, caller) ||
	       prefix_list_contains(&gateway->settings.callers, caller);
}

/* ---- answers ---- */

static struct duplicate_key key_of(const struct call *call, const struct origin *origin)
{
	return (struct duplicate_key){
		.caller = origin->caller,
		.address = call->address,
		.xid = call->xid,
		.version = call->version,
		.port = origin->port,
	};
}

static void answer(
	const struct call *call, const struct origin *origin, enum call_status status)
{
	static const char *const names[] = {
		[CALL_STATUS_SUCCESS] = "success",
		[CALL_STATUS_PERM] = "permission denied",
		[CALL_STATUS_SYSERR] = "system error",
	};
	char address[INET6_ADDRSTRLEN], caller[INET6_ADDRSTRLEN];
	struct reply reply;

	call_answer(call->xid, status, &reply);
	origin->answer(origin, &reply);
	log_message(LOG_DEBUG, "add %s from %s: %s",
		call_format_address(&call->address, address),
		call_format_address(&origin->caller, caller), names[status]);
}

/* An answer to a call that may come again. */
static void settle(struct gateway *gateway, const struct call *call,
	const struct origin *origin, enum call_status status)
{
	const struct duplicate_key key = key_of(call, origin);

	if (origin->is_datagram)
		duplicates_answered(&gateway->duplicates, &key, status);
	answer(call, origin, status);
}

static void refuse_caller(
	struct gateway *gateway, const struct call *call, const struct origin *origin)
{
	char caller[INET6_ADDRSTRLEN];
	unsigned kept;

	answer(call, origin, CALL_STATUS_PERM);
	if (log_pace(&gateway->caller_pace, now_of(gateway), &kept))
		log_message(LOG_WARNING,
			"%s may not report: neither %s nor callers permits it (%u more refused since this was last said)",
			call_format_address(&origin->caller, caller),
			gateway->settings.allow_file, kept);
}

static void refuse_for_limit(struct gateway *gateway, const struct call *call,
	const struct origin *origin, const char *limit)
{
	unsigned kept;

	settle(gateway, call, origin, CALL_STATUS_SYSERR);
	if (log_pace(&gateway->limit_pace, now_of(gateway), &kept))
		log_message(LOG_WARNING,
			"%s is reached; callers are told of a system error (%u more since this was last said)",
			limit, kept);
}

/* ---- the way of a call ---- */

static enum call_status status_of(
	const struct gateway *gateway, enum reports_outcome outcome)
{
	switch (outcome) {
	case REPORTS_GRANTED:
		return CALL_STATUS_SUCCESS;
	case REPORTS_REFUSED:
		return gateway->settings.refused_is_success ? CALL_STATUS_SUCCESS
							    : CALL_STATUS_PERM;
	case REPORTS_LIMIT:
	case REPORTS_FAILED:
		break;
	}
	return CALL_STATUS_SYSERR;
}

static void done_report(
	struct report *report, enum reports_outcome outcome, uint64_t left_usec)
{
	struct waiting *waiting = (struct waiting *)report;
	struct gateway *gateway = waiting->gateway;

	quota_settle(gateway->quota, &waiting->call.address, waiting->is_new,
		now_of(gateway), outcome == REPORTS_GRANTED ? left_usec : 0);
	settle(gateway, &waiting->call, &waiting->origin, status_of(gateway, outcome));
	free(waiting);
}

static void report(struct gateway *gateway, const struct call *call,
	const struct origin *origin, bool is_new)
{
	struct waiting *waiting = malloc(sizeof(*waiting));

	if (waiting) {
		*waiting = (struct waiting){
			.report =
				{
					.address = call->address,
					.lease_time_usec =
						gateway->settings.lease_time_usec,
					.done = done_report,
				},
			.gateway = gateway,
			.call = *call,
			.origin = *origin,
			.is_new = is_new,
		};
		if (reports_add(gateway->reports, &waiting->report) == 0)
			return;
	}
	free(waiting);
	quota_settle(gateway->quota, &call->address, is_new, now_of(gateway), 0);
	settle(gateway, call, origin, CALL_STATUS_SYSERR);
}

/* True if the call has been made before; then it is seen to. */
static bool is_duplicate(
	struct gateway *gateway, const struct call *call, const struct origin *origin)
{
	const struct duplicate_key key = key_of(call, origin);
	enum call_status status;

	if (!origin->is_datagram)
		return false;
	switch (duplicates_find(&gateway->duplicates, &key, now_of(gateway), &status)) {
	case DUPLICATES_NEW:
		return false;
	case DUPLICATES_ANSWERED:
		answer(call, origin, status);
		break;
	case DUPLICATES_PENDING:
		break; /* the answer to the first is the answer to both */
	}
	return true;
}

static void add(
	struct gateway *gateway, const struct call *call, const struct origin *origin)
{
	bool is_new;

	if (!is_permitted(gateway, &origin->caller)) {
		refuse_caller(gateway, call, origin);
		return;
	}
	if (is_duplicate(gateway, call, origin))
		return;
	switch (quota_take(gateway->quota, &call->address, now_of(gateway), &is_new)) {
	case QUOTA_OK:
		report(gateway, call, origin, is_new);
		break;
	case QUOTA_RATE:
		refuse_for_limit(gateway, call, origin, "max_rate");
		break;
	case QUOTA_LEASES:
		refuse_for_limit(gateway, call, origin, "max_leases");
		break;
	}
}

bool gateway_take(struct gateway *gateway, const void *data, size_t length,
	const struct origin *origin)
{
	struct reply reply;
	struct call call;

	switch (call_decode(data, length, &call, &reply)) {
	case CALL_NONE:
		return false;
	case CALL_ANSWERED:
		origin->answer(origin, &reply);
		break;
	case CALL_ADD:
		add(gateway, &call, origin);
		break;
	}
	return true;
}

void gateway_flush(struct gateway *gateway)
{
	reports_flush(gateway->reports);
}

bool gateway_is_idle(const struct gateway *gateway)
{
	return reports_is_idle(gateway->reports);
}

/* ---- life ---- */

const struct settings *gateway_settings(const struct gateway *gateway)
{
	return &gateway->settings;
}

static int start(struct gateway *gateway)
{
	const struct settings *settings = &gateway->settings;
	int r;

	gateway->quota = quota_new();
	if (!gateway->quota)
		return -ENOMEM;
	r = quota_set_limits(gateway->quota, settings->max_leases, settings->max_rate);
	if (r == 0)
		r = gateway_load_allow(settings, gateway->own, &gateway->allow);
	if (r == 0)
		r = reports_new(
			gateway->event, settings->report_socket, &gateway->reports);
	return r;
}

int gateway_new(sd_event *event, struct settings *settings, const struct prefix_list *own,
	struct gateway **ret)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	int r;

	if (!gateway) {
		settings_done(settings);
		return -ENOMEM;
	}
	gateway->event = event;
	gateway->own = own;
	gateway->settings = *settings;
	*settings = (struct settings){0};
	r = start(gateway);
	if (r < 0)
		gateway_free(gateway);
	else
		*ret = gateway;
	return r;
}

int gateway_reload(struct gateway *gateway, struct settings *settings)
{
	struct allow allow;
	int r = gateway_load_allow(settings, gateway->own, &allow);

	if (r < 0)
		return r;
	r = quota_set_limits(gateway->quota, settings->max_leases, settings->max_rate);
	if (r < 0) {
		allow_done(&allow);
		return r;
	}
	allow_done(&gateway->allow);
	gateway->allow = allow;
	/* what is kept is what is in force */
	settings_swap_start(settings, &gateway->settings);
	settings_done(&gateway->settings);
	gateway->settings = *settings;
	*settings = (struct settings){0};
	return 0;
}

struct gateway *gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return NULL;
	reports_free(gateway->reports);
	quota_free(gateway->quota);
	allow_done(&gateway->allow);
	settings_done(&gateway->settings);
	free(gateway);
	return NULL;
}
