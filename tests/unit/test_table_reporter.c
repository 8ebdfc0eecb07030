#include "dracd/table.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/table_world.h"

/* A login by a reporter who may have so many; what comes of it. */
static int report(struct world *world, const char *reporter, const char *address,
	uint64_t second, unsigned max)
{
	struct login login = {.service = "imap"};
	struct address key = address_of(address);
	struct table_grant grant;
	int r;

	snprintf(login.reporter, sizeof(login.reporter), "%s", reporter);
	assert_int_equal(table_begin(world->table, at(second)), 0);
	r = table_check_reporter(world->table, &key, &login, max);
	if (r == 0)
		r = table_login(world->table, &key, &login, 60 * USEC_PER_SEC, at(second),
			PER_USER, &grant);
	assert_int_equal(table_commit(world->table, false), 0);
	return r;
}

static unsigned leases_of(const struct world *world, const char *reporter)
{
	return table_leases_of(table_get_state(world->table), reporter);
}

static void test_reporters(void **state)
{
	struct world *world = *state;
	struct address key = address_of("203.0.113.1");
	struct table_ended ended;
	char name[16], address[32];

	assert_int_equal(report(world, "a", "203.0.113.1", 0, 2), 0);
	assert_int_equal(report(world, "a", "203.0.113.2", 0, 2), 0);
	assert_int_equal(report(world, "a", "203.0.113.3", 0, 2), TABLE_REPORTER_FULL);
	assert_int_equal(report(world, "a", "203.0.113.1", 1, 2), 0);
	assert_int_equal(report(world, "b", "203.0.113.3", 1, 1), 0);
	assert_int_equal(report(world, "a", "203.0.113.3", 1, 2), TABLE_REPORTER_FULL);
	/* the latest login counts */
	assert_int_equal(report(world, "b", "203.0.113.2", 1, 2), 0);
	assert_int_equal(leases_of(world, "a"), 1);
	assert_int_equal(leases_of(world, "b"), 2);
	assert_int_equal(table_begin(world->table, at(2)), 0);
	assert_int_equal(table_end_prefix(world->table, &key, &ended), 0);
	assert_int_equal(leases_of(world, "a"), 1); /* until the commit */
	table_abort(world->table);
	assert_int_equal(report(world, "c", "203.0.113.4", 2, 1), 0);
	assert_int_equal(leases_of(world, "a"), 1);
	/* as the check counts them, and as the start does */
	assert_int_equal(table_close(world->table), 0);
	open_table(world, at(2), 0);
	assert_int_equal(leases_of(world, "a"), 1);
	assert_int_equal(leases_of(world, "b"), 2);
	assert_int_equal(leases_of(world, "c"), 1);
	assert_int_equal(table_close(world->table), 0);
	world->settings.boot_id[0]++;
	open_table(world, at(3), 0);
	assert_int_equal(leases_of(world, "b"), 2);
	/* a row that is over is counted until it is deleted, and never twice */
	assert_int_equal(report(world, "a", "203.0.113.1", 70, 1), 0);
	assert_int_equal(leases_of(world, "a"), 1);
	/* those for whom there is no place take nobody's */
	for (unsigned i = 0; i < REPORTERS_MAX + 3; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		snprintf(address, sizeof(address), "198.51.100.%u", i);
		assert_int_equal(report(world, name, address, 70, 1), 0);
	}
	assert_int_equal(leases_of(world, "a"), 1);
	assert_int_equal(leases_of(world, "r0"), 1);
	assert_int_equal(leases_of(world, "r34"), 0);
	assert_int_equal(table_begin(world->table, at(71)), 0);
	assert_int_equal(table_end_all(world->table, &ended), 0);
	assert_int_equal(table_commit(world->table, false), 0);
	for (size_t i = 0; i < REPORTERS_MAX; i++)
		assert_int_equal(table_get_state(world->table)->reporters[i].leases, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reporters, setup, teardown),
	};

	return cmocka_run_group_tests_name("table_reporter", tests, NULL, NULL);
}
