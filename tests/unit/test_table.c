#include "dracd/table.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/table_world.h"

static void test_grant_renew_find(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	struct lease lease;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	assert_true(grant.is_new);
	assert_int_equal(changes_after(world, 0), 1);
	assert_int_equal(login(world, "203.0.113.9", "bob", 10, 60, &grant), 0);
	assert_false(grant.is_new);
	/* a renewal changes no set: no map has to do anything */
	assert_int_equal(changes_after(world, 0), 1);
	assert_int_equal(grant.lease.deadline_boot_usec, at(70).boot_usec);
	assert_int_equal(login(world, "2001:db8:1:2::/64", "bob", 10, 60, &grant), 0);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.logins, 2);
	assert_int_equal(find(world, "2001:db8:1:2:3:4:5:6", &lease), 0);
	assert_int_equal(lease.address.length, 64);
	assert_int_equal(find(world, "2001:db8:1:3::1", &lease), TABLE_NOT_FOUND);
	assert_int_equal(find(world, "203.0.113.10", &lease), TABLE_NOT_FOUND);
	assert_int_equal(rows_of(world), 2);
	assert_int_equal(table_get_state(world->table)->ipv4, 1);
	assert_int_equal(table_get_state(world->table)->ipv6, 1);
	/* over, though the row is still there: the next login is a new lease */
	assert_int_equal(login(world, "203.0.113.9", "eve", 70, 60, &grant), 0);
	assert_true(grant.is_new);
	assert_int_equal(grant.lease.logins, 1);
	assert_int_equal(grant.lease.share_count, 1);
	assert_int_equal(rows_of(world), 2);
	assert_int_equal(table_get_state(world->table)->ipv4, 1);
}

static void test_limits(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	char address[32], user[32];

	for (unsigned i = 0; i < PER_USER; i++) {
		snprintf(address, sizeof(address), "203.0.113.%u", i);
		assert_int_equal(login(world, address, "bob", 0, 60, &grant), 0);
	}
	assert_int_equal(
		login(world, "203.0.113.99", "bob", 1, 60, &grant), TABLE_USER_FULL);
	assert_int_equal(login(world, "203.0.113.0", "bob", 1, 60, &grant), 0);
	assert_int_equal(login(world, "203.0.113.99", "", 1, 60, &grant), 0);
	for (unsigned i = PER_USER + 1; i < LEASES_MAX; i++) {
		snprintf(address, sizeof(address), "198.51.100.%u", i);
		snprintf(user, sizeof(user), "user%u", i);
		assert_int_equal(login(world, address, user, 1, 60, &grant), 0);
	}
	assert_int_equal(login(world, "192.0.2.1", "new", 2, 60, &grant), TABLE_FULL);
	assert_int_equal(rows_of(world), LEASES_MAX);
	/* when others are over there is room, without any housekeeping before */
	assert_int_equal(login(world, "192.0.2.1", "new", 62, 60, &grant), 0);
	assert_int_equal(login(world, "203.0.113.99", "bob", 62, 60, &grant), 0);
	assert_int_equal(rows_of(world), 2);
}

static void test_users_of_a_lease(void **state)
{
	struct world *world = *state;
	struct table_ended ended;
	struct table_grant grant;
	struct lease lease;
	uint64_t sequence;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 100, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "eve", 5, 30, &grant), 0);
	assert_int_equal(login(world, "203.0.113.8", "bob", 5, 30, &grant), 0);
	sequence = table_get_state(world->table)->sequence;
	assert_int_equal(table_begin(world->table, at(6)), 0);
	assert_int_equal(table_end_user(world->table, "bob", &ended), 0);
	assert_int_equal(table_commit(world->table, true), 0);
	/* of both the maps are told: they may be past the second's new deadline, too */
	assert_int_equal(changes_after(world, sequence), 2);
	/* what bob held alone has ended; what he shared lasts as long as eve's part */
	assert_int_equal(ended.leases, 1);
	assert_int_equal(find(world, "203.0.113.8", &lease), TABLE_NOT_FOUND);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.share_count, 1);
	assert_int_equal(lease.deadline_boot_usec, at(35).boot_usec);
	assert_int_equal(rows_of(world), 1);
}

/* The deadline that the other shares leave can lie in the past: then the lease ends here,
 * and the maps, which have passed that moment, are told. */
