#include "dracd/prefix_set.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

static void add(struct prefix_set *set, const char *text)
{
	struct address prefix = address_of(text);

	assert_int_equal(prefix_set_add(set, &prefix), 0);
}

static void test_find_takes_the_longest(void **state)
{
	struct prefix_set set = {0};
	struct address host = address_of("10.1.2.3"), other = address_of("10.9.9.9");
	struct address wanted = address_of("10.1.0.0/16"),
		       outside = address_of("11.0.0.1");
	struct address ipv6 = address_of("2001:db8::1");

	(void)state;
	assert_null(prefix_set_find(&set, &host));
	add(&set, "10.1.0.0/16");
	add(&set, "10.0.0.0/8");
	add(&set, "10.0.0.0/8");
	add(&set, "::/0");
	assert_int_equal(set.count, 3);
	assert_int_equal(address_compare(prefix_set_find(&set, &host), &wanted), 0);
	assert_int_equal(prefix_set_find(&set, &other)->length, 104);
	assert_null(prefix_set_find(&set, &outside));
	assert_non_null(prefix_set_find(&set, &ipv6));
	prefix_set_done(&set);
}

static void test_overlaps(void **state)
{
	struct prefix_set set = {0};

	static const struct {
		const char *prefix;
		bool overlaps;
	} rows[] = {
		{"2001:db8:1:2::/64", true}, /* holds one of the set */
		{"2001:db8:1:2::77", true},  /* is one */
		{"2001:db8:1:2::78", false},
		{"2001:db8:1:3::/64", false},
		{"2001:db8::/32", true},
		{"192.0.2.0/24", true}, /* holds 192.0.2.128/25 */
		{"192.0.2.0/25", false},
		{"192.0.2.200", true},
		{"0.0.0.0/0", true},
		{"2001:db7::/32", false},
	};

	(void)state;
	add(&set, "2001:db8:1:2::77");
	add(&set, "192.0.2.128/25");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address prefix = address_of(rows[i].prefix);

		assert_int_equal(prefix_set_overlaps(&set, &prefix), rows[i].overlaps);
	}
	prefix_set_done(&set);
}

/* Against the obvious way to do it, on many small random sets. */
static void test_against_a_plain_loop(void **state)
{
	unsigned seed = 4711;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct prefix_set set = {0};
		struct address items[8], asked = address_of("10.0.0.0");
		bool contains = false, overlaps = false;

		for (unsigned i = 0; i < 8; i++) {
			items[i] = address_of("10.0.0.0");
			items[i].ip.s6_addr[15] = (uint8_t)rand_r(&seed);
			items[i] = address_network(
				&items[i], 120 + (unsigned)rand_r(&seed) % 9);
			assert_int_equal(prefix_set_add(&set, &items[i]), 0);
		}
		asked.ip.s6_addr[15] = (uint8_t)rand_r(&seed);
		asked = address_network(&asked, 120 + (unsigned)rand_r(&seed) % 9);
		for (unsigned i = 0; i < 8; i++) {
			contains |= address_contains(&items[i], &asked);
			overlaps |= address_contains(&items[i], &asked) ||
				    address_contains(&asked, &items[i]);
		}
		assert_int_equal(prefix_set_find(&set, &asked) != NULL, contains);
		assert_int_equal(prefix_set_overlaps(&set, &asked), overlaps);
		prefix_set_done(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_takes_the_longest),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_against_a_plain_loop),
	};

	return cmocka_run_group_tests_name("prefix_set", tests, NULL, NULL);
}
