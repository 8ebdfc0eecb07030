#include "dracd/address.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static void test_parse_and_format(void **state)
{
	static const struct {
		const char *text, *formatted;
	} good[] = {
		{"203.0.113.9", "203.0.113.9"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::ffff:203.0.113.9", "203.0.113.9"},
		{"::FFFF:CB00:7109", "203.0.113.9"},
		{"2001:DB8:0:0:0:0:0:7", "2001:db8::7"},
		{"2001:0db8:0000:0000:0000:0000:0000:0007", "2001:db8::7"},
		{"::", "::"},
		{"::1", "::1"},
	};

	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct address address;

		assert_int_equal(address_parse(good[i].text, &address), 0);
		assert_string_equal(address_format(&address, text), good[i].formatted);
		assert_true(address_is_host(&address));
	}
}

static void test_refused_text(void **state)
{
	static const char *const bad[] = {"", " ", "1", "1.2", "1.2.3", "1.2.3.4.5",
		"01.2.3.4", "1.2.3.010", "0x7f.0.0.1", "127.1", "2130706433", "1.2.3.4 ",
		" 1.2.3.4", "1.2.3.256", "1.2.3.-4", "fe80::1%eth0", "[::1]",
		"::1::", ":::", "1:2:3:4:5:6:7:8:9", "12345::", "g::1", "1.2.3.4/32",
		"localhost", "::1/128", "1.2.3.4\n", "::ffff:1.2.3", "IPv6:::1"};
	struct address address;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(address_parse(bad[i], &address), -EINVAL);
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *text;
		int result;
		unsigned length;
		const char *formatted;
	} rows[] = {
		{"10.0.0.0/8", 0, 104, "10.0.0.0/8"},
		{"0.0.0.0/0", 0, 96, "0.0.0.0/0"},
		{"10.1.2.3/32", 0, 128, "10.1.2.3"},
		{"10.1.2.3", 0, 128, "10.1.2.3"},
		{"2001:db8::/32", 0, 32, "2001:db8::/32"},
		{"2001:db8:0:1::/64", 0, 64, "2001:db8:0:1::/64"},
		{"::/0", 0, 0, "::/0"},
		{"::ffff:10.0.0.0/104", 0, 104, "10.0.0.0/8"},
		{"10.0.0.1/8", -ERANGE, 0, NULL},
		{"2001:db8::1/64", -ERANGE, 0, NULL},
		{"10.0.0.0/33", -EINVAL, 0, NULL},
		{"::/129", -EINVAL, 0, NULL},
		{"10.0.0.0/", -EINVAL, 0, NULL},
		{"10.0.0.0/08", -EINVAL, 0, NULL},
		{"10.0.0.0/-1", -EINVAL, 0, NULL},
		{"10.0.0.0/8/8", -EINVAL, 0, NULL},
		{"/8", -EINVAL, 0, NULL},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/8", -EINVAL,
			0, NULL},
	};

	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address prefix;

		assert_int_equal(
			address_parse_prefix(rows[i].text, &prefix), rows[i].result);
		if (rows[i].result < 0)
			continue;
		assert_int_equal(prefix.length, rows[i].length);
		assert_string_equal(address_format(&prefix, text), rows[i].formatted);
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool contains;
	} rows[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "10.1.0.0/16", true},
		{"10.1.0.0/16", "10.0.0.0/8", false},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.2/31", "10.1.2.3", true},
		{"10.1.2.2/31", "10.1.2.4", false},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"0.0.0.0/0", "255.1.1.1", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		/* each family on its own, though IPv4 is v4-mapped inside */
		{"::/0", "10.0.0.1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.0.0.0/8", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address outer = address_of(rows[i].outer);
		struct address inner = address_of(rows[i].inner);

		assert_int_equal(address_contains(&outer, &inner), rows[i].contains);
	}
}

/* Against the plain way, for sets at the edges of the words and a few others. */
static void test_length_within(void **state)
{
	static const uint64_t sets[][3] = {
		{0, 0, 0},
		{1, 0, 1},
		{UINT64_C(1) << 63, 1, 0},
		{UINT64_MAX, UINT64_MAX, 1},
		{UINT64_C(0x8000000100000001), UINT64_C(0x8000000100000001), 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(sets); i++)
		for (int from = -1; from <= 128; from++) {
			int plain = from;

			while (plain >= 0 && !(sets[i][plain / 64] >> (plain % 64) & 1))
				plain--;
			assert_int_equal(address_length_within(sets[i], from), plain);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_refused_text),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_length_within),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