static void test_last_share_that_lives(void **state)
{
	struct world *world = *state;
	struct table_ended ended;
	struct table_grant grant;
	struct lease lease;
	uint64_t sequence;

	assert_int_equal(login(world, "203.0.113.9", "alice", 0, 10, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "bob", 5, 100, &grant), 0);
	sequence = table_get_state(world->table)->sequence;
	assert_int_equal(table_begin(world->table, at(50)), 0);
	assert_int_equal(table_end_user(world->table, "bob", &ended), 0);
	assert_int_equal(table_commit(world->table, true), 0);
	assert_int_equal(ended.leases, 1);
	assert_int_equal(find(world, "203.0.113.9", &lease), TABLE_NOT_FOUND);
	assert_int_equal(changes_after(world, sequence), 1);
	assert_int_equal(rows_of(world), 0);
}

/* After a reboot a share that had ended long before is over, not far in the future. */
static void test_shares_after_a_reboot(void **state)
{
	struct world *world = *state;
	struct moment booted = {
		.boot_usec = 3 * USEC_PER_SEC, .wall_usec = at(600).wall_usec};
	struct table_ended ended;
	struct table_grant grant;
	struct lease lease;

	assert_int_equal(login(world, "203.0.113.9", "alice", 0, 10, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "bob", 5, 1000, &grant), 0);
	(void)table_close(world->table);
	world->settings.boot_id[0] = 2;
	open_table(world, booted, 0);
	assert_int_equal(table_begin(world->table, booted), 0);
	assert_int_equal(table_end_user(world->table, "bob", &ended), 0);
	assert_int_equal(table_commit(world->table, true), 0);
	assert_int_equal(find(world, "203.0.113.9", &lease), TABLE_NOT_FOUND);
}

/* A lease that is over hides none around it. */
static void test_find_passes_what_is_over(void **state)
{
	struct world *world = *state;
	struct address asked = address_of("203.0.113.9");
	struct table_reader *reader;
	struct table_grant grant;
	struct lease lease;

	assert_int_equal(login(world, "203.0.113.0/24", "net", 0, 100, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "host", 0, 10, &grant), 0);
	reader = reader_of(world);
	assert_int_equal(
		table_find(reader, &asked, table_get_state(world->table)->lengths,
			at(5).boot_usec, &lease),
		0);
	assert_int_equal(lease.address.length, 128);
	assert_int_equal(
		table_find(reader, &asked, table_get_state(world->table)->lengths,
			at(10).boot_usec, &lease),
		0);
	assert_int_equal(lease.address.length, 120);
	table_reader_close(reader);
}

static int login_by(struct world *world, const char *user, const char *service,
	uint64_t second, uint64_t seconds)
{
	struct address key = address_of("203.0.113.9");
	struct login one = {.reporter = "unit"};
	struct table_grant grant;
	int r;

	snprintf(one.user, sizeof(one.user), "%s", user);
	snprintf(one.service, sizeof(one.service), "%s", service);
	assert_int_equal(table_begin(world->table, at(second)), 0);
	r = table_login(world->table, &key, &one, seconds * USEC_PER_SEC, at(second),
		PER_USER, &grant);
	assert_int_equal(table_commit(world->table, false), 0);
	return r;
}

/* The second at which the last login by service is over; 0: there is none. */
static uint64_t service_end(struct world *world, const char *service)
{
	struct lease lease;

	if (find(world, "203.0.113.9", &lease) != 0)
		return 0;
	for (unsigned i = 0; i < lease.services.count; i++)
		if (strcmp(lease.services.items[i].name, service) == 0)
			return (lease.services.items[i].deadline_boot_usec -
				       at(0).boot_usec) /
			       USEC_PER_SEC;
	return 0;
}

/* Each service is in force as long as somebody's login by it; when a user is revoked, as
 * long as the others'. */
static void test_services_of_a_lease(void **state)
{
	struct world *world = *state;
	struct table_ended ended;
	struct lease lease;

	assert_int_equal(login_by(world, "", "smtp", 0, 70), 0);
	assert_int_equal(login_by(world, "bob", "pop3", 0, 60), 0);
	assert_int_equal(login_by(world, "bob", "imap", 1, 9), 0);
	assert_int_equal(login_by(world, "eve", "imap", 2, 40), 0);
	assert_int_equal(login_by(world, "eve", "", 3, 80), 0);
	assert_int_equal(login_by(world, "eve", "imap", 4, 1), 0);
	assert_int_equal(service_end(world, "smtp"), 70);
	assert_int_equal(service_end(world, "pop3"), 60);
	assert_int_equal(service_end(world, "imap"), 42);
	assert_int_equal(table_begin(world->table, at(5)), 0);
	assert_int_equal(table_end_user(world->table, "eve", &ended), 0);
	assert_int_equal(table_commit(world->table, true), 0);
	/* bob's first login lasts longer than his latest */
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, at(60).boot_usec);
	assert_int_equal(service_end(world, "pop3"), 60);
	assert_int_equal(service_end(world, "imap"), 10);
	assert_int_equal(service_end(world, "smtp"), 0);
	assert_int_equal(login_by(world, "eve", "imap", 6, 100), 0);
	assert_int_equal(table_begin(world->table, at(7)), 0);
	assert_int_equal(table_end_user(world->table, "bob", &ended), 0);
	assert_int_equal(table_commit(world->table, true), 0);
	assert_int_equal(service_end(world, "pop3"), 0);
	assert_int_equal(service_end(world, "imap"), 106);
	/* a new lease knows nothing of the one before */
	assert_int_equal(login_by(world, "eve", "pop3", 110, 10), 0);
	assert_int_equal(service_end(world, "imap"), 0);
	assert_int_equal(service_end(world, "pop3"), 120);
}

