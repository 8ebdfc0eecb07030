/*
 * One run of a map worker: what has the map not yet applied, and how is it written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/cleanup.h"
#include "dracd/guard.h"
#include "dracd/map_fallback.h"
#include "dracd/map_file.h"
#include "dracd/map_rows.h"
#include "dracd/map_verify.h"
#include "dracd/map_worker_internal.h"

enum {
	GROUP_BITS = 16, /* of an IPv6 address */
};

/* ---- from rows to keys ---- */

/* The value of a row, NULL if it is to go.  A static row that refuses wins over a lease;
 * who logged in is no news where there is nobody to show. */
static const char *choose_value(
	const struct map_worker *worker, const struct map_row *row, const char *users)
{
	if (!row->admitted)
		return NULL;
	if (map_shows_users(worker->settings.map))
		return *users ? users : NULL;
	if (worker->access &&
		access_refuses(worker->access, &row->address.ip, row->address.length))
		return NULL;
	return map_file_has_deadline(worker->settings.map)
		       ? worker->deadline
		       : map_file_value(worker->settings.map);
}

/* The longest that a login of now can last: a renewal is no change, and what ends a lease
 * is that its row goes. */
static void set_deadline(
	struct map_worker *worker, const struct config *config, struct moment now)
{
	snprintf(worker->deadline, sizeof(worker->deadline), "%llu",
		(unsigned long long)(clock_add(
					     now.wall_usec, config->lease_time_max_usec) /
				     USEC_PER_SEC));
}

/* Where rows go to; value NULL: the row is to go. */
typedef int row_sink(struct map_worker *worker, const char *key, const char *value);

static int put_in_map(struct map_worker *worker, const char *key, const char *value)
{
	return value ? map_put(worker->map, key, value) : map_delete(worker->map, key);
}

static int put_in_expect(struct map_worker *worker, const char *key, const char *value)
{
	return value ? expect_add(worker->expect, key, value) : 0;
}

/* Puts or deletes all keys of one row.  A static row of the same key comes back when the
 * lease is over. */
