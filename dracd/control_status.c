/* "status" and "check": what is, and why. */
#include <stdio.h>
#include <string.h>

#include "dracd/control_internal.h"

static bool is_critical(const struct daemon *daemon)
{
	const struct core *core = &daemon->core;

	if (daemon->guardian.pid == 0 || core->blocks_unsaved ||
		publisher_cannot_leave(core->publisher))
		return true;
	return control_maps_state(core) == MAP_STATE_ERROR;
}

static bool sees_nobody(const struct daemon *daemon)
{
	return daemon->lookups.count == 0 &&
	       publisher_map_count(daemon->core.publisher) == 0;
}

static void send_head(struct session *session)
{
	struct core *core = &session->daemon->core;
	struct moment now = clock_now();
	struct line line;
	bool warns;

	core_forget_unshared(core);
	warns = core->shared.count > 0 || core->own_is_unknown ||
		control_maps_state(core) == MAP_STATE_WARNING;

	line_init(&line, "dracd");
	line_add(&line, "version", DRACD_VERSION);
	line_add(&line, "state",
		is_critical(session->daemon) ? "critical"
		: warns                      ? "warning"
					     : "ok");
	line_add(&line, "mode",
		core->config->mode == MODE_ENFORCE ? "enforce" : "observe");
	line_add_number(&line, "up_ms",
		(now.boot_usec - core->started.boot_usec) / USEC_PER_MSEC);
	control_send(session, &line);
}

static void send_leases(struct session *session)
{
	struct core *core = &session->daemon->core;
	struct expiry after = {.deadline_boot_usec = clock_now().boot_usec + 1}, next;
	const struct lease_count *count = &session->counting.count;
	struct line line;

	line_init(&line, "leases");
	line_add_number(&line, "count", count->ipv4 + count->ipv6);
	line_add_number(&line, "ipv4", count->ipv4);
	line_add_number(&line, "ipv6", count->ipv6);
	line_add_number(&line, "limit", session->daemon->started->max_leases);
	if (table_reader_begin(core->reader) == 0) {
		if (table_next_expiry(core->reader, &after, &next) == 0)
			line_add_number(&line, "next_end_ms",
				(next.deadline_boot_usec - after.deadline_boot_usec) /
					USEC_PER_MSEC);
		table_reader_end(core->reader);
	}
	control_send(session, &line);
}

/* Of those that have a limit. */
static void send_reporters(struct session *session)
{
	const struct core *core = &session->daemon->core;
	const struct config *config = core->config;
	struct line line;

	for (size_t i = 0; i < config->reporter_count; i++) {
		const struct reporter_settings *limits = &config->reporter_limits[i];

		line_init(&line, "reporter");
		line_add(&line, "name", limits->name);
		line_add_number(
			&line, "leases", table_leases_of(&core->state, limits->name));
		if (limits->max_leases)
			line_add_number(&line, "limit", limits->max_leases);
		if (limits->max_rate)
			line_add_number(&line, "max_rate", limits->max_rate);
		control_send(session, &line);
	}
}

static void send_counters(struct session *session)
{
	struct core *core = &session->daemon->core;
	struct counters sum = stats_sum(&core->stats, clock_now());
	uint64_t refused = 0, window = STATS_BUCKETS * STATS_BUCKET_USEC / USEC_PER_MSEC;
	struct line line;

	for (unsigned reason = 0; reason < REASON_COUNT; reason++)
		refused += sum.refused[reason];
	line_init(&line, "logins");
	line_add_number(&line, "window_ms", window);
	line_add_number(&line, "granted", sum.granted);
	line_add_number(&line, "renewed", sum.renewed);
	line_add_number(&line, "refused", refused);
	line_add_number(&line, "errors", sum.errors);
	for (unsigned reason = 0; reason < REASON_COUNT; reason++) {
		char key[64];

		snprintf(key, sizeof(key), "refused_%s", reason_name(reason));
		if (sum.refused[reason])
			line_add_number(&line, key, sum.refused[reason]);
	}
	control_send(session, &line);
	send_reporters(session);
	line_init(&line, "lookups");
	line_add_number(&line, "window_ms", window);
	line_add_number(&line, "asked", sum.asked);
	line_add_number(&line, "permitted", sum.permitted);
	control_send(session, &line);
}

