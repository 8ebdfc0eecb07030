/* The table: what ends leases, and what carries them into another boot.  As in
 * table_write.c, all of it runs inside the writer's transaction. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/cleanup.h"
#include "dracd/table_internal.h"

struct collect {
	struct key_list list;
	bool (*wants)(const struct lease *lease, void *context);
	void *context;
};

static int collect_lease(const struct lease *lease, void *context)
{
	struct collect *collect = context;

	if (!collect->wants(lease, collect->context))
		return 0;
	return key_list_add(&collect->list, &lease->address);
}

/* Ends all leases that wants() wants ended. */
static int end_wanted(struct table *table,
	bool (*wants)(const struct lease *lease, void *context), void *context,
	struct table_ended *ret)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	struct collect collect = {.wants = wants, .context = context};
	int r;

	*ret = (struct table_ended){0};
	r = table_each_lease(&reader, collect_lease, &collect);
	if (r == 0)
		r = table_drop_listed(table, &collect.list, TELL_FEED, ret);
	key_list_done(&collect.list);
	return r;
}

struct prefix_walk {
	struct key_list list;
	struct address prefix;
};

static int collect_within(const struct lease *lease, void *context)
{
	struct prefix_walk *step = context;
	struct address around = address_network(&lease->address, step->prefix.length);

	if (address_compare(&around, &step->prefix) != 0)
		return TABLE_NOT_FOUND; /* any nonzero ends the walk */
	/* in the midst of "::/0" lies IPv4, which is not within it */
	if (!address_contains(&step->prefix, &lease->address))
		return 0;
	return key_list_add(&step->list, &lease->address);
}