static int apply_row(struct map_worker *worker, const struct map_row *row,
	const char *users, row_sink *sink)
{
	const char *chosen = choose_value(worker, row, users);
	struct keys keys;
	int r;

	r = map_file_format_keys(worker->settings.map, &row->address, &keys);
	if (r == -EOPNOTSUPP) {
		worker->now.unexpressed += row->admitted;
		return 0;
	}
	if (r < 0)
		return r;
	for (unsigned i = 0; i < keys.count; i++) {
		const char *given =
			worker->access ? access_get(worker->access, keys.key[i]) : NULL;

		r = sink(worker, keys.key[i], chosen ? chosen : given);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- copying from the table ---- */

struct copy {
	struct map_worker *worker;
	struct rules rules;
	struct moment now;
	struct rows *rows;
	struct rows *all; /* of the whole map, for worker->expect */
	struct expiry last;
};

static bool lacks_static(const struct map_worker *worker)
{
	return map_file_lacks_static(worker->settings.map, worker->access);
}

static bool is_admitted(const struct copy *copy, const struct lease *lease)
{
	if (lacks_static(copy->worker))
		return false;
	return copy->rules.config->mode == MODE_ENFORCE &&
	       guard_admit(&copy->rules, &lease->address, lease, copy->now) == REASON_OK;
}

/* Adds a lease that is admitted. */
static int add_lease(struct copy *copy, const struct lease *lease)
{
	int r = rows_add(copy->rows, &lease->address, true);

	if (r < 0 || !map_shows_users(copy->worker->settings.map))
		return r;
	r = map_users_add(
		copy->worker->reader, lease, copy->now.boot_usec, &copy->rows->users);
	return r < 0 ? copy->rows->error = r : 0;
}

static int copy_lease(const struct lease *lease, void *context)
{
	struct copy *copy = context;

	return is_admitted(copy, lease) ? add_lease(copy, lease) : 0;
}

/* Adds the end of a lease.  For Postfix the key of an IPv6 network with zero groups at
 * its end ("2001:db8:1:") can also be one of the network a group longer or shorter; if
 * that has a lease, its keys are put again. */
static int add_end(struct copy *copy, const struct address *key)
{
	int r;

	/* no lease is in the map then, but perhaps a static row of this key */
	if (lacks_static(copy->worker))
		return 0;
	r = rows_add(copy->rows, key, false);
	if (copy->worker->settings.map->keys != KEY_POSTFIX || address_is_host(key) ||
		address_is_ipv4(key))
		return r;
	for (unsigned i = 0; i < 2 && r >= 0; i++) {
		struct address other = *key;
		struct lease lease;

		other.length = (uint8_t)(i == 0 ? key->length + GROUP_BITS
						: key->length - GROUP_BITS);
		r = table_read_lease(copy->worker->reader, &other, &lease);
		if (r == 0 && is_admitted(copy, &lease))
			r = add_lease(copy, &lease);
	}
	return r < 0 ? r : 0;
}

static int copy_change(const struct address *key, void *context)
{
	struct copy *copy = context;
	struct lease lease;
	int r = table_read_lease(copy->worker->reader, key, &lease);

	if (r < 0)
		return r;
	if (r == 0 && is_admitted(copy, &lease))
		return add_lease(copy, &lease);
	return add_end(copy, key);
}

static int copy_end(const struct expiry *row, void *context)
{
	struct copy *copy = context;

	if (row->deadline_boot_usec > copy->now.boot_usec)
		return TABLE_NOT_FOUND; /* nonzero: the walk ends */
	copy->last = *row;
	return add_end(copy, &row->key);
}

static bool is_in_place(const struct map_worker *worker)
{
	return map_type_is_in_place(worker->settings.map->type);
}

/* True if the file cannot, or should not, be brought up to date by a delta. */
static bool needs_rebuild(const struct map_worker *worker, uint64_t tail)
{
	return !worker->now.has_published || worker->now.sequence < tail ||
	       (map_type_wears_out(worker->settings.map->type) &&
		       worker->deletes > worker->now.entries + 1000);
}

static int copy_delta(struct copy *copy)
{
	struct map_worker *worker = copy->worker;
	int r = table_each_change(
		worker->reader, worker->now.sequence, copy_change, copy);

	if (r == 0)
		r = table_each_expiry(worker->reader, &worker->ended, copy_end, copy);
	return r;
}

/* When so much is to be changed that what comes of it is written sooner.  Never in place:
 * a new file is not seen by who has the old one open. */
static bool is_large(const struct copy *copy)
{
	const struct map_worker *worker = copy->worker;

	return !is_in_place(worker) && copy->rows->count > worker->now.entries / 2 + 1000;
}

static int copy_all(struct copy *copy)
{
	struct copy all = *copy;

	all.rows = copy->all;
	return table_each_lease(copy->worker->reader, copy_lease, &all);
}

/* Copies what is to be done, within one snapshot.  *rebuild is in and out. */
static int copy_rows(struct map_worker *worker, struct copy *copy, uint64_t *ret_sequence,
	bool *rebuild)
{
	uint64_t tail;
	int r;

	r = table_reader_begin(worker->reader);
	if (r < 0)
		return r;
	r = table_read_position(worker->reader, ret_sequence, &tail);
	if (r == 0 && needs_rebuild(worker, tail))
		*rebuild = true;
	if (r == 0 && !*rebuild) {
		r = copy_delta(copy);
		*rebuild = r >= 0 && is_large(copy);
		if (*rebuild)
			rows_clear(copy->rows);
	}
	if (r >= 0 && *rebuild)
		r = table_each_lease(worker->reader, copy_lease, copy);
	else if (r >= 0 && worker->expect)
		r = copy_all(copy);
	table_reader_end(worker->reader);
	return r < 0 ? r : copy->rows->error;
}

/* ---- one run ---- */

/* *ret_changed: it was not dropped, as a delta is that changes nothing: a replacement
 * costs readers a restart.  A change in place may fail in the middle. */
static int commit(struct map_worker *worker, bool rebuild, bool *ret_changed)
{
	struct map_counts counts = {0};
	int r = map_commit(worker->map, &worker->file, &counts);

	if (r == -ESTALE || r >= 0)
		worker->needs_new_file = r == -ESTALE;
	*ret_changed = r >= 0 && (rebuild || r != MAP_UNCHANGED);
	if (rebuild && r >= 0) {
		worker->now.entries = counts.added + counts.replaced + counts.unchanged;
		worker->deletes = 0;
	} else {
		worker->now.entries += counts.added - counts.removed;
		worker->deletes += counts.removed;
	}
	if (r < 0 && counts.added + counts.removed + counts.replaced > 0)
		map_fallback_note_part(worker);
	return r < 0 ? r : 0;
}

static int apply_rows(struct map_worker *worker, const struct rows *rows, row_sink *sink)
{
	const bool shows_users = map_shows_users(worker->settings.map);
	const char *users = rows->users.data;
	int r = 0;

	for (size_t i = 0; i < rows->count && r == 0; i++) {
		r = apply_row(worker, &rows->items[i], users, sink);
		if (shows_users && rows->items[i].admitted)
			users += strlen(users) + 1;
	}
	return r;
}

/* As the format likes them best. */
static int apply_in_order(struct map_worker *worker, struct rows *rows)
{
	uint32_t *heads = rows_sort(rows, worker->map, worker->settings.map);
	int r = heads ? 0 : -ENOMEM;

	for (unsigned order = 0; order < MAP_ORDERS && r == 0; order++)
		for (uint32_t i = heads[order]; i != ROWS_END && r == 0;
			i = rows->items[i].next)
			r = apply_row(worker, &rows->items[i], "", put_in_map);
	free(heads);
	return r;
}

/* Whoever has the file of a map in place open sees what is written into that alone. */
static int begin_rebuild(struct map_worker *worker)
{
	int r = -ESTALE;

	if (is_in_place(worker) && !worker->needs_new_file)
		r = map_begin_whole(worker->map, &worker->file);
	return r == -ESTALE ? map_begin_rebuild(worker->map) : r;
}

static int write_map(
	struct map_worker *worker, struct rows *rows, bool rebuild, bool *ret_changed)
{
	int r;

	if (rebuild) {
		worker->now.unexpressed = 0;
		if (lacks_static(worker)) {
			*ret_changed = true;
			return map_restore_static(worker);
		}
		r = begin_rebuild(worker);
		if (r == 0)
			r = map_file_put_static(worker->map, worker->access);
	} else {
		r = map_begin_delta(worker->map, &worker->file);
	}
	if (r == 0)
		r = rebuild && map_has_order(worker->map)
			    ? apply_in_order(worker, rows)
			    : apply_rows(worker, rows, put_in_map);
	if (r == 0)
		return commit(worker, rebuild, ret_changed);
	map_abort(worker->map);
	return r;
}

static void note_publication(struct map_worker *worker, struct moment start)
{
	struct moment end = clock_now();
	uint64_t before_usec = worker->now.duration_usec;

	worker->now.published_boot_usec = end.boot_usec;
	worker->now.published_wall_usec = end.wall_usec;
	worker->now.duration_usec = end.boot_usec - start.boot_usec;
	worker->usual_usec = worker->now.duration_usec;
	if (before_usec > 0 && before_usec < worker->usual_usec)
		worker->usual_usec = before_usec;
}

static int fill_expect(struct map_worker *worker, const struct rows *rows)
{
	const uint64_t unexpressed = worker->now.unexpressed;
	size_t count = worker->access ? access_count(worker->access) : 0;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		const char *key, *value;

		access_row(worker->access, i, &key, &value);
		r = expect_add(worker->expect, key, value);
	}
	if (r == 0)
		r = apply_rows(worker, rows, put_in_expect);
	worker->now.unexpressed = unexpressed; /* they have been counted */
	return r;
}

/* Publishes what a snapshot taken now says.  -ESTALE: it takes a rebuild, as the file is
 * not the one we wrote, or its readers are in the way. */
static int publish(struct map_worker *worker, struct config *config,
	struct blocks *blocks, bool rebuild)
{
	_cleanup_(rows_done) struct rows rows = {0}, all = {0};
	struct copy copy = {
		.worker = worker,
		.rules = {.config = config, .blocks = blocks},
		.now = clock_now(),
		.rows = &rows,
		.all = &all,
		.last = worker->ended,
	};
	uint64_t sequence;
	struct map_identity in_place;
	int r;

	set_deadline(worker, config, copy.now);
	worker->now.step = "read the table";
	r = copy_rows(worker, &copy, &sequence, &rebuild);
	worker->now.table_error = r < 0 ? r : 0;
	if (r != 0)
		return map_fallback_fail(
			worker, rows_have_end(&rows), r < 0 ? r : -EUCLEAN);
	if (!rebuild && (map_identify(worker->map, &in_place) < 0 ||
				!map_identity_equal(&in_place, &worker->file)))
		return -ESTALE;
	if (rebuild || rows.count > 0) {
		bool changed = false;

		r = write_map(worker, &rows, rebuild, &changed);
		worker->now.step = map_failed_step(worker->map);
		if (r < 0)
			return map_fallback_fail(worker, rows_have_end(&rows), r);
		if (changed)
			note_publication(worker, copy.now);
	}
	map_fallback_recover(worker);
	worker->now.sequence = sequence;
	worker->now.ends_through = copy.now.boot_usec;
	if (rebuild)
		copy.last = (struct expiry){.deadline_boot_usec = copy.now.boot_usec};
	worker->ended = copy.last;
	return worker->expect ? fill_expect(worker, rebuild ? &rows : &all) : 0;
}

static int open_map(struct map_worker *worker)
{
	if (worker->map)
		return 0;
	worker->now.step = "open the directory of";
	return map_file_open(worker->settings.map, &worker->map);
}

/* For good.  What failed is tried again from the directory on: it may be another. */
static int leave(struct map_worker *worker)
{
	int r = map_fallback_withdraw(worker);

	if (r < 0) {
		worker->map = map_close(worker->map);
	} else if (worker->settings.leaves && is_in_place(worker)) {
		/* it was not written by us, so it is not opened, be it damaged */
		worker->now.given_up_count++;
		worker->now.given_up_boot_usec = clock_now().boot_usec;
	}
	return r;
}

int map_publish(struct map_worker *worker, struct config *config, struct blocks *blocks,
	bool rebuild)
{
	int r = publish(worker, config, blocks, rebuild);

	if (r != -ESTALE)
		return r;
	(void)map_check(worker); /* tells what was found */
	map_fallback_distrust(worker);
	return publish(worker, config, blocks, true);
}

int map_run(struct map_worker *worker, unsigned why, struct config *config,
	struct blocks *blocks)
{
	bool rebuild = why & WAKE_REBUILD;
	int r;

	if (why & WAKE_VERIFY)
		map_verify_begin(worker);
	r = open_map(worker);
	/* no directory, no map; unless it was not there from the start: it may come */
	if (r == -ENOENT && why & WAKE_LEAVE && !worker->settings.leaves)
		return 0;
	if (r < 0)
		return r;
	worker->now.static_error = map_refresh_static(worker, &rebuild);
	worker->now.has_static = worker->access != NULL;
	r = map_fallback_prepare(worker, why, rebuild);
	rebuild = rebuild || why & WAKE_REPEAT;
	if (why & WAKE_WITHDRAW)
		return map_fallback_withdraw(worker);
	if (why & WAKE_LEAVE)
		return leave(worker);
	if (r < 0)
		return r;
	if (why & WAKE_VERIFY)
		return map_verify_run(worker, config, blocks, rebuild);
	return map_publish(worker, config, blocks, rebuild);
}
