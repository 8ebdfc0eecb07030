/* The types of maps, with Berkeley DB built in and without. */
#include "maps/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those before it */

static void hash_has_a_name_and_a_suffix(void **state)
{
	(void)state;
	assert_string_equal(map_type_name(MAP_HASH), "hash");
	assert_string_equal(map_type_suffix(MAP_HASH), ".db");
}

static void other_types_are_unknown(void **state)
{
	enum map_type type;

	(void)state;
	assert_int_equal(map_type_parse("", &type), -EINVAL);
	assert_int_equal(map_type_parse("HASH", &type), -EINVAL);
	assert_int_equal(map_type_parse("hash:", &type), -EINVAL);
}

static void hash_is_there_if_built_in(void **state)
{
	struct map_settings settings = {.path = "/nonexistent/m", .mode = 0644};
	enum map_type type;
	struct map *map;

	(void)state;
	assert_int_equal(map_type_parse("hash", &type), WITH_BDB ? 0 : -EOPNOTSUPP);
	assert_int_equal(map_open(&settings, &map), WITH_BDB ? -ENOENT : -EOPNOTSUPP);
	assert_null(map_close(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_has_a_name_and_a_suffix),
		cmocka_unit_test(other_types_are_unknown),
		cmocka_unit_test(hash_is_there_if_built_in),
	};

	return cmocka_run_group_tests_name("map_type", tests, NULL, NULL);
}
