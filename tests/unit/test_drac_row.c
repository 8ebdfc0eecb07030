/* Rows of a database of DRAC, in every spelling; and what is none. */
#include "dracd/drac_row.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

#define NOW UINT64_C(1795000000)

/* A literal with its length, which may hold NULs. */
#define TEXT(literal) literal, sizeof(literal) - 1

static const struct {
	const char *key;
	size_t key_length;
	const char *value;
	size_t value_length;
	const char *address;
	uint64_t left; /* seconds */
} good[] = {
	{TEXT("203.0.113.9"), TEXT("1795000060"), "203.0.113.9", 60},
	{TEXT("203.0.113.9\0"), TEXT("1795000060"), "203.0.113.9", 60},
	{TEXT("203.0.113.9"), TEXT("1795000060\0"), "203.0.113.9", 60},
	{TEXT("203.0.113.9/32\0"), TEXT("1795000060\0"), "203.0.113.9", 60},
	{TEXT("::ffff:203.0.113.9"), TEXT("1795000060"), "203.0.113.9", 60},
	{TEXT("2001:db8::9"), TEXT("1795000060"), "2001:db8::9", 60},
	{TEXT("2001:DB8:0:0:0:0:0:9/128\0"), TEXT("1795000060"), "2001:db8::9", 60},
	{TEXT("203.0.113.9"), TEXT("0001795000001"), "203.0.113.9", 1},
	{TEXT("255.255.255.255"), TEXT("1795000060"), "255.255.255.255", 60},
};

static void every_spelling_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		const struct map_child_row row = {good[i].key, good[i].value,
			good[i].key_length, good[i].value_length};
		const struct address wanted = address_of(good[i].address);
		const char *problem = "untouched";
		struct drac_row decoded;

		assert_int_equal(
			drac_row_decode(&row, NOW * USEC_PER_SEC, &decoded, &problem), 0);
		assert_int_equal(address_compare(&decoded.address, &wanted), 0);
		assert_int_equal(decoded.left_usec, good[i].left * USEC_PER_SEC);
	}
}

static const struct {
	const char *key;
	size_t key_length;
	const char *value;
	size_t value_length;
	const char *problem;
} bad[] = {
	{TEXT(""), TEXT("1795000060"), "its key is no address"},
	{TEXT("\0"), TEXT("1795000060"), "its key is no address"},
	{TEXT("203.0.113.9\0\0"), TEXT("1795000060"), "its key is no address"},
	{TEXT("203.0.113.9\0x"), TEXT("1795000060"), "its key is no address"},
	{TEXT(" 203.0.113.9"), TEXT("1795000060"), "its key is no address"},
	{TEXT("203.0.113"), TEXT("1795000060"), "its key is no address"},
	{TEXT("203.0.113.9/33"), TEXT("1795000060"), "its key is no address"},
	{TEXT("203.0.113.0/24"), TEXT("1795000060"), "its key is a network"},
	{TEXT("2001:db8::/64"), TEXT("1795000060"), "its key is a network"},
	{TEXT("2001:db8::9%eth0"), TEXT("1795000060"), "its key is no address"},
	{TEXT("mail.example"), TEXT("1795000060"), "its key is no address"},
	{TEXT("203.0.113.9"), TEXT(""), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("\0"), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("-1"), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("+1795000060"), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("1795000060 "), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("1795000060\n"), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("1795\000060"), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("0x6afd3a3c"), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("17950000600000000000"), "its value is no time"},
	{TEXT("203.0.113.9"), TEXT("RELAY"), "its value is no time"},
};

static void what_is_no_row_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const struct map_child_row row = {
			bad[i].key, bad[i].value, bad[i].key_length, bad[i].value_length};
		struct drac_row decoded = {.left_usec = 7};
		const char *problem = NULL;

		assert_int_equal(
			drac_row_decode(&row, NOW * USEC_PER_SEC, &decoded, &problem),
			-EBADMSG);
		assert_string_equal(problem, bad[i].problem);
		assert_int_equal(decoded.left_usec, 7);
	}
}

static int decode_value(const char *value, uint64_t wall_usec, uint64_t *ret_left)
{
	const struct map_child_row row = {
		"203.0.113.9", value, strlen("203.0.113.9"), strlen(value)};
	struct drac_row decoded = {0};
	const char *problem;
	int r = drac_row_decode(&row, wall_usec, &decoded, &problem);

	*ret_left = decoded.left_usec;
	return r;
}

/* A lease lasts for a second at least, so that less than one left would be more. */
static void the_deadline_is_never_passed(void **state)
{
	uint64_t left;

	(void)state;
	assert_int_equal(decode_value("0", NOW * USEC_PER_SEC, &left), DRAC_ROW_EXPIRED);
	assert_int_equal(
		decode_value("1794999999", NOW * USEC_PER_SEC, &left), DRAC_ROW_EXPIRED);
	assert_int_equal(
		decode_value("1795000000", NOW * USEC_PER_SEC, &left), DRAC_ROW_EXPIRED);
	assert_int_equal(decode_value("1795000001", NOW * USEC_PER_SEC + 1, &left),
		DRAC_ROW_EXPIRED);
	assert_int_equal(decode_value("1795000001", NOW * USEC_PER_SEC, &left), 0);
	assert_int_equal(left, USEC_PER_SEC);
	assert_int_equal(decode_value("1795000002", NOW * USEC_PER_SEC + 1, &left), 0);
	assert_int_equal(left, 2 * USEC_PER_SEC - 1);
	/* sums do not wrap */
	assert_int_equal(
		decode_value("9999999999999999999", NOW * USEC_PER_SEC, &left), 0);
	assert_int_equal(left, UINT64_MAX - NOW * USEC_PER_SEC);
	assert_int_equal(decode_value("18446744073710", NOW * USEC_PER_SEC, &left), 0);
	assert_true(left > UINT64_MAX / 2);
	assert_int_equal(decode_value("1795000001", UINT64_MAX, &left), DRAC_ROW_EXPIRED);
}

static void a_key_can_be_shown(void **state)
{
	char text[DRAC_ROW_TEXT_SIZE], whole[200];
	const struct map_child_row odd = {"a\033[2J\377\"z", "", 8, 0};
	const struct map_child_row with_nul = {"10.0.0.1\0", "", 9, 0};
	const struct map_child_row within = {"a\0b", "", 3, 0};
	const struct map_child_row empty = {"", "", 0, 0};
	struct map_child_row row = {whole, "", sizeof(whole) - 1, 0};

	(void)state;
	memset(whole, 'x', sizeof(whole) - 1);
	whole[sizeof(whole) - 1] = '\0';
	assert_string_equal(drac_row_key_text(&odd, text), "a?[2J?\"z");
	assert_string_equal(drac_row_key_text(&with_nul, text), "10.0.0.1");
	assert_string_equal(drac_row_key_text(&within, text), "a?b");
	assert_string_equal(drac_row_key_text(&empty, text), "");
	assert_int_equal(strlen(drac_row_key_text(&row, text)), DRAC_ROW_TEXT_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_is_read),
		cmocka_unit_test(what_is_no_row_is_told),
		cmocka_unit_test(the_deadline_is_never_passed),
		cmocka_unit_test(a_key_can_be_shown),
	};

	return cmocka_run_group_tests_name("drac_row", tests, NULL, NULL);
}
