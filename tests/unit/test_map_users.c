/* Who has logged in from an address: when the feed tells of it, and how a map shows it.
 */
#include "dracd/map_users.h"

#include "tests/unit/table_world.h"

/* What a map shows of the address at a second. */
static char *users_of(struct world *world, const char *address, uint64_t second)
{
	struct table_reader *reader = reader_of(world);
	struct address key = address_of(address);
	struct text text = {0};
	struct lease lease;

	assert_int_equal(table_read_lease(reader, &key, &lease), 0);
	assert_int_equal(map_users_add(reader, &lease, at(second).boot_usec, &text), 0);
	assert_int_equal(strlen(text.data) + 1, text.length);
	table_reader_close(reader);
	return text.data;
}

static void assert_users(
	struct world *world, const char *address, uint64_t second, const char *expected)
{
	char *users = users_of(world, address, second);

	assert_string_equal(users, expected);
	free(users);
}

static void test_the_latest_first(void **state)
{
	struct world *world = *state;
	struct table_grant grant;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "eve@x.net", 1, 10, &grant), 0);
	assert_int_equal(login(world, "203.0.113.9", "j\xc3\xb6rg", 2, 60, &grant), 0);
	assert_users(world, "203.0.113.9", 2, "j\xc3\xb6rg, eve@x.net, bob");
	assert_int_equal(login(world, "203.0.113.9", "bob", 3, 60, &grant), 0);
	assert_users(world, "203.0.113.9", 3, "bob, j\xc3\xb6rg, eve@x.net");
	/* eve's part is over */
	assert_users(world, "203.0.113.9", 11, "bob, j\xc3\xb6rg");
	/* nobody known by name */
	assert_int_equal(login(world, "203.0.113.10", "", 0, 60, &grant), 0);
	assert_users(world, "203.0.113.10", 1, "");
}

static void test_names_that_break_a_line(void **state)
{
	static const char *const names[] = {
		"a\nb", "a,b", "a:b", "a b", "a\tb", "\"a\"", "#a", "a\x7f", " "};
	struct world *world = *state;
	struct table_grant grant;

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_int_equal(
			login(world, "203.0.113.9", names[i], 2 * i, 60, &grant), 0);
		assert_users(world, "203.0.113.9", 2 * i, i == 0 ? "" : "bob");
		assert_int_equal(
			login(world, "203.0.113.9", "bob", 2 * i + 1, 60, &grant), 0);
	}
}

static void end_user(struct world *world, const char *user, uint64_t second)
{
	struct table_ended ended;

	assert_int_equal(table_begin(world->table, at(second)), 0);
	assert_int_equal(table_end_user(world->table, user, &ended), 0);
	assert_int_equal(table_commit(world->table, false), 0);
}

/* Without such a map the feed tells of new leases and of ends alone. */
static void test_the_feed_tells_if_it_shall(void **state)
{
	struct world *world = *state;
	struct table_grant grant;

	for (unsigned feed = 0; feed < 2; feed++) {
		const char *address = feed ? "203.0.113.10" : "203.0.113.9";
		uint64_t start = 100 * feed;
		uint64_t before = table_get_state(world->table)->sequence;

		table_feed_users(world->table, feed);
		assert_int_equal(login(world, address, "bob", start, 60, &grant), 0);
		assert_int_equal(changes_after(world, before), 1);
		assert_int_equal(login(world, address, "eve", start + 1, 10, &grant), 0);
		assert_false(grant.is_new);
		assert_int_equal(changes_after(world, before), 1 + feed);
		/* a renewal is no news */
		assert_int_equal(login(world, address, "eve", start + 2, 5, &grant), 0);
		assert_int_equal(login(world, address, "bob", start + 3, 60, &grant), 0);
		assert_int_equal(login(world, address, "", start + 3, 60, &grant), 0);
		assert_int_equal(changes_after(world, before), 1 + feed);
		/* whose part was over, and is back */
		assert_int_equal(login(world, address, "eve", start + 30, 20, &grant), 0);
		assert_int_equal(changes_after(world, before), 1 + 2 * feed);
		end_user(world, "eve", start + 31);
		assert_int_equal(changes_after(world, before), 1 + 3 * feed);
		end_user(world, "bob", start + 32); /* and with him the lease */
		assert_int_equal(changes_after(world, before), 2 + 3 * feed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_latest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_names_that_break_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_feed_tells_if_it_shall, setup, teardown),
	};

	return cmocka_run_group_tests_name("map_users", tests, NULL, NULL);
}
