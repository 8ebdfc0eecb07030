/* A mail session that lasts extends its lease, and grants none. */
#include "tests/unit/table_world.h"

/* A session that lasts, at a second; the result of table_renew(). */
static int renew(struct world *world, const char *address, const char *user,
	uint64_t second, uint64_t seconds, struct table_grant *ret)
{
	struct login login = {.service = "imap", .reporter = "timer", .is_renewal = true};
	struct address key = address_of(address);
	int r;

	snprintf(login.user, sizeof(login.user), "%s", user);
	assert_int_equal(table_begin(world->table, at(second)), 0);
	r = table_renew(
		world->table, &key, &login, seconds * USEC_PER_SEC, at(second), ret);
	assert_int_equal(table_commit(world->table, false), 0);
	return r;
}

static void test_sessions_that_last(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	struct lease lease;

	assert_int_equal(
		renew(world, "203.0.113.9", "bob", 0, 60, &grant), TABLE_NOT_FOUND);
	assert_int_equal(rows_of(world), 0);
	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "eve", 1, 20, &grant), 0);
	assert_int_equal(changes_after(world, 0), 1);
	assert_int_equal(renew(world, "203.0.113.9", "bob", 30, 60, &grant), 0);
	assert_false(grant.is_new);
	assert_int_equal(grant.old_deadline_boot_usec, at(60).boot_usec);
	assert_int_equal(grant.lease.deadline_boot_usec, at(90).boot_usec);
	/* no login, and no work for a map */
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, at(90).boot_usec);
	assert_int_equal(lease.logins, 2);
	assert_int_equal(lease.login_wall_usec, at(1).wall_usec);
	assert_string_equal(lease.service, "imap");
	assert_string_equal(lease.reporter, "unit");
	assert_int_equal(lease.shares[1], user_hash("eve"));
	assert_int_equal(changes_after(world, 0), 1);
	assert_int_equal(rows_of(world), 1);
	/* never shortened, and again is the same */
	assert_int_equal(renew(world, "203.0.113.9", "bob", 31, 10, &grant), 0);
	assert_int_equal(grant.lease.deadline_boot_usec, at(90).boot_usec);
	/* eve's share was over at 21, whoever else has kept the lease; mallory has none
	 */
	assert_int_equal(
		renew(world, "203.0.113.9", "eve", 31, 600, &grant), TABLE_NOT_FOUND);
	assert_int_equal(
		renew(world, "203.0.113.9", "mallory", 31, 600, &grant), TABLE_NOT_FOUND);
	assert_int_equal(
		renew(world, "203.0.113.10", "bob", 31, 600, &grant), TABLE_NOT_FOUND);
	/* bob's share was extended with the lease */
	assert_int_equal(renew(world, "203.0.113.9", "bob", 89, 60, &grant), 0);
	/* over is over, though the row is still there */
	assert_int_equal(
		renew(world, "203.0.113.9", "bob", 149, 60, &grant), TABLE_NOT_FOUND);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, at(149).boot_usec);
}

/* Only what is in force by the service of the session, and of this user. */
static void test_services_that_last(void **state)
{
	struct world *world = *state;
	struct login pop3 = {.user = "eve", .service = "pop3"};
	struct address key = address_of("203.0.113.9");
	struct table_grant grant;
	struct lease lease;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 20, &grant), 0);
	assert_int_equal(table_begin(world->table, at(1)), 0);
	assert_int_equal(table_login(world->table, &key, &pop3, 60 * USEC_PER_SEC, at(1),
				 PER_USER, &grant),
		0);
	assert_int_equal(table_commit(world->table, false), 0);
	/* eve has not logged in by IMAP */
	assert_int_equal(renew(world, "203.0.113.9", "eve", 10, 100, &grant), 0);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, at(110).boot_usec);
	assert_true(services_has(&lease.services, "imap", at(19)));
	assert_false(services_has(&lease.services, "imap", at(20)));
	assert_false(services_has(&lease.services, "pop3", at(61)));
	/* bob has, and it is earlier than the end of the lease */
	assert_int_equal(renew(world, "203.0.113.9", "bob", 15, 60, &grant), 0);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, at(110).boot_usec);
	assert_true(services_has(&lease.services, "imap", at(74)));
	assert_false(services_has(&lease.services, "imap", at(75)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sessions_that_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_services_that_last, setup, teardown),
	};

	return cmocka_run_group_tests_name("table_renew", tests, NULL, NULL);
}
