/* Counting live leases, in steps that are bounded however many are over. */
#include "dracd/core.h"
#include "tests/unit/table_world.h"

enum {
	OVER = 20000,
	STEP = 4096,
};

static void log_in_many(
	struct world *world, unsigned first, unsigned count, uint64_t seconds)
{
	struct login one = {.service = "imap"};
	struct table_grant grant;

	assert_int_equal(table_begin(world->table, at(0)), 0);
	for (unsigned i = first; i < first + count; i++) {
		char text[32];
		struct address key;

		snprintf(text, sizeof(text), i % 4 ? "8.1.%u.%u" : "2001:db8:%u:%u::/64",
			i / 256, i % 256);
		key = address_of(text);
		assert_int_equal(table_login(world->table, &key, &one,
					 seconds * USEC_PER_SEC, at(0), 1, &grant),
			0);
	}
	assert_int_equal(table_commit(world->table, false), 0);
}

static struct core core_of(struct world *world)
{
	struct core core = {
		.table = world->table, .state = *table_get_state(world->table)};

	assert_int_equal(table_reader_open(world->table, &core.reader), 0);
	return core;
}

static void test_few(void **state)
{
	struct world *world = *state;
	struct lease_count count;
	struct core core;

	log_in_many(world, 0, 8, 10);
	log_in_many(world, 8, 16, 20);
	core = core_of(world);
	core_count_begin(&core, at(9), &count);
	assert_true(core_count_step(&core, &count));
	assert_int_equal(count.ipv4, 18);
	assert_int_equal(count.ipv6, 6);
	core_count_begin(&core, at(10), &count);
	assert_true(core_count_step(&core, &count));
	assert_int_equal(count.ipv4, 12);
	assert_int_equal(count.ipv6, 4);
	core_count_begin(&core, at(20), &count);
	assert_true(core_count_step(&core, &count));
	assert_int_equal(count.ipv4 + count.ipv6, 0);
	table_reader_close(core.reader);
}

/* Rows that are deleted meanwhile change nothing, nor do leases that end meanwhile. */
static void test_many_in_steps(void **state)
{
	struct world *world = *state;
	struct lease_count count;
	unsigned steps = 1, deleted;
	struct core core;

	(void)table_close(world->table);
	world->settings.max_leases = 2 * OVER;
	open_table(world, at(0), 0);
	log_in_many(world, 0, OVER, 10);
	log_in_many(world, OVER, 100, 20);
	core = core_of(world);
	core_count_begin(&core, at(10), &count);
	while (!core_count_step(&core, &count)) {
		uint64_t left = count.ipv4 + count.ipv6;

		assert_int_equal(left, OVER + 100 - steps * STEP);
		steps++;
		assert_int_equal(table_begin(world->table, at(30)), 0);
		assert_int_equal(
			table_delete_over(world->table, at(10).boot_usec, 1000, &deleted),
			0);
		assert_int_equal(table_commit(world->table, false), 0);
		assert_int_equal(deleted, 1000);
	}
	assert_int_equal(steps, OVER / STEP + 1);
	assert_int_equal(count.ipv4, 75);
	assert_int_equal(count.ipv6, 25);
	table_reader_close(core.reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_few),
		TEST(test_many_in_steps),
	};

	return cmocka_run_group_tests_name("core_count", tests, NULL, NULL);
}