/* Names between commas, as far as there is room in a line for them. */
struct names {
	char text[256];
	size_t used;
};

static void add_name(struct names *names, const char *name)
{
	size_t left = sizeof(names->text) - names->used;
	int length = snprintf(names->text + names->used, left, "%s%s",
		names->used > 0 ? "," : "", name);

	if (length >= 0 && (size_t)length < left)
		names->used += (size_t)length;
	else
		names->text[names->used] = '\0'; /* no half a name */
}

/* Its services, and how many networks. */
static void add_view(struct line *line, const struct view *view)
{
	struct names services = {0};

	for (size_t i = 0; i < view->services.count; i++)
		add_name(&services, view->services.items[i]);
	if (view->services.count > 0)
		line_add(line, "services", services.text);
	if (view->networks.count > 0)
		line_add_number(line, "networks", view->networks.count);
}

static void send_lookups(struct session *session)
{
	const struct daemon *daemon = session->daemon;
	struct line line;

	for (size_t i = 0; i < daemon->lookups.count; i++) {
		const struct daemon_lookup *lookup = daemon->lookups.items[i];
		const struct lookup_settings *settings = lookup->settings;

		line_init(&line, "lookup");
		line_add(&line, "name", settings->name);
		line_add(&line, "protocol", lookup->protocol->name);
		line_add(&line, "path", settings->socket.path);
		line_add_number(
			&line, "connections", server_connection_count(lookup->server));
		line_add_number(&line, "asked", lookup->lookup.asked);
		line_add_number(&line, "permitted", lookup->lookup.permitted);
		add_view(&line, &settings->view);
		control_send(session, &line);
	}
}

static void send_warning(struct session *session, const char *text)
{
	struct line line;

	line_init(&line, "warning");
	line_add(&line, "text", text);
	control_send(session, &line);
}

static void send_warnings(struct session *session)
{
	struct core *core = &session->daemon->core;

	if (session->daemon->guardian.pid == 0)
		send_warning(session,
			"the guardian has ended: if dracd is killed, its maps stay "
			"open; restart dracd");
	if (sees_nobody(session->daemon))
		send_warning(
			session, "there is no lookup and no map: no MTA sees the leases");
	if (publisher_cannot_leave(core->publisher))
		send_warning(session,
			"a map that drac.conf no longer has so cannot be withdrawn; see dracd's log");
	if (core->own_is_unknown)
		send_warning(session,
			"the addresses of this host and its routers cannot be read: a login "
			"from one of them may get a lease; trying again");
	if (core->blocks_unsaved)
		send_warning(session, "a revocation could not be stored; trying again");

	for (size_t i = 0; i < core->shared.count; i++) {
		char address[ADDRESS_TEXT_SIZE], text[192];
		struct lease lease;
		struct line line;

		(void)!core_find(core, &core->shared.items[i], clock_now(), &lease);
		snprintf(text, sizeof(text),
			"%s has %u users: shared NAT or a proxy? to exclude it: never_lease",
			address_format(&core->shared.items[i], address),
			lease_user_count(&lease));
		line_init(&line, "warning");
		line_add(&line, "text", text);
		control_send(session, &line);
	}
}

static void answer_status(struct session *session)
{
	struct line line;

	send_head(session);
	send_leases(session);
	send_counters(session);
	send_lookups(session);
	control_send_maps(session);
	send_warnings(session);
	line_init(&line, "OK");
	control_finish(session, &line);
}

void control_status_cancel(struct session *session)
{
	session->counting.next_turn =
		sd_event_source_disable_unref(session->counting.next_turn);
	session->is_busy = false;
}

/* Goes on at the loop's next turn. */
static int on_next_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct session *session = userdata;
	struct counting *counting = &session->counting;

	(void)usec;
	if (!core_count_step(&session->daemon->core, &counting->count)) {
		control_turn_again(source);
		return 0;
	}
	counting->next_turn = sd_event_source_disable_unref(counting->next_turn);
	answer_status(session);
	return 0;
}

