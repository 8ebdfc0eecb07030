/* The order in which a rebuild writes rows: each once, by rising map_order(). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dracd/map_rows.h"
#include "tests/unit/unit.h"

enum {
	ROWS = 5000
};

static struct address address_number(unsigned number)
{
	char text[32];

	snprintf(text, sizeof(text), "203.0.%u.%u", number >> 8, number & 255);
	return address_of(text);
}

static void test_each_once(void **state)
{
	const struct map_config config = {.type = MAP_HASH, .keys = KEY_POSTFIX};
	char directory[] = "/tmp/dracd-test-XXXXXX", path[64];
	struct map_settings settings = {.type = MAP_HASH, .mode = 0644};
	struct rows rows = {0};
	struct map *map;
	unsigned used = 0;
	bool seen[ROWS] = {0};
	char key[ADDRESS_TEXT_SIZE];
	unsigned found = 0;
	uint32_t *heads;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/map", directory);
	settings.path = path;
	assert_int_equal(map_open(&settings, &map), 0);
	assert_true(map_has_order(map));
	for (unsigned i = 0; i < ROWS; i++) {
		struct address address = address_number(i);

		assert_int_equal(rows_add(&rows, &address, true), 0);
	}
	heads = rows_sort(&rows, map, &config);
	assert_non_null(heads);
	for (unsigned order = 0; order < MAP_ORDERS; order++) {
		used += heads[order] != ROWS_END;
		for (uint32_t i = heads[order]; i != ROWS_END; i = rows.items[i].next) {
			assert_in_range(i, 0, ROWS - 1);
			assert_false(seen[i]);
			seen[i] = true;
			address_format(&rows.items[i].address, key);
			assert_int_equal(map_order(map, key), order);
			found++;
		}
	}
	assert_int_equal(found, ROWS);
	assert_in_range(used, MAP_ORDERS / 4, MAP_ORDERS); /* they spread */
	free(heads);
	rows_clear(&rows);
	heads = rows_sort(&rows, map, &config);
	assert_int_equal(heads[0], ROWS_END);
	free(heads);
	rows_done(&rows);
	map_close(map);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
	};

	return cmocka_run_group_tests_name("map_rows", tests, NULL, NULL);
}
