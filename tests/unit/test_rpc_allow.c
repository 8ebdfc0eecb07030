/* dracd.allow, read as DRAC reads it; prefixes of callers. */
#include "rpc/allow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs those before it */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	TOLD_MAX = 8
};

struct told {
	unsigned count;
	unsigned lines[TOLD_MAX];
	const char *problems[TOLD_MAX];
};

static void tell(unsigned line, const char *problem, void *context)
{
	struct told *told = context;

	assert_in_range(told->count, 0, TOLD_MAX - 1);
	told->lines[told->count] = line;
	told->problems[told->count++] = problem;
}

static struct allow read_octets(const char *text, size_t length, struct told *told)
{
	FILE *file = fmemopen((void *)(uintptr_t)text, length, "r");
	struct allow allow;

	assert_non_null(file);
	memset(told, 0, sizeof(*told));
	assert_int_equal(allow_read(file, &allow, tell, told), 0);
	fclose(file);
	return allow;
}

static bool permits(const struct allow *allow, const char *caller)
{
	struct prefix prefix;

	assert_int_equal(prefix_parse(caller, &prefix), 0);
	return allow_permits(allow, &prefix.ip);
}

/* Whether the text lets 10.1.2.3 report. */
static bool text_permits(const char *text, struct told *told)
{
	struct allow allow = read_octets(text, strlen(text), told);
	bool answer = permits(&allow, "10.1.2.3");

	allow_done(&allow);
	return answer;
}

static void lines_are_mask_then_address(void **state)
{
	static const struct {
		const char *text;
		bool permits;
		unsigned problem_line; /* 0: none */
	} rows[] = {
		{"255.255.255.255 10.1.2.3\n", true, 0},
		{"255.255.255.0 10.1.2.0\n", true, 0},
		{"255.0.0.0 10.0.0.0", true, 0},
		{"0.0.0.0 0.0.0.0\n", true, 0},
		{"255.0.255.0 10.0.2.0\n", true, 0},
		{"255.255.255.0 10.1.3.0\n", false, 0},
		{"10.0.0.0 255.0.0.0\n", false, 1},
		{"255.0.0.0 10.1.2.3\n", false, 1},
		{"# comment\n\n\t \n255.0.0.0 10.0.0.0\n", true, 0},
		{" 255.0.0.0 10.0.0.0\n", false, 1},
		{" # 255.0.0.0 10.0.0.0\n", false, 1},
		{"255.0.0.0 10.0.0.0 the LAN\n", true, 0},
		{"255.0.0.0\t \t10.0.0.0\r\n", true, 0},
		{"255.0.0.0,10.0.0.0\n", false, 1},
		{"255.0.0.0\n10.0.0.0\n", false, 1},
		{"10.0.0.0/8\n", false, 1},
		{"ff000000 10.0.0.0\n", false, 1},
		{"255.255.255.255 ::1\n", false, 1},
		/* as inet_addr(3) has it */
		{"255 10\n", false, 0},
		{"255.0 10.0\n", true, 0},
		{"0377.0.0.0 012.0.0.0\n", true, 0},
		{"256.0.0.0 10.1.2.3\n", true, 1},
		{"256.0.0.0 10.0.0.0\n", false, 1},
		{". 10.1.2.3\n", true, 1},
		{"255.0.0.0 10.0.0.256\n", false, 1},
		{"x\n255.0.0.0 10.0.0.0\ny\n", true, 1},
	};
	struct told told;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool answer = text_permits(rows[i].text, &told);

		if (answer != rows[i].permits)
			fail_msg("%s: %d", rows[i].text, answer);
		if (told.count > 0 ? told.lines[0] != rows[i].problem_line
				   : rows[i].problem_line != 0)
			fail_msg("%s: %u problems, the first on line %u", rows[i].text,
				told.count, told.lines[0]);
	}
}

static void an_empty_file_permits_nobody(void **state)
{
	struct told told;

	(void)state;
	assert_false(text_permits("# nobody\n", &told));
	assert_int_equal(told.count, 0);
}

static void a_long_line_goes_on_as_another(void **state)
{
	char text[400];
	struct told told;

	(void)state;
	/* what follows the first 127 octets is what DRAC takes for a line */
	memset(text, ' ', sizeof(text));
	text[0] = '#';
	strcpy(text + 127, "255.0.0.0 10.0.0.0\nx\n");
	assert_true(text_permits(text, &told));
	assert_int_equal(told.count, 2);
	assert_int_equal(told.lines[0], 1);
	assert_int_equal(told.lines[1], 2);
}

