/* The table: what a login or a renewal changes; see table_write.c. */
#include <errno.h>
#include <string.h>

#include "dracd/table_internal.h"

enum {
	DELETE_AT_LIMIT =
		10000, /* rows that are over, deleted before a login is refused */
};

/* ---- logins ---- */

/* How many leases of others than *except the user holds now. */
static int count_shares(struct table *table, uint64_t hash, const struct address *except,
	unsigned limit, unsigned *ret)
{
	struct address zero = {0};
	uint8_t first[USER_KEY_SIZE], except_key[USER_KEY_SIZE];
	MDB_val key = table_value(first, sizeof(first)), value;
	MDB_cursor *cursor;
	struct share share;
	unsigned count = 0;
	int r;

	table_encode_user(hash, &zero, first);
	table_encode_user(hash, except, except_key);
	r = table_result(mdb_cursor_open(table->txn, table->users, &cursor));
	if (r != 0)
		return r;
	r = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (r == 0 && count < limit && key.mv_size == USER_KEY_SIZE &&
		memcmp(key.mv_data, except_key, 8) == 0) {
		if (share_decode(value.mv_data, value.mv_size, &share) < 0) {
			mdb_cursor_close(cursor);
			return -EUCLEAN;
		}
		if (memcmp(key.mv_data, except_key, USER_KEY_SIZE) != 0 &&
			share.deadline_boot_usec > table->now.boot_usec)
			count++;
		r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	*ret = count;
	return r == MDB_NOTFOUND ? 0 : table_result(r);
}

/* Is there room for one more lease, for this user? */
static int check_user(struct table *table, const struct address *key,
	const struct login *login, unsigned max_per_user)
{
	unsigned count = 0;
	int r;

	if (!*login->user)
		return 0;
	r = count_shares(table, user_hash(login->user), key, max_per_user, &count);
	if (r != 0)
		return r;
	return count >= max_per_user ? TABLE_USER_FULL : 0;
}

/* And in all? */
static int check_limits(struct table *table, const struct address *key,
	const struct login *login, unsigned max_per_user)
{
	const struct table_state *state = &table->state;
	unsigned count = 0;
	int r;

	if (state->ipv4 + state->ipv6 >= table->settings.max_leases) {
		r = table_drop_over(
			table, table->now.boot_usec, DELETE_AT_LIMIT, TELL_FEED, &count);
		if (r != 0)
			return r;
		if (state->ipv4 + state->ipv6 >= table->settings.max_leases)
			return TABLE_FULL;
	}
	return check_user(table, key, login, max_per_user);
}

static bool has_share(const struct lease *lease, uint64_t hash)
{
	for (unsigned i = 0; i < lease->share_count; i++)
		if (lease->shares[i] == hash)
			return true;
	return false;
}

/* Makes room for the share of hash, if the lease has as many as it may.  The one that
 * ends first gives way, the oldest of these: a share that is not kept cannot be taken
 * away when its user is revoked, so no lease may last for the sake of one. */
static int make_share_room(struct table *table, struct lease *lease, uint64_t hash)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	uint64_t first = 0, end = UINT64_MAX;

	if (lease->share_count < LEASE_SHARES_MAX || has_share(lease, hash))
		return 0;
	for (unsigned i = 0; i < lease->share_count; i++) {
		struct share share;
		int r = table_read_kept_share(&reader, lease, i, &share);

		if (r < 0)
			return r;
		if (share.deadline_boot_usec < end) {
			end = share.deadline_boot_usec;
			first = lease->shares[i];
		}
	}
	lease_drop_share(lease, first);
	return table_drop_share(table, &lease->address, first);
}

/* Files the login under its user: his share lasts as long as that of his logins which
 * ends last. */
static int add_share(struct table *table, struct lease *lease, const struct login *login,
	uint64_t deadline, struct moment login_time)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	uint64_t hash = user_hash(login->user);
	struct share share = {
		.granted_wall_usec = login_time.wall_usec,
		.deadline_boot_usec = deadline,
	};
	uint8_t key[USER_KEY_SIZE], record[SHARE_RECORD_MAX];
	struct share old;
	int r = table_read_share(&reader, &lease->address, hash, &old);

	if (r == 0 && old.deadline_boot_usec > login_time.boot_usec)
		share.services = old.services;
	if (r == 0 && old.deadline_boot_usec > deadline)
		share.deadline_boot_usec = old.deadline_boot_usec;
	if (r >= 0)
		r = make_share_room(table, lease, hash);
	if (r < 0)
		return r;
	(void)lease_add_share(lease, hash); /* none gives way */
	services_add(&share.services, login->service, deadline, login_time);
	memcpy(share.user, login->user, sizeof(share.user));
	table_encode_user(hash, &lease->address, key);
	return table_put(table, table->users, key, sizeof(key), record,
		share_encode(&share, record));
}

