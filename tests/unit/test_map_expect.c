/* What should be in a map, and what is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs those before it */

#include "dracd/map_expect.h"

struct row {
	const char *key, *value;
};

static const struct {
	const char *name;
	struct row expected[6], found[6];
	uint64_t missing, extra, wrong;
	const char *differences;
	bool any_value;
} cases[] = {
	{.name = "nothing", .differences = ""},
	{.name = "same, in another order",
		.expected = {{"b", "OK"}, {"a", "OK"}, {"c", "NO"}},
		.found = {{"c", "NO"}, {"a", "OK"}, {"b", "OK"}},
		.differences = ""},
	{.name = "the last of two counts",
		.expected = {{"a", "1"}, {"b", "OK"}, {"a", "2"}},
		.found = {{"a", "2"}, {"b", "OK"}},
		.differences = ""},
	{.name = "missing",
		.expected = {{"a", "OK"}, {"b", "OK"}},
		.found = {{"b", "OK"}},
		.missing = 1,
		.differences = "a is missing"},
	{.name = "all missing, and not all named",
		.expected = {{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}},
		.missing = 4,
		.differences = "a is missing, b is missing, c is missing"},
	{.name = "extra",
		.expected = {{"a", "OK"}},
		.found = {{"a", "OK"}, {"aa", "OK"}},
		.extra = 1,
		.differences = "aa should not be there"},
	{.name = "twice",
		.expected = {{"a", "OK"}},
		.found = {{"a", "OK"}, {"a", "OK"}},
		.extra = 1,
		.differences = "a is there twice"},
	{.name = "another value",
		.expected = {{"a", "OK"}, {"b", "RELAY"}},
		.found = {{"a", "RELAY"}, {"b", "RELAY"}},
		.wrong = 1,
		.differences = "a has another value"},
	{.name = "any value",
		.expected = {{"a", "OK"}},
		.found = {{"a", "x"}},
		.differences = "",
		.any_value = true},
	{.name = "a key that could deceive",
		.found = {{"a\n\x1b[1m \xff", "OK"}},
		.extra = 1,
		.differences = "a??[1m?? should not be there"},
	{.name = "each kind",
		.expected = {{"a", "OK"}, {"b", "OK"}, {"c", "OK"}},
		.found = {{"x", "OK"}, {"b", "no"}, {"c", "OK"}},
		.missing = 1,
		.extra = 1,
		.wrong = 1,
		.differences =
			"x should not be there, b has another value, a is missing"},
};

static void compares(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct expect expect = {.any_value = cases[i].any_value};

		for (const struct row *row = cases[i].expected; row->key; row++)
			assert_int_equal(expect_add(&expect, row->key, row->value), 0);
		for (const struct row *row = cases[i].found; row->key; row++)
			expect_see(&expect, row->key, row->value);
		assert_int_equal(expect_end(&expect),
			cases[i].missing + cases[i].extra + cases[i].wrong == 0);
		assert_int_equal(expect.missing, cases[i].missing);
		assert_int_equal(expect.extra, cases[i].extra);
		assert_int_equal(expect.wrong, cases[i].wrong);
		assert_string_equal(expect.differences, cases[i].differences);
		expect_done(&expect);
	}
}

static void finds_each_of_many(void **state)
{
	enum {
		ROWS = 100000
	};

	struct expect expect = {0};
	char key[32];

	(void)state;
	for (unsigned i = 0; i < ROWS; i++) {
		snprintf(key, sizeof(key), "key-%u", i * 7919U % ROWS);
		assert_int_equal(expect_add(&expect, key, i % 2 ? "OK" : "RELAY"), 0);
	}
	for (unsigned i = 0; i < ROWS; i++) {
		if (i == 4711)
			continue;
		snprintf(key, sizeof(key), "key-%u", i * 7919U % ROWS);
		expect_see(&expect, key, i % 2 ? "OK" : "RELAY");
	}
	assert_false(expect_end(&expect));
	assert_int_equal(expect.found, ROWS - 1);
	assert_int_equal(expect.missing, 1);
	assert_int_equal(expect.extra + expect.wrong, 0);
	expect_done(&expect);
}

static void a_long_key_does_not_overflow(void **state)
{
	struct expect expect = {0};
	char key[2000];

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	expect_see(&expect, key, "OK");
	expect_see(&expect, "b", "OK");
	assert_int_equal(expect.extra, 2);
	assert_int_equal(strlen(expect.differences), sizeof(expect.differences) - 1);
	expect_done(&expect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares),
		cmocka_unit_test(finds_each_of_many),
		cmocka_unit_test(a_long_key_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
