/* The publisher: how far its maps have come. */
#include "dracd/publish_internal.h"

/* One that hung when dracd started may hang still, and tells nothing. */
static bool cannot_leave(const struct watched *map)
{
	return map->report.error || map->map->does_hang;
}

bool publisher_is_ready(const struct publisher *publisher)
{
	for (size_t i = 0; i < publisher->count; i++)
		if (!publisher->maps[i]->has_reported)
			return false;
	return true;
}

size_t publisher_leaving_count(const struct publisher *publisher)
{
	return publisher->leaving_count;
}

const struct map_config *publisher_leaving(
	const struct publisher *publisher, size_t index)
{
	const struct watched *at = publisher->leaving;

	while (index-- > 0)
		at = at->next;
	return at->map;
}

bool publisher_cannot_leave(const struct publisher *publisher)
{
	for (const struct watched *at = publisher->leaving; at; at = at->next)
		if (cannot_leave(at))
			return true;
	return false;
}

size_t publisher_map_count(const struct publisher *publisher)
{
	return publisher->count;
}

const struct map_config *publisher_map(const struct publisher *publisher, size_t index)
{
	return publisher->maps[index]->map;
}

const struct map_report *publisher_report(const struct publisher *publisher, size_t index)
{
	return &publisher->maps[index]->report;
}

static bool is_answered(const struct watched *map)
{
	return map->report.answered >= map->asked;
}

unsigned publisher_unanswered(const struct publisher *publisher)
{
	unsigned count = 0;

	for (size_t i = 0; i < publisher->count; i++)
		if (!is_answered(publisher->maps[i]))
			count++;
	return count;
}

unsigned publisher_barred(const struct publisher *publisher)
{
	unsigned count = 0;

	for (size_t i = 0; i < publisher->count; i++)
		count += publisher->maps[i]->report.static_error &&
			 !publisher->maps[i]->report.has_static;
	return count;
}

static bool is_late(const struct watched *map, uint64_t sequence, bool settled)
{
	return map->report.sequence < sequence || !map->report.has_published ||
	       (settled && !is_answered(map));
}

unsigned publisher_late(const struct publisher *publisher, uint64_t sequence,
	bool settled, unsigned *ret_failed)
{
	unsigned late = 0, failed = 0;

	for (size_t i = 0; i < publisher->count; i++) {
		const struct watched *map = publisher->maps[i];

		/* one that cannot start yet is told by the one that does not leave */
		if (map->report.error)
			failed++;
		else if (map->worker && is_late(map, sequence, settled))
			late++;
	}
	for (const struct watched *at = publisher->leaving; at; at = at->next)
		++*(cannot_leave(at) ? &failed : &late);
	*ret_failed = failed;
	return late;
}

uint64_t publisher_ends_through(const struct publisher *publisher)
{
	uint64_t through = UINT64_MAX;

	for (size_t i = 0; i < publisher->count; i++) {
		const struct map_report *report = &publisher->maps[i]->report;

		/* also of a map in error: the rebuild by which it recovers is of a
		 * snapshot that may be older than an end */
		if (report->ends_through < through)
			through = report->ends_through;
	}
	return through;
}
