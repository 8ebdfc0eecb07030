/* What the map workers report, and what of it an administrator must hear. */
#include <string.h>
#include <time.h>

#include "dracd/log.h"
#include "dracd/publish_internal.h"

void publisher_log_failure(const struct watched *map)
{
	const struct map_report *report = &map->report;
	time_t when = (time_t)(report->published_wall_usec / USEC_PER_SEC);
	char good[16] = "never";
	struct tm local;

	if (report->published_wall_usec)
		strftime(good, sizeof(good), "%H:%M:%S", localtime_r(&when, &local));
	log_message(LOG_ERR, "map %s: cannot %s %s: %s; retrying, last good %s%s",
		map->map->name, report->step ? report->step : "publish", map->map->path,
		strerror(-report->error), good,
		report->is_withdrawn ? "; all its leases are withdrawn until then" : "");
}

static void log_static_failure(const struct watched *map)
{
	const struct map_report *report = &map->report;
	const char *then =
		"it has never been read, so the map has neither its rows nor any lease";

	if (report->has_static)
		then = "the rows of its last good state stay";
	else if (report->has_old_static)
		then = "it has not been read since dracd was started, so the map has the rows "
		       "of its last good state, but no lease";
	if (report->static_problem)
		log_message(LOG_ERR, "map %s: %s:%u: %s; %s", map->map->name,
			map->map->static_path, report->static_line,
			report->static_problem, then);
	else
		log_message(LOG_ERR, "map %s: cannot read %s: %s; %s", map->map->name,
			map->map->static_path, strerror(-report->static_error), then);
}

static void log_verified(const struct watched *map)
{
	const struct map_verified *verified = &map->report.verified;
	const char *then = map->report.error ? "to be rebuilt" : "rebuilt";

	switch (verified->result) {
	case MAP_VERIFIED_SAME:
		log_message(LOG_INFO, "map %s: verified, %llu rows are as in the table",
			map->map->name, (unsigned long long)verified->rows);
		break;
	case MAP_VERIFIED_DIFFERENT:
		log_message(LOG_WARNING, "map %s: %s differs from the table: %s; %s",
			map->map->name, map->map->file, verified->text, then);
		break;
	case MAP_VERIFIED_UNREADABLE:
		log_message(LOG_WARNING, "map %s: %s cannot be read: %s; %s",
			map->map->name, map->map->file, verified->text, then);
		break;
	case MAP_VERIFIED_NOT:
		log_message(LOG_WARNING, "map %s: cannot be verified: %s", map->map->name,
			verified->text);
		break;
	case MAP_VERIFIED_STOPPED:
		break;
	}
}

static void done_trim(struct store_op *op)
{
	store_op_free(op);
}

/* The feed is needed from where the map furthest behind has come. */
static uint64_t oldest_sequence(const struct publisher *publisher)
{
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; i < publisher->count; i++)
		if (publisher->maps[i]->report.sequence < oldest)
			oldest = publisher->maps[i]->report.sequence;
	return oldest;
}

static void trim_feed(struct publisher *publisher)
{
	struct store_op *op = store_op_new(STORE_TRIM, done_trim, NULL);

	if (!op)
		return;
	op->trim = oldest_sequence(publisher);
	store_submit(publisher->settings.store, op);
}

static void log_found(const struct watched *map)
{
	const struct map_report *report = &map->report;

	log_message(LOG_WARNING, "map %s: %s %s; %s", map->map->name, map->map->file,
		report->found, report->error ? "to be rebuilt" : "rebuilt");
}

void publisher_log_given_up(const struct watched *map, uint64_t before)
{
	if (map->report.given_up_count != before)
		log_message(LOG_ERR,
			"map %s: %llu replaced files of it cannot be emptied: a session that "
			"has one open sees its leases until it ends",
			map->map->name,
			(unsigned long long)(map->report.given_up_count - before));
}

void publisher_take_report(struct watched *map)
{
	struct map_report old = map->report;

	if (!map->worker)
		return;
	map->report = map_worker_report(map->worker);
	if (map->report.found_count != old.found_count) {
		log_found(map);
		publisher_watch_again(map);
	}
	publisher_log_given_up(map, old.given_up_count);
	if (map->report.verified.count != old.verified.count)
		log_verified(map);
	if (map->report.error && (map->report.error != old.error ||
					 map->report.is_withdrawn != old.is_withdrawn))
		publisher_log_failure(map);
	else if (!map->report.error && old.error)
		log_message(LOG_INFO, "map %s: published again", map->map->name);
	if (map->report.static_error && map->report.static_error != old.static_error)
		log_static_failure(map);
	else if (!map->report.static_error && old.static_error)
		log_message(LOG_INFO, "map %s: %s is read again", map->map->name,
			map->map->static_path);
	if (map->report.unexpressed && !old.unexpressed)
		log_message(LOG_WARNING,
			"map %s: %llu leases cannot be written with type = %s and keys = %s; "
			"a lookup can answer for them",
			map->map->name, (unsigned long long)map->report.unexpressed,
			map_type_name(map->map->type), key_form_name(map->map->keys));
	if (!map->report.error && map->report.sequence != old.sequence)
		trim_feed(map->publisher);
}