void control_status(struct session *session, const struct words *words)
{
	struct core *core = &session->daemon->core;
	struct counting *counting = &session->counting;

	(void)words;
	core_count_begin(core, clock_now(), &counting->count);
	if (core_count_step(core, &counting->count))
		answer_status(session);
	else if (control_add_turn(session, on_next_turn, &counting->next_turn) < 0)
		control_fail(session, "temporary", "out of memory");
}

/* ---- check ---- */

/* The lookups that have a view, and do not see the address. */
static void add_unseen(struct session *session, struct line *line,
	const struct address *address, struct moment now)
{
	const struct lookup_set *lookups = &session->daemon->lookups;
	struct names unseen = {0};

	for (size_t i = 0; i < lookups->count; i++) {
		const struct lookup_settings *settings = lookups->items[i]->settings;

		if (core_find_in_view(&session->daemon->core, &settings->view, address,
			    now) != REASON_OK)
			add_name(&unseen, settings->name);
	}
	if (unseen.used > 0)
		line_add(line, "unseen_by", unseen.text);
}

static void answer_permit(struct session *session, const struct address *address,
	const struct lease *lease, struct moment now)
{
	struct core *core = &session->daemon->core;
	char text[ADDRESS_TEXT_SIZE], user[USER_SIZE];
	struct line line;

	core_lease_user(core, lease, user);
	line_init(&line, "OK");
	line_add_bare(&line, "permit");
	line_add(&line, "address", address_format(address, text));
	line_add(&line, "lease", address_format(&lease->address, text));
	line_add_number(&line, "until_ms", lease->deadline_wall_usec / USEC_PER_MSEC);
	line_add_number(&line, "left_ms",
		(lease->deadline_boot_usec - now.boot_usec) / USEC_PER_MSEC);
	line_add(&line, "user", user);
	line_add(&line, "service", lease->service);
	line_add_number(&line, "login_ms", lease->login_wall_usec / USEC_PER_MSEC);
	if (core->config->mode == MODE_OBSERVE)
		line_add(&line, "mode", "observe");
	add_unseen(session, &line, address, now);
	control_finish(session, &line);
}

static void add_refusal(struct line *line, const struct refusal *refusal)
{
	const char *hint = reason_hint(refusal->reason);

	line_add(line, "refused_reason", reason_name(refusal->reason));
	line_add_number(line, "refused_ms", refusal->wall_usec / USEC_PER_MSEC);
	line_add(line, "user", refusal->user);
	line_add(line, "service", refusal->service);
	if (hint)
		line_add(line, "hint", hint);
}

static void answer_no(struct session *session, const struct address *address,
	enum reason reason, struct moment now)
{
	struct core *core = &session->daemon->core;
	const struct refusal *refusal = stats_find_refusal(&core->stats, address);
	const struct block *block = blocks_find_address(core->blocks, address, now);
	char text[ADDRESS_TEXT_SIZE];
	struct line line;

	line_init(&line, "NO");
	line_add(&line, "reason", reason_name(reason));
	line_add(&line, "address", address_format(address, text));
	if (reason == REASON_REVOKED && block) {
		line_add_number(
			&line, "until_ms", block->until_wall_usec / USEC_PER_MSEC);
		line_add(&line, "text", block->text);
	}
	/* a revocation that was lifted is no reason any more */
	if (refusal && (refusal->reason != REASON_REVOKED || block))
		add_refusal(&line, refusal);
	control_finish(session, &line);
}

void control_check(struct session *session, const struct words *words)
{
	const char *text = words_get(words, "address");
	struct moment now = clock_now();
	struct address address;
	struct lease lease;
	int r;

	if (!text || address_parse(text, &address) < 0) {
		control_fail(
			session, "syntax", "address= is not an IPv4 or IPv6 address");
		return;
	}
	r = core_find(&session->daemon->core, &address, now, &lease);
	if (r < 0)
		control_fail(session, "temporary", "the table cannot be read");
	else if (r == REASON_OK)
		answer_permit(session, &address, &lease, now);
	else
		answer_no(session, &address, (enum reason)r, now);
}
