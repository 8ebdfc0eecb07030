/* "maps", and what "status" says of maps. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dracd/control_internal.h"

/* What someone else has done to a map stays a warning for so long, so that whoever looks
 * now and then sees it. */
#define FOUND_USEC (3600 * USEC_PER_SEC)
/* Less than dracctl(8) waits. */
#define ASK_WAIT_USEC (50 * USEC_PER_SEC)

static bool was_found(const struct map_report *report)
{
	return report->found &&
	       clock_now().boot_usec - report->found_boot_usec < FOUND_USEC;
}

static bool was_given_up(const struct map_report *report)
{
	return report->given_up_count > 0 &&
	       clock_now().boot_usec - report->given_up_boot_usec < FOUND_USEC;
}

static enum map_state map_state(const struct map_report *report)
{
	if (report->error || report->static_error || was_given_up(report))
		return MAP_STATE_ERROR;
	if (report->unexpressed > 0 || was_found(report))
		return MAP_STATE_WARNING;
	return MAP_STATE_OK;
}

enum map_state control_maps_state(const struct core *core)
{
	enum map_state worst = MAP_STATE_OK;

	for (size_t i = 0; i < publisher_map_count(core->publisher); i++) {
		enum map_state state = map_state(publisher_report(core->publisher, i));

		if (state > worst)
			worst = state;
	}
	return worst;
}

static void add_error(
	struct line *line, const struct map_config *map, const struct map_report *report)
{
	char text[256];

	if (report->error)
		snprintf(text, sizeof(text), "cannot %s: %s",
			report->step ? report->step : "publish",
			strerror(-report->error));
	else if (report->static_problem)
		snprintf(text, sizeof(text), "%s:%u: %s", map->static_path,
			report->static_line, report->static_problem);
	else if (report->static_error)
		snprintf(text, sizeof(text), "cannot read %s: %s", map->static_path,
			strerror(-report->static_error));
	else
		snprintf(text, sizeof(text),
			"%llu replaced files cannot be emptied: sessions that have one open "
			"see its leases until they end",
			(unsigned long long)report->given_up_count);
	if (!report->error && report->static_error && !report->has_static)
		strncat(text,
			report->has_old_static
				? "; the map has the rows of its last good state, but no lease"
				: "; the map has neither its rows nor any lease",
			sizeof(text) - strlen(text) - 1);
	line_add(line, "error", text);
}

static void add_warning(struct line *line, const struct map_report *report)
{
	char text[128];

	if (was_found(report))
		snprintf(text, sizeof(text), "%s, %llu s ago; rebuilt", report->found,
			(unsigned long long)((clock_now().boot_usec -
						     report->found_boot_usec) /
					     USEC_PER_SEC));
	else
		snprintf(text, sizeof(text), "%llu leases cannot be written in this form",
			(unsigned long long)report->unexpressed);
	line_add(line, "warning", text);
}

/* For the answer to verify= alone. */
static void add_verified(struct line *line, const struct map_report *report)
{
	static const char *const results[] = {
		[MAP_VERIFIED_NOT] = "no",
		[MAP_VERIFIED_SAME] = "same",
		[MAP_VERIFIED_DIFFERENT] = "different",
		[MAP_VERIFIED_UNREADABLE] = "unreadable",
		[MAP_VERIFIED_STOPPED] = "no",
	};
	const struct map_verified *verified = &report->verified;

	line_add(line, "verified", results[verified->result]);
	if (verified->result == MAP_VERIFIED_SAME ||
		verified->result == MAP_VERIFIED_DIFFERENT)
		line_add_number(line, "rows", verified->rows);
	if (verified->result != MAP_VERIFIED_SAME)
		line_add(line, "verify_text", verified->text);
}

static void send_map(struct session *session, size_t index)
{
	static const char *const states[] = {"ok", "warning", "error"};
	struct core *core = &session->daemon->core;
	const struct map_config *map = publisher_map(core->publisher, index);
	const struct map_report *report = publisher_report(core->publisher, index);
	enum map_state state = map_state(report);
	uint64_t now = clock_now().boot_usec;
	struct line line;

	line_init(&line, "map");
	line_add(&line, "name", map->name);
	line_add(&line, "type", map_type_name(map->type));
	line_add(&line, "keys", key_form_name(map->keys));
	line_add(&line, "nul", map->nul == NUL_YES ? "yes" : "no");
	line_add(&line, "path", map->path);
	line_add(&line, "file", map->file);
	line_add_number(&line, "entries", report->entries);
	if (report->published_boot_usec)
		line_add_number(&line, "published_ago_ms",
			(now - report->published_boot_usec) / USEC_PER_MSEC);
	if (report->slowest_usec)
		line_add_number(
			&line, "slowest_ms", report->slowest_usec / USEC_PER_MSEC);
	line_add_number(&line, "pending",
		core->state.sequence > report->sequence
			? core->state.sequence - report->sequence
			: 0);
	line_add(&line, "state", states[state]);
	if (state == MAP_STATE_ERROR)
		add_error(&line, map, report);
	if (state == MAP_STATE_WARNING)
		add_warning(&line, report);
	if (session->verify)
		add_verified(&line, report);
	control_send(session, &line);
}

static void send_maps(struct session *session, const char *name)
{
	const struct publisher *publisher = session->daemon->core.publisher;

	for (size_t i = 0; i < publisher_map_count(publisher); i++)
		if (!name || strcmp(publisher_map(publisher, i)->name, name) == 0)
			send_map(session, i);
}

void control_send_maps(struct session *session)
{
	session->verify = false;
	send_maps(session, NULL);
}

static bool has_map(const struct publisher *publisher, const char *name)
{
	for (size_t i = 0; i < publisher_map_count(publisher); i++)
		if (strcmp(publisher_map(publisher, i)->name, name) == 0)
			return true;
	return false;
}

static void done_ask(const struct outcome *outcome, void *context)
{
	struct session *session = context;
	const struct core *core = &session->daemon->core;
	struct line line;

	if (!core->publisher) {
		control_fail(session, "temporary", "dracd is stopping");
		return;
	}
	send_maps(session, *session->map ? session->map : NULL);
	line_init(&line, "OK");
	line_add_number(&line, "maps_late", outcome->maps_late);
	control_finish(session, &line);
}

static void ask(struct session *session, const char *name, unsigned why)
{
	struct map_question question = {name, why, ASK_WAIT_USEC};
	int r = core_ask_maps(&session->daemon->core, &question, done_ask, session);

	if (r < 0)
		control_fail(session, "temporary", "out of memory");
}

void control_maps(struct session *session, const struct words *words)
{
	const char *rebuild = words_get(words, "rebuild");
	const char *verify = words_get(words, "verify");
	const char *name = words_get(words, "name");
	struct line line;

	if ((rebuild && strcmp(rebuild, "yes") != 0) ||
		(verify && strcmp(verify, "yes") != 0)) {
		control_fail(session, "syntax", "rebuild= and verify= may be yes only");
		return;
	}
	if (name && (strlen(name) >= sizeof(session->map) ||
			    !has_map(session->daemon->core.publisher, name))) {
		line_init(&line, "NO");
		line_add(&line, "reason", "no_map");
		control_finish(session, &line);
		return;
	}
	snprintf(session->map, sizeof(session->map), "%s", name ? name : "");
	session->verify = verify != NULL;
	if (rebuild || verify) {
		ask(session, name,
			(rebuild ? WAKE_REBUILD : 0) | (verify ? WAKE_VERIFY : 0U));
		return;
	}
	send_maps(session, name);
	line_init(&line, "OK");
	control_finish(session, &line);
}
