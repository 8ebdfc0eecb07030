/* As copy_rows() in map_run.c does it; keys are kept, not written. */
#include "tests/soak/follow.h"

#include <string.h>

#include "tests/soak/life.h"
#include "tests/soak/numbers.h"

/* What a map worker keeps, and the keys that are in the map. */
static struct {
	bool has_published;
	uint64_t sequence;
	struct expiry ended;
	struct address rows[KEYS];
	size_t count;
} map;

static const struct core *followed;

static bool is_in_force(const struct lease *lease)
{
	struct rules rules = core_rules(followed);

	return guard_admit(&rules, &lease->address, lease, life_now) == REASON_OK;
}

static void put_row(const struct address *key, bool wanted)
{
	size_t i = 0;

	while (i < map.count && address_compare(&map.rows[i], key) != 0)
		i++;
	if (i == map.count && wanted)
		map.rows[map.count++] = *key;
	else if (i < map.count && !wanted)
		map.rows[i] = map.rows[--map.count];
}

static int follow_change(const struct address *key, void *context)
{
	struct lease lease;
	int r = table_read_lease(followed->reader, key, &lease);

	(void)context;
	if (r >= 0)
		put_row(key, r == 0 && is_in_force(&lease));
	return r < 0 ? r : 0;
}

static int follow_end(const struct expiry *row, void *context)
{
	(void)context;
	if (row->deadline_boot_usec > life_now.boot_usec)
		return TABLE_NOT_FOUND; /* nonzero: the walk ends */
	map.ended = *row;
	put_row(&row->key, false);
	return 0;
}

static int follow_lease(const struct lease *lease, void *context)
{
	(void)context;
	if (is_in_force(lease))
		put_row(&lease->address, true);
	return 0;
}

/* Takes a row that is right away, so that at the end the wrong ones are left. */
static int compare_lease(const struct lease *lease, void *context)
{
	size_t *missing = context, before = map.count;

	if (!is_in_force(lease))
		return 0;
	put_row(&lease->address, false);
	*missing += map.count == before;
	return 0;
}

static int follow_feed(struct table_reader *reader)
{
	uint64_t tail, sequence;
	int r = table_read_position(reader, &sequence, &tail);

	if (r == 0 && (!map.has_published || map.sequence < tail)) {
		map.count = 0;
		r = table_each_lease(reader, follow_lease, NULL);
		map.ended = (struct expiry){.deadline_boot_usec = life_now.boot_usec};
	} else if (r == 0) {
		r = table_each_change(reader, map.sequence, follow_change, NULL);
		if (r == 0)
			r = table_each_expiry(reader, &map.ended, follow_end, NULL);
	}
	if (r < 0)
		return r;
	map.sequence = sequence;
	map.has_published = true;
	return 0;
}

void follow_restart(void)
{
	map.has_published = false;
}

int follow_table(const struct core *core, bool may_lack)
{
	struct table_reader *reader = core->reader;
	struct address rows[KEYS];
	size_t count, missing = 0;
	int r = table_reader_begin(reader);

	if (r < 0)
		return r;
	followed = core;
	r = follow_feed(reader);
	count = map.count;
	memcpy(rows, map.rows, sizeof(rows));
	if (r == 0)
		r = table_each_lease(reader, compare_lease, &missing);
	table_reader_end(reader);
	if (r < 0)
		return r;
	r = map.count > 0 || (missing > 0 && !may_lack);
	memcpy(map.rows, rows, sizeof(rows));
	map.count = count;
	return r;
}