/* Adds the leases that contain the prefix and are larger. */
static int collect_around(struct table *table, struct prefix_walk *step)
{
	int shortest = address_is_ipv4(&step->prefix) ? 96 : 0;
	int length = step->prefix.length;

	while ((length = address_length_within(table->state.lengths, length - 1)) >=
		shortest) {
		struct address key = address_network(&step->prefix, (unsigned)length);
		struct lease lease;
		int r = table_read_row(table, &key, &lease);

		if (r == 0)
			r = key_list_add(&step->list, &key);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Those within lie one after the other.  There may be as many blocks to apply at a start
 * as leases that have nothing to do with them, so nothing is walked but what ends. */
int table_end_prefix(
	struct table *table, const struct address *prefix, struct table_ended *ret)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	struct prefix_walk step = {.prefix = *prefix};
	int r;

	*ret = (struct table_ended){0};
	r = table_each_lease_from(&reader, prefix, collect_within, &step);
	if (r >= 0)
		r = collect_around(table, &step);
	if (r == 0)
		r = table_drop_listed(table, &step.list, TELL_FEED, ret);
	key_list_done(&step.list);
	return r;
}

static bool any(const struct lease *lease, void *context)
{
	(void)lease;
	(void)context;
	return true;
}

int table_end_all(struct table *table, struct table_ended *ret)
{
	return end_wanted(table, any, NULL, ret);
}

struct keep {
	bool (*keep)(const struct lease *lease, void *context);
	void *context;
};

static bool is_unwanted(const struct lease *lease, void *context)
{
	const struct keep *keep = context;

	return !keep->keep(lease, keep->context);
}

int table_end_unless(struct table *table,
	bool (*keep)(const struct lease *lease, void *context), void *context,
	struct table_ended *ret)
{
	struct keep step = {.keep = keep, .context = context};

	return end_wanted(table, is_unwanted, &step, ret);
}

/* The keys of all leases in which the user has a share. */
static int list_shares(struct table *table, uint64_t hash, struct key_list *ret)
{
	struct address zero = {0}, key;
	uint8_t first[USER_KEY_SIZE];
	MDB_val row = table_value(first, sizeof(first)), value;
	MDB_cursor *cursor;
	int r, added = 0;

	table_encode_user(hash, &zero, first);
	r = table_result(mdb_cursor_open(table->txn, table->users, &cursor));
	if (r != 0)
		return r;
	r = mdb_cursor_get(cursor, &row, &value, MDB_SET_RANGE);
	while (r == 0 && added == 0 && row.mv_size == USER_KEY_SIZE &&
		memcmp(row.mv_data, first, 8) == 0) {
		added = lease_key_decode(
			(uint8_t *)row.mv_data + 8, LEASE_KEY_SIZE, &key);
		if (added == 0)
			added = key_list_add(ret, &key);
		r = mdb_cursor_get(cursor, &row, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (added < 0)
		return added == -ENOMEM ? added : -EUCLEAN;
	return r == MDB_NOTFOUND ? 0 : table_result(r);
}

/* The deadline and the services that the remaining shares give a lease, the deadline
 * never later than it was. */
static int shorten_to_shares(struct table *table, struct lease *lease)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	uint64_t latest = 0, less;

	lease->services = (struct services){0};
	for (unsigned i = 0; i < lease->share_count; i++) {
		struct share share;
		int r = table_read_kept_share(&reader, lease, i, &share);

		if (r < 0)
			return r;
		if (share.deadline_boot_usec > latest)
			latest = share.deadline_boot_usec;
		for (unsigned n = 0; n < share.services.count; n++)
			services_add(&lease->services, share.services.items[n].name,
				share.services.items[n].deadline_boot_usec, table->now);
	}
	if (latest < lease->deadline_boot_usec) {
		less = lease->deadline_boot_usec - latest;
		lease->deadline_boot_usec = latest;
		lease->deadline_wall_usec -= less < lease->deadline_wall_usec
						     ? less
						     : lease->deadline_wall_usec;
	}
	return 0;
}

/* Takes the user out of one lease, which ends with its last share. */
static int end_share(struct table *table, const struct address *key, uint64_t hash,
	struct table_ended *ret)
{
	struct lease old, lease;
	int r = table_read_row(table, key, &old);

	if (r != 0)
		return r < 0 ? r : -EUCLEAN;
	lease = old;
	lease_drop_share(&lease, hash);
	if (lease.share_count == 0) {
		ret->leases += old.deadline_boot_usec > table->now.boot_usec;
		return table_drop_row(table, &old, TELL_FEED);
	}
	r = table_drop_share(table, key, hash);
	if (r == 0)
		r = shorten_to_shares(table, &lease);
	if (r != 0)
		return r;
	if (lease.deadline_boot_usec > table->now.boot_usec) {
		bool earlier = lease.deadline_boot_usec < old.deadline_boot_usec;

		r = table_put_row(table, &lease, &old);
		/* a map may have passed the new deadline before this is committed, and
		 * would never look there again */
		if (r == 0 && (earlier || table->settings.feed_users))
			r = table_touch(table, key);
		return r;
	}
	/* the shares of the others are over: with them it ends, and the maps, which have
	 * passed that deadline already, must be told */
	ret->leases += old.deadline_boot_usec > table->now.boot_usec;
	return table_drop_row(table, &old, TELL_FEED);
}

int table_end_user(struct table *table, const char *user, struct table_ended *ret)
{
	uint64_t hash = user_hash(user);
	_cleanup_(key_list_done) struct key_list list = {0};
	int r;

	*ret = (struct table_ended){0};
	r = list_shares(table, hash, &list);
	for (size_t i = 0; i < list.count && r == 0; i++)
		r = end_share(table, &list.items[i], hash, ret);
	ret->users = list.count > 0;
	return r;
}

/* ---- another boot ---- */

/* Moves the shares of a lease by as much as its deadline has moved from old; what ended
 * longer ago than this boot has gone on is simply over. */
static int rebase_shares(
	struct table *table, const struct lease *lease, const struct lease *old)
{
	struct table_reader reader = {.table = table, .txn = table->txn};

	for (unsigned i = 0; i < lease->share_count; i++) {
		uint8_t key[USER_KEY_SIZE], record[SHARE_RECORD_MAX];
		struct share share;
		uint64_t before, share_end;
		int r = table_read_kept_share(&reader, lease, i, &share);

		if (r < 0)
			return r;
		share_end = share.deadline_boot_usec;
		before = old->deadline_boot_usec > share.deadline_boot_usec
				 ? old->deadline_boot_usec - share.deadline_boot_usec
				 : 0;
		share.deadline_boot_usec = lease->deadline_boot_usec > before
						   ? lease->deadline_boot_usec - before
						   : 0;
		services_move(&share.services, share_end, share.deadline_boot_usec);
		table_encode_user(lease->shares[i], &lease->address, key);
		r = table_put(table, table->users, key, sizeof(key), record,
			share_encode(&share, record));
		if (r != 0)
			return r;
	}
	return 0;
}

static int rebase_listed(struct table *table, const struct key_list *list,
	struct moment now, uint64_t *ret_dropped)
{
	for (size_t i = 0; i < list->count; i++) {
		struct lease old, lease;
		int r = table_read_row(table, &list->items[i], &old);

		if (r != 0)
			return r < 0 ? r : -EUCLEAN;
		lease = old;
		if (lease_rebase(&lease, table->current.heartbeat, now)) {
			r = table_put_row(table, &lease, &old);
			if (r == 0)
				r = rebase_shares(table, &lease, &old);
		} else {
			++*ret_dropped;
			r = table_drop_row(table, &old, TELL_FEED);
		}
		if (r != 0)
			return r;
	}
	return 0;
}

int table_rebase(struct table *table, struct moment now, uint64_t *ret_dropped)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	struct collect all = {.wants = any};
	struct table_ended ended = {0};
	struct table_state state = table->state;
	int r;

	r = table_each_lease(&reader, collect_lease, &all);
	if (r == 0 && now.wall_usec >= table->current.heartbeat.wall_usec) {
		r = rebase_listed(table, &all.list, now, ret_dropped);
	} else if (r == 0) {
		/* the clock stands before our last commit: it says nothing about
		 * deadlines */
		*ret_dropped = all.list.count;
		r = table_drop_listed(table, &all.list, TELL_FEED, &ended);
	}
	key_list_done(&all.list);
	table->state = state; /* the caller counts afresh */
	memcpy(table->current.boot_id, table->settings.boot_id, 16);
	return r;
}
