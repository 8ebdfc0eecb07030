/* What the tests of drac.conf have in common: a file in a directory of its own, and what
 * was said of it. */
#ifndef TESTS_UNIT_CONFIG_WORLD_H
#define TESTS_UNIT_CONFIG_WORLD_H

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dracd/config.h"
#include "dracd/option.h"
#include "tests/unit/unit.h"

struct world {
	char directory[32], file[64];
	struct problems problems;
	struct config *config;
};

static inline int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	snprintf(world->directory, sizeof(world->directory), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	snprintf(world->file, sizeof(world->file), "%s/drac.conf", world->directory);
	*state = world;
	return 0;
}

static inline int teardown(void **state)
{
	struct world *world = *state;
	char command[128];

	config_unref(world->config);
	problems_done(&world->problems);
	snprintf(command, sizeof(command), "rm -r %s", world->directory);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline int load(struct world *world, const char *text)
{
	write_file(world->file, text);
	world->config = config_unref(world->config);
	problems_done(&world->problems);
	return config_load(world->file, &world->config, &world->problems);
}

/* True if some problem is exactly "<file>:<line>: <rest>". */
static inline bool has_problem(const struct world *world, unsigned line, const char *rest)
{
	char wanted[512];

	snprintf(wanted, sizeof(wanted), "%s:%u: %s", world->file, line, rest);
	for (size_t i = 0; i < world->problems.count; i++)
		if (strstr(world->problems.items[i].text, wanted))
			return true;
	for (size_t i = 0; i < world->problems.count; i++)
		print_error("had: %s\n", world->problems.items[i].text);
	return false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
