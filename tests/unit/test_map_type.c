/* The types of maps, with Berkeley DB and cdb built in and without. */
#include "maps/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h> /* needs those before it */

static const struct {
	enum map_type type;
	const char *name, *suffix;
	bool is_built_in, is_text, has_no_values, is_in_place, wears_out;
} expected[] = {
	{MAP_HASH, "hash", ".db", WITH_BDB, .wears_out = WITH_BDB},
	{MAP_BTREE, "btree", ".db", WITH_BDB, .wears_out = WITH_BDB},
	{MAP_LMDB, "lmdb", ".lmdb", true, .is_in_place = true},
	{MAP_CDB, "cdb", ".cdb", WITH_CDB, .is_text = false},
	{MAP_IPLSEARCH, "iplsearch", "", true, .is_text = true, .has_no_values = true},
	{MAP_LSEARCH, "lsearch", "", true, .is_text = true},
	{MAP_CIDR, "cidr", "", true, .is_text = true},
	{MAP_TEXTHASH, "texthash", "", true, .is_text = true},
	{MAP_RELAYHOSTS, "relayhosts", "", true, .is_text = true, .has_no_values = true},
	{MAP_RELAYHOSTSUSERS, "relayhostsusers", "", true, .is_text = true},
};

static void every_type_has_its_name_and_traits(void **state)
{
	(void)state;
	assert_int_equal(sizeof(expected) / sizeof(*expected), MAP_TYPE_COUNT);
	for (unsigned i = 0; i < MAP_TYPE_COUNT; i++) {
		struct map_settings settings = {
			.type = i, .path = "/nonexistent/m", .mode = 0644};
		enum map_type type = MAP_TYPE_COUNT;
		struct map *map;

		assert_int_equal(expected[i].type, i);
		assert_string_equal(map_type_name(i), expected[i].name);
		assert_string_equal(map_type_suffix(i), expected[i].suffix);
		assert_int_equal(map_type_is_text(i), expected[i].is_text);
		assert_int_equal(map_type_has_no_values(i), expected[i].has_no_values);
		assert_int_equal(map_type_is_in_place(i), expected[i].is_in_place);
		assert_int_equal(map_type_wears_out(i), expected[i].wears_out);
		assert_int_equal(map_type_parse(expected[i].name, &type),
			expected[i].is_built_in ? 0 : -EOPNOTSUPP);
		assert_int_equal(type, expected[i].is_built_in ? i : MAP_TYPE_COUNT);
		assert_int_equal(map_open(&settings, &map),
			expected[i].is_built_in ? -ENOENT : -EOPNOTSUPP);
		settings.trailing_nul = true;
		if (expected[i].is_text)
			assert_int_equal(map_open(&settings, &map), -EINVAL);
	}
	assert_null(map_close(NULL));
}

static void other_types_are_unknown(void **state)
{
	enum map_type type;

	(void)state;
	assert_int_equal(map_type_parse("", &type), -EINVAL);
	assert_int_equal(map_type_parse("HASH", &type), -EINVAL);
	assert_int_equal(map_type_parse("hash:", &type), -EINVAL);
}

/* The first octets of a file that is no more than those. */
static int find(const uint8_t head[static 16], size_t size, enum map_type *ret)
{
	char path[] = "/tmp/dracd-test-XXXXXX";
	int file = mkstemp(path), r;

	assert_true(file >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(file, head, size), (ssize_t)size);
	r = map_type_find(file, ret);
	close(file);
	return r;
}

static void the_type_of_a_foreign_file_is_found(void **state)
{
	static const struct {
		uint8_t head[16];
		size_t size;
		enum map_type type; /* MAP_TYPE_COUNT: none */
	} files[] = {
		{{[12] = 0x61, 0x15, 0x06, 0x00}, 16, MAP_HASH},
		{{[12] = 0x00, 0x06, 0x15, 0x61}, 16, MAP_HASH},
		{{[12] = 0x62, 0x31, 0x05, 0x00}, 16, MAP_BTREE},
		{{[12] = 0x00, 0x05, 0x31, 0x62}, 16, MAP_BTREE},
		{{[12] = 0x62, 0x31, 0x05, 0x00}, 15, MAP_TYPE_COUNT},
		{{[12] = 0x62, 0x31, 0x05, 0x01}, 16, MAP_TYPE_COUNT},
		{{0x62, 0x31, 0x05, 0x00}, 16, MAP_TYPE_COUNT}, /* version 1.85 */
		{{0}, 0, MAP_TYPE_COUNT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		enum map_type type = MAP_TYPE_COUNT;
		int wanted = files[i].type == MAP_TYPE_COUNT ? -EBADMSG
			     : WITH_BDB                      ? 0
							     : -EOPNOTSUPP;

		assert_int_equal(find(files[i].head, files[i].size, &type), wanted);
		assert_int_equal(type, wanted == 0 ? files[i].type : MAP_TYPE_COUNT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_its_name_and_traits),
		cmocka_unit_test(other_types_are_unknown),
		cmocka_unit_test(the_type_of_a_foreign_file_is_found),
	};

	return cmocka_run_group_tests_name("map_type", tests, NULL, NULL);
}