static void a_field_that_overran_drac_is_passed_over(void **state)
{
	struct told told;

	(void)state;
	assert_false(
		text_permits("255.000000000000000000000000000.0.0 10.0.0.0\n", &told));
	assert_int_equal(told.count, 1);
	assert_false(
		text_permits("255.0.0.0 10.000000000000000000000000000.0.0\n", &told));
	assert_int_equal(told.count, 1);
	assert_true(text_permits("255.00000000000000000000000.0.0 10.0.0.0\n", &told));
	assert_int_equal(told.count, 0);
}

static void a_nul_octet_ends_a_line_and_no_count(void **state)
{
	static const char text[] = "255.0.0.0\0 10.0.0.0\nx\n255.0.0.0 10.0.0.0\n";
	struct told told;
	struct allow allow = read_octets(text, sizeof(text) - 1, &told);

	(void)state;
	assert_true(permits(&allow, "10.1.2.3"));
	assert_int_equal(told.count, 2);
	assert_int_equal(told.lines[0], 1);
	assert_int_equal(told.lines[1], 2);
	allow_done(&allow);
}

static void no_rule_is_for_ipv6(void **state)
{
	static const char text[] = "0.0.0.0 0.0.0.0\n";
	struct told told;
	struct allow allow = read_octets(text, sizeof(text) - 1, &told);

	(void)state;
	assert_true(permits(&allow, "203.0.113.9"));
	assert_true(permits(&allow, "::ffff:203.0.113.9"));
	assert_false(permits(&allow, "::1"));
	assert_false(permits(&allow, "2001:db8::1"));
	allow_done(&allow);
}

static void without_a_file_this_host_may(void **state)
{
	struct prefix_list own = {0};
	struct allow allow;
	struct told told = {0};

	(void)state;
	assert_int_equal(allow_own_addresses(&own), 0);
	assert_int_equal(
		allow_load("/nonexistent/dracd.allow", &own, &allow, tell, &told), 0);
	assert_true(allow.is_absent);
	assert_true(permits(&allow, "127.0.0.1"));
	assert_true(permits(&allow, "::1"));
	assert_false(permits(&allow, "203.0.113.9"));
	assert_false(permits(&allow, "2001:db8::1"));
	allow_done(&allow);
	prefix_list_done(&own);
}

static void a_file_that_cannot_be_read_is_no_absent_file(void **state)
{
	const struct prefix_list own = {0};
	struct allow allow;
	struct told told = {0};

	(void)state;
	assert_int_equal(allow_load("/dev/null/x", &own, &allow, tell, &told), -ENOTDIR);
	assert_int_equal(allow_load("/", &own, &allow, tell, &told), -EIO);
}

static void prefixes_contain_what_they_say(void **state)
{
	static const struct {
		const char *prefix, *address;
		bool contains;
	} rows[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.0.0.0/9", "10.128.0.0", false},
		{"203.0.113.9", "203.0.113.9", true},
		{"203.0.113.8/31", "203.0.113.9", true},
		{"203.0.113.9", "203.0.113.8", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "203.0.113.9", false},
		{"::ffff:10.0.0.0/104", "10.1.1.1", true},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"::1", "::1", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefix prefix, address;

		assert_int_equal(prefix_parse(rows[i].prefix, &prefix), 0);
		assert_int_equal(prefix_parse(rows[i].address, &address), 0);
		if (prefix_contains(&prefix, &address.ip) != rows[i].contains)
			fail_msg("%s, %s", rows[i].prefix, rows[i].address);
	}
}

static void malformed_prefixes_are_refused(void **state)
{
	static const char *const bad[] = {"", "/", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0", "010.0.0.1",
		"::/129", "::1%lo", "[::1]", "localhost", "10.0.0.0/8/8"};
	struct prefix prefix;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (prefix_parse(bad[i], &prefix) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(prefix_parse("10.0.0.1/8", &prefix), -ERANGE);
	assert_int_equal(prefix_parse("2001:db8::1/64", &prefix), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_mask_then_address),
		cmocka_unit_test(an_empty_file_permits_nobody),
		cmocka_unit_test(a_long_line_goes_on_as_another),
		cmocka_unit_test(a_field_that_overran_drac_is_passed_over),
		cmocka_unit_test(a_nul_octet_ends_a_line_and_no_count),
		cmocka_unit_test(no_rule_is_for_ipv6),
		cmocka_unit_test(without_a_file_this_host_may),
		cmocka_unit_test(a_file_that_cannot_be_read_is_no_absent_file),
		cmocka_unit_test(prefixes_contain_what_they_say),
		cmocka_unit_test(malformed_prefixes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