/* True if the login has a user, who has no live part in the lease of key yet. */
static int joins(struct table *table, const struct address *key,
	const struct login *login, struct moment login_time, bool *ret)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	struct share share;
	int r;

	*ret = false;
	if (!*login->user)
		return 0;
	r = table_read_share(&reader, key, user_hash(login->user), &share);
	if (r < 0)
		return r;
	*ret = r == TABLE_NOT_FOUND || share.deadline_boot_usec <= login_time.boot_usec;
	return 0;
}

int table_login(struct table *table, const struct address *key, const struct login *login,
	uint64_t usec, struct moment login_time, unsigned max_per_user,
	struct table_grant *ret)
{
	struct lease old = {0}, lease;
	bool had_row, is_new, has_joined = false;
	int r;

	r = table_read_row(table, key, &old);
	if (r != 0 && r != TABLE_NOT_FOUND)
		return r;
	had_row = r == 0;
	is_new = !had_row || old.deadline_boot_usec <= login_time.boot_usec;
	if (is_new) {
		r = check_limits(table, key, login, max_per_user);
		if (r != 0)
			return r;
		/* a row that is over ends here, with its shares, even if the check above
		 * has not deleted it */
		if (had_row && table_read_row(table, key, &old) == 0)
			r = table_drop_row(table, &old, FEED_KNOWS);
		if (r != 0)
			return r;
		lease = lease_grant(key, login, usec, login_time);
	} else {
		lease = old;
		lease_renew(&lease, login, usec, login_time);
	}
	r = is_new ? 0 : joins(table, key, login, login_time, &has_joined);
	if (r == 0 && has_joined)
		r = check_user(table, key, login, max_per_user);
	if (r == 0 && *login->user)
		r = add_share(table, &lease, login, clock_add(login_time.boot_usec, usec),
			login_time);
	if (r == 0)
		r = table_put_row(table, &lease, is_new ? NULL : &old);
	if (r == 0 && (is_new || (has_joined && table->settings.feed_users)))
		r = table_touch(table, key);
	if (r != 0)
		return r;
	ret->is_new = is_new;
	ret->old_deadline_boot_usec = is_new ? 0 : old.deadline_boot_usec;
	ret->lease = lease;
	return 0;
}

/* ---- renewals ---- */

/* Extends the share that the user has in the lease, and what is in force there by the
 * service of the renewal: of his, and so of the lease. */
static int extend_share(struct table *table, struct lease *lease,
	const struct login *login, uint64_t deadline, struct moment renewal_time)
{
	struct table_reader reader = {.table = table, .txn = table->txn};
	const uint64_t hash = user_hash(login->user);
	uint8_t row[USER_KEY_SIZE], record[SHARE_RECORD_MAX];
	struct share share;
	int r = table_read_share(&reader, &lease->address, hash, &share);

	if (r != 0)
		return r;
	if (share.deadline_boot_usec <= renewal_time.boot_usec)
		return TABLE_NOT_FOUND;
	if (services_has(&share.services, login->service, renewal_time)) {
		services_extend(&share.services, login->service, deadline, renewal_time);
		services_extend(&lease->services, login->service, deadline, renewal_time);
	}
	if (share.deadline_boot_usec < deadline)
		share.deadline_boot_usec = deadline;
	table_encode_user(hash, &lease->address, row);
	return table_put(table, table->users, row, sizeof(row), record,
		share_encode(&share, record));
}

int table_renew(struct table *table, const struct address *key, const struct login *login,
	uint64_t usec, struct moment renewal_time, struct table_grant *ret)
{
	struct lease old = {0}, lease;
	int r = table_read_row(table, key, &old);

	if (r == 0 && old.deadline_boot_usec <= renewal_time.boot_usec)
		r = TABLE_NOT_FOUND;
	lease = old;
	if (r == 0)
		r = extend_share(table, &lease, login,
			clock_add(renewal_time.boot_usec, usec), renewal_time);
	if (r != 0)
		return r;
	lease_extend(&lease, usec, renewal_time);
	r = table_put_row(table, &lease, &old);
	if (r != 0)
		return r;
	ret->is_new = false;
	ret->old_deadline_boot_usec = old.deadline_boot_usec;
	ret->lease = lease;
	return 0;
}
