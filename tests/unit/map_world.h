/* What the tests of maps have in common: a map "m" in a directory of its own, with rows
 * that have numbers. */
#ifndef TESTS_UNIT_MAP_WORLD_H
#define TESTS_UNIT_MAP_WORLD_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* needs those before it */

#include "maps/map.h"
#include "tests/unit/map_scan.h"

struct world {
	char directory[32];
	char path[64], file[64];
	unsigned descriptors;
	struct map_settings settings;
	struct map *map;
	struct map_counts counts; /* of the last commit */
};

static inline unsigned count_entries(const char *directory)
{
	DIR *stream = opendir(directory);
	unsigned count = 0;

	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static inline int setup_type(void **state, enum map_type type)
{
	struct world *world = calloc(1, sizeof(*world));

	world->descriptors = count_entries("/proc/self/fd");
	snprintf(world->directory, sizeof(world->directory), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	assert_int_equal(chmod(world->directory, 0755), 0);
	snprintf(world->path, sizeof(world->path), "%s/m", world->directory);
	snprintf(world->file, sizeof(world->file), "%s/m%s", world->directory,
		map_type_suffix(type));
	world->settings = (struct map_settings){
		.type = type,
		.path = world->path,
		.mode = 0644,
		.group = (gid_t)-1,
	};
	assert_int_equal(map_open(&world->settings, &world->map), 0);
	*state = world;
	return 0;
}

static inline int setup(void **state)
{
	return setup_type(state, MAP_HASH);
}

static inline void remove_directory(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;

	while ((entry = readdir(stream)))
		(void)unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
	assert_int_equal(rmdir(directory), 0);
}

static inline int teardown(void **state)
{
	struct world *world = *state;

	world->map = map_close(world->map);
	remove_directory(world->directory);
	assert_int_equal(count_entries("/proc/self/fd"), world->descriptors);
	free(world);
	return 0;
}

static inline void reopen(struct world *world)
{
	map_close(world->map);
	assert_int_equal(map_open(&world->settings, &world->map), 0);
}

static inline void key_of(unsigned number, char key[32])
{
	snprintf(key, 32, "connect:10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255,
		number & 255);
}

static inline int commit(struct world *world, struct map_identity *ret)
{
	return map_commit(world->map, ret, &world->counts);
}

/* Publishes the rows first to last - 1 and no others. */
static inline struct map_identity rebuild(
	struct world *world, unsigned first, unsigned last)
{
	struct map_identity identity;

	assert_int_equal(map_begin_rebuild(world->map), 0);
	for (unsigned i = first; i < last; i++) {
		char key[32];

		key_of(i, key);
		assert_int_equal(map_put(world->map, key, "RELAY"), 0);
	}
	assert_int_equal(commit(world, &identity), 0);
	return identity;
}

/* Publishes nothing for anybody. */
static inline void withdraw(struct world *world)
{
	struct map_identity identity;

	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(commit(world, &identity), 0);
}

struct seen {
	const char *value;
	unsigned rows;
	bool number[200000];
};

static inline int see_row(const char *key, const char *value, void *context)
{
	struct seen *seen = context;
	unsigned a, b, c, number;

	assert_int_equal(sscanf(key, "connect:10.%u.%u.%u", &a, &b, &c), 3);
	assert_string_equal(value, seen->value);
	number = a << 16 | b << 8 | c;
	assert_false(seen->number[number]);
	seen->number[number] = true;
	seen->rows++;
	return 0;
}

/* The published file has the rows first to last - 1 and no others. */
static inline void assert_rows(const struct world *world, unsigned first, unsigned last)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	seen->value = map_type_has_no_values(world->settings.type) ? "" : "RELAY";
	assert_int_equal(map_scan(&world->settings, see_row, seen), 0);
	assert_int_equal(seen->rows, last - first);
	for (unsigned i = first; i < last; i++)
		assert_true(seen->number[i]);
	free(seen);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
