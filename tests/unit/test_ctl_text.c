/* Numbers and times as dracctl writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/ctl_text.h"

static void counts_have_commas(void **state)
{
	char text[TEXT_SIZE];

	(void)state;
	assert_string_equal(text_count(0, text), "0");
	assert_string_equal(text_count(999, text), "999");
	assert_string_equal(text_count(1204, text), "1,204");
	assert_string_equal(text_count(1000000, text), "1,000,000");
	assert_string_equal(
		text_count(18446744073709551615ULL, text), "18,446,744,073,709,551,615");
}

static void spans_have_two_units(void **state)
{
	char text[TEXT_SIZE];

	(void)state;
	assert_string_equal(text_span(0, text), "0s");
	assert_string_equal(text_span(59000, text), "59s");
	assert_string_equal(text_span(58001, text), "59s");
	assert_string_equal(text_span(59001, text), "1m00s");
	assert_string_equal(text_span(60000, text), "1m00s");
	assert_string_equal(text_span(250000, text), "4m10s");
	assert_string_equal(text_span(3599000, text), "59m59s");
	assert_string_equal(text_span(3599001, text), "1h00m");
	assert_string_equal(text_span(86399000, text), "23h59m");
	assert_string_equal(text_span(86400000, text), "1d0h");
	assert_string_equal(text_span(187200000, text), "2d4h");
	assert_true(strlen(text_span(18446744073709551615ULL, text)) < TEXT_SIZE);
}

static void ages_have_one_unit(void **state)
{
	char text[TEXT_SIZE];

	(void)state;
	assert_string_equal(text_age(999, text), "0 s");
	assert_string_equal(text_age(3000, text), "3 s");
	assert_string_equal(text_age(300000, text), "5 min");
	assert_string_equal(text_age(7200000, text), "2 h");
	assert_string_equal(text_age(172799999, text), "47 h");
	assert_string_equal(text_age(12 * 86400000ULL, text), "12 days");
}

static void a_time_has_a_date_unless_it_is_today(void **state)
{
	/* 2026-11-22 14:00:00 UTC */
	const time_t now = 1795356000;
	const unsigned long long now_ms = (unsigned long long)now * 1000;
	char text[TEXT_SIZE];

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_string_equal(text_time(now_ms + 372999, now, text), "14:06:12");
	assert_string_equal(
		text_time(now_ms + 86400000, now, text), "2026-11-23 14:00:00");
	assert_string_equal(text_minute(now_ms + 59999, now, text), "14:00");
	assert_string_equal(text_minute_up(now_ms, now, text), "14:00");
	assert_string_equal(text_minute_up(now_ms + 1, now, text), "14:01");
	assert_string_equal(
		text_minute_up(now_ms + 10 * 3600000, now, text), "2026-11-23 00:00");
	assert_true(strlen(text_time(18446744073709551615ULL, now, text)) < TEXT_SIZE);
}

static void durations_are_those_of_the_configuration(void **state)
{
	static const struct {
		const char *text;
		unsigned long long ms;
	} right[] = {
		{"0", 0},
		{"90", 90000},
		{"500ms", 500},
		{"6s", 6000},
		{"30min", 1800000},
		{"5m", 300000},
		{"4h", 14400000},
		{"2d", 172800000},
	};

	static const char *const wrong[] = {"", "s", "-1", "+1", "1 h", "1.5h", "2w",
		"1hh", "99999999999999d", "1000000000000000", "0x10"};
	unsigned long long ms;

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_true(text_parse_duration(right[i].text, &ms));
		assert_int_equal(ms, right[i].ms);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (text_parse_duration(wrong[i], &ms))
			fail_msg("%s", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_have_commas),
		cmocka_unit_test(spans_have_two_units),
		cmocka_unit_test(ages_have_one_unit),
		cmocka_unit_test(a_time_has_a_date_unless_it_is_today),
		cmocka_unit_test(durations_are_those_of_the_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
