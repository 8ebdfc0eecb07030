#include "tests/unit/config_world.h"

static void test_limits_of_reporters(void **state)
{
	struct world *world = *state;
	const struct reporter_settings *limits;

	/* the gateway has them without being told */
	assert_int_equal(load(world, ""), 0);
	assert_int_equal(world->config->reporter_count, 1);
	limits = config_reporter_limits(world->config, "drac-rpcd");
	assert_int_equal(limits->max_leases, 20000);
	assert_int_equal(limits->max_rate, 4000);
	assert_int_equal(limits->lease_time_max_usec, 0);
	assert_null(config_reporter_limits(world->config, "drac-login"));
	assert_int_equal(load(world, "reporter drac-rpcd { max_rate = 7 }\n"
				     "reporter drac-login { lease_time_max = 5min }\n"),
		0);
	assert_int_equal(world->config->reporter_count, 2);
	limits = config_reporter_limits(world->config, "drac-rpcd");
	assert_int_equal(limits->max_leases, 20000);
	assert_int_equal(limits->max_rate, 7);
	limits = config_reporter_limits(world->config, "drac-login");
	assert_int_equal(limits->max_leases, 0);
	assert_int_equal(limits->max_rate, 0);
	assert_int_equal(limits->lease_time_max_usec, 300 * USEC_PER_SEC);
}

static void test_so_many_limits(void **state)
{
	struct world *world = *state;
	char text[4096], section[64];
	size_t used = 0;

	used += (size_t)snprintf(text, sizeof(text), "reporters = {");
	for (unsigned i = 0; i <= REPORTERS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\"%u\"",
			i > 0 ? ", " : "", 60000 + i);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "}\n");
	for (unsigned i = 0; i < REPORTERS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"reporter %u { max_rate = 1 }\n", 60000 + i);
	snprintf(section, sizeof(section), "reporter %u { max_rate = 1 }\n",
		60000U + REPORTERS_MAX);
	/* with that of the gateway, which is there without being written, one more */
	assert_int_equal(load(world, text), -EINVAL);
	assert_int_equal(world->problems.count, 1);
	assert_non_null(strstr(world->problems.items[0].text, "at most 32"));
	assert_true(used + strlen(section) < sizeof(text));
	memcpy(text + used, section, strlen(section) + 1);
	assert_int_equal(load(world, text), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_limits_of_reporters),
		TEST(test_so_many_limits),
	};

	return cmocka_run_group_tests_name("config_reporter", tests, NULL, NULL);
}