static void test_services_after_a_reboot(void **state)
{
	struct world *world = *state;
	struct moment booted = {
		.boot_usec = 3 * USEC_PER_SEC, .wall_usec = at(10).wall_usec};
	struct table_ended ended;

	assert_int_equal(login_by(world, "bob", "pop3", 0, 60), 0);
	assert_int_equal(login_by(world, "bob", "imap", 1, 29), 0);
	assert_int_equal(login_by(world, "eve", "pop3", 1, 39), 0);
	(void)table_close(world->table);
	world->settings.boot_id[0] = 2;
	open_table(world, booted, 0);
	/* of the lease, and of the shares */
	for (unsigned i = 0; i < 2; i++) {
		struct lease lease;
		struct moment imap = {.boot_usec = 23 * USEC_PER_SEC}, before = imap;

		before.boot_usec--;
		assert_int_equal(find(world, "203.0.113.9", &lease), 0);
		assert_true(services_has(&lease.services, "imap", before));
		assert_false(services_has(&lease.services, "imap", imap));
		assert_int_equal(table_begin(world->table, booted), 0);
		assert_int_equal(table_end_user(world->table, "eve", &ended), 0);
		assert_int_equal(table_commit(world->table, true), 0);
	}
}

static void test_many_users(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	char user[32];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		assert_int_equal(login(world, "203.0.113.9", user, i, 600, &grant), 0);
	}
	assert_int_equal(grant.lease.share_count, LEASE_SHARES_MAX);
	(void)table_close(world->table);
	open_table(world, at(50), 0); /* the check in it counts the shares */
}

static void test_ends(void **state)
{
	struct world *world = *state;
	struct table_ended ended;
	unsigned deleted;
	struct table_grant grant;
	struct address prefix = address_of("203.0.113.0/24");
	uint64_t sequence;

	assert_int_equal(login(world, "203.0.113.9", "a", 0, 60, &grant), 0);
	assert_int_equal(login(world, "203.0.113.10", "b", 0, 60, &grant), 0);
	assert_int_equal(login(world, "2001:db8::1", "c", 0, 60, &grant), 0);
	assert_int_equal(login(world, "198.51.100.1", "d", 0, 10, &grant), 0);
	sequence = table_get_state(world->table)->sequence;
	assert_int_equal(table_begin(world->table, at(1)), 0);
	assert_int_equal(table_end_prefix(world->table, &prefix, &ended), 0);
	assert_int_equal(table_commit(world->table, true), 0);
	assert_int_equal(ended.leases, 2);
	assert_int_equal(changes_after(world, sequence), 2);
	assert_int_equal(rows_of(world), 2);
	/* deleting what is over is no change: the maps know already */
	assert_int_equal(table_begin(world->table, at(20)), 0);
	assert_int_equal(
		table_delete_over(world->table, at(10).boot_usec, 100, &deleted), 0);
	assert_int_equal(deleted, 1);
	assert_int_equal(table_commit(world->table, false), 0);
	assert_int_equal(rows_of(world), 1);
	assert_int_equal(changes_after(world, sequence), 2);
	assert_int_equal(table_begin(world->table, at(20)), 0);
	assert_int_equal(table_end_all(world->table, &ended), 0);
	assert_int_equal(table_commit(world->table, true), 0);
	assert_int_equal(ended.leases, 1);
	assert_int_equal(rows_of(world), 0);
}

static void test_abort_changes_nothing(void **state)
{
	struct world *world = *state;
	struct login one = {.user = "bob"};
	struct address key = address_of("203.0.113.9");
	struct table_grant grant;

	assert_int_equal(table_begin(world->table, at(0)), 0);
	assert_int_equal(
		table_login(world->table, &key, &one, USEC_PER_SEC, at(0), 1, &grant), 0);
	table_abort(world->table);
	assert_int_equal(rows_of(world), 0);
	assert_int_equal(table_get_state(world->table)->ipv4, 0);
	assert_int_equal(table_get_state(world->table)->sequence, 0);
	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	assert_int_equal(table_get_state(world->table)->sequence, 1);
}

