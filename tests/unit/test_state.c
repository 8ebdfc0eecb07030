/* What becomes of a table that cannot be trusted. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dracd/log.h"
#include "dracd/state.h"
#include "tests/unit/unit.h"

struct world {
	char path[32];
	int directory, lock;
	struct config config;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	log_set_level(-1);
	snprintf(world->path, sizeof(world->path), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->path));
	world->config = (struct config){
		.durability = DURABILITY_PROCESS,
		.max_leases = 100,
		.state_directory = world->path,
	};
	assert_int_equal(state_open(world->path, &world->directory, &world->lock), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	char command[64];

	close(world->directory);
	close(world->lock);
	snprintf(command, sizeof(command), "rm -rf %s", world->path);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static unsigned count_aside(const struct world *world)
{
	DIR *stream = opendir(world->path);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(stream);
	while ((entry = readdir(stream)))
		count += strncmp(entry->d_name, "table.aside-", 12) == 0;
	closedir(stream);
	return count;
}

/* A table with one lease, on the boot of that number; dracd is then killed. */
static void run_until_killed(const struct world *world, uint8_t boot)
{
	const uint8_t boot_id[16] = {boot};
	struct address key = address_of("203.0.113.9");
	struct login login = {.user = "bob"};
	struct table_grant grant;
	struct table *table;

	assert_int_equal(state_open_table(world->directory, &world->config, boot_id,
				 at(boot), &table),
		0);
	assert_int_equal(table_get_state(table)->ipv4, 0);
	assert_int_equal(table_begin(table, at(boot)), 0);
	assert_int_equal(table_login(table, &key, &login, 3600 * USEC_PER_SEC, at(boot),
				 9, &grant),
		0);
	assert_int_equal(table_commit(table, false), 0);
	assert_int_equal(table_close(table), 0); /* but no state_mark_clean() */
}

/* The wall clock of a machine may show the same second each time that it starts. */
static void test_moved_aside_at_the_same_second(void **state)
{
	struct world *world = *state;
	struct moment now = at(0);

	for (uint8_t boot = 1; boot < 5; boot++) {
		const uint8_t boot_id[16] = {boot};
		struct table *table;

		assert_int_equal(state_open_table(world->directory, &world->config,
					 boot_id, now, &table),
			0);
		assert_int_equal(table_close(table), 0);
		assert_int_equal(count_aside(world), boot - 1);
	}
}

static void test_unclean_stop_of_the_machine(void **state)
{
	struct world *world = *state;

	run_until_killed(world, 1);
	run_until_killed(world, 2); /* finds no lease */
	assert_int_equal(count_aside(world), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_moved_aside_at_the_same_second),
		TEST(test_unclean_stop_of_the_machine),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