static void test_restart_and_reboot(void **state)
{
	struct world *world = *state;
	struct moment booted = {
		.boot_usec = 3 * USEC_PER_SEC, .wall_usec = at(30).wall_usec};
	struct table_grant grant;
	struct lease lease;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "eve", 0, 40, &grant), 0);
	assert_int_equal(login(world, "203.0.113.10", "bob", 0, 20, &grant), 0);
	(void)table_close(world->table);
	open_table(world, at(10), 0);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, at(60).boot_usec);
	(void)table_close(world->table);
	/* another boot, 30 s after the logins by the wall clock */
	world->settings.boot_id[0] = 2;
	open_table(world, booted, 1);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, 33 * USEC_PER_SEC);
	assert_int_equal(find(world, "203.0.113.10", &lease), TABLE_NOT_FOUND);
	(void)table_close(world->table);
	/* another boot, with a clock that stands before the last commit: nothing is kept
	 */
	world->settings.boot_id[0] = 3;
	booted.wall_usec = at(5).wall_usec;
	open_table(world, booted, 1);
	assert_int_equal(rows_of(world), 0);
	(void)table_close(world->table);
	open_table(world, booted, 0);
}

static void test_feed(void **state)
{
	struct world *world = *state;
	struct table_reader *reader;
	struct table_grant grant;
	uint64_t sequence, tail;
	char address[32];

	for (unsigned i = 0; i < 5; i++) {
		snprintf(address, sizeof(address), "203.0.113.%u", i);
		assert_int_equal(login(world, address, "", 0, 60, &grant), 0);
	}
	assert_int_equal(changes_after(world, 2), 3);
	assert_int_equal(table_begin(world->table, at(1)), 0);
	assert_int_equal(table_trim(world->table, 2), 0);
	assert_int_equal(table_commit(world->table, false), 0);
	assert_int_equal(changes_after(world, 0), 3);
	reader = reader_of(world);
	assert_int_equal(table_read_position(reader, &sequence, &tail), 0);
	assert_int_equal(tail, 2);
	assert_int_equal(sequence, 5);
	table_reader_close(reader);
}

static void test_no_feed(void **state)
{
	struct world *world = *state;
	struct table_reader *reader;
	struct table_grant grant;
	uint64_t sequence, tail;

	(void)table_close(world->table);
	world->settings.feed_changes = false;
	open_table(world, at(0), 0);
	assert_int_equal(login(world, "203.0.113.9", "", 0, 60, &grant), 0);
	assert_int_equal(changes_after(world, 0), 0);
	/* a map that comes later must see that it cannot follow */
	reader = reader_of(world);
	assert_int_equal(table_read_position(reader, &sequence, &tail), 0);
	assert_int_equal(tail, 1);
	table_reader_close(reader);
}

/* Changes the row "state" of a closed table: deletes it, or writes its first octet. */
static void change_state(const struct world *world, bool delete, uint8_t version)
{
	MDB_val key = {.mv_size = 5, .mv_data = (char[]){"state"}}, value;
	uint8_t record[256];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi main;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, world->path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &main), 0);
	assert_int_equal(mdb_get(txn, main, &key, &value), 0);
	assert_in_range(value.mv_size, 1, sizeof(record));
	memcpy(record, value.mv_data, value.mv_size);
	record[0] = version;
	value.mv_data = record;
	assert_int_equal(delete ? mdb_del(txn, main, &key, NULL)
				: mdb_put(txn, main, &key, &value, 0),
		0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* Neither is taken for a new table, nor for one of ours. */
static void test_other_formats(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	struct table_state counted;
	uint64_t dropped;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	(void)table_close(world->table);
	world->table = NULL;
	change_state(world, false, 2); /* the one before this */
	assert_int_equal(table_check(&world->settings, 30, &counted), -EUCLEAN);
	assert_int_equal(
		table_open(&world->settings, NULL, at(1), &world->table, &dropped),
		-EUCLEAN);
	change_state(world, true, 0);
	assert_int_equal(table_check(&world->settings, 30, &counted), -EUCLEAN);
	assert_int_equal(
		table_open(&world->settings, NULL, at(1), &world->table, &dropped),
		-EUCLEAN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_grant_renew_find),
		TEST(test_limits),
		TEST(test_users_of_a_lease),
		TEST(test_last_share_that_lives),
		TEST(test_shares_after_a_reboot),
		TEST(test_find_passes_what_is_over),
		TEST(test_services_of_a_lease),
		TEST(test_services_after_a_reboot),
		TEST(test_many_users),
		TEST(test_ends),
		TEST(test_abort_changes_nothing),
		TEST(test_restart_and_reboot),
		TEST(test_feed),
		TEST(test_no_feed),
		TEST(test_other_formats),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
