/* The line protocol: what the writer writes the reader reads, and nothing else gets in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/words.h"

/* The last line parsed; words borrow it. */
struct parsed {
	char text[4 * LINE_SIZE_MAX];
	struct words words;
	const char *problem;
};

static int parse(struct parsed *parsed, const char *text)
{
	snprintf(parsed->text, sizeof(parsed->text), "%s", text);
	parsed->problem = NULL;
	return words_parse(
		parsed->text, strlen(parsed->text), &parsed->words, &parsed->problem);
}

static void a_line_has_a_verb_and_words(void **state)
{
	struct parsed parsed;

	(void)state;
	assert_int_equal(
		parse(&parsed, "login address=203.0.113.9 user=bob@x.net x= y"), 0);
	assert_int_equal(parsed.words.count, 5);
	assert_true(words_is(&parsed.words, 0, "login"));
	assert_false(words_is(&parsed.words, 0, "logi"));
	assert_string_equal(words_get(&parsed.words, "address"), "203.0.113.9");
	assert_string_equal(words_get(&parsed.words, "user"), "bob@x.net");
	assert_string_equal(words_get(&parsed.words, "x"), "");
	assert_null(words_get(&parsed.words, "y"));
	assert_true(words_is(&parsed.words, 4, "y"));
	assert_false(words_is(&parsed.words, 3, "x"));
	assert_false(words_is(&parsed.words, 5, "z"));
	assert_null(words_get(&parsed.words, "login"));
}

static void answers_have_verbs_in_capitals(void **state)
{
	struct parsed parsed;

	(void)state;
	assert_int_equal(parse(&parsed, "OK granted address=203.0.113.9"), 0);
	assert_true(words_is(&parsed.words, 0, "OK"));
	assert_true(words_is(&parsed.words, 1, "granted"));
	assert_int_equal(parse(&parsed, "OK Granted"), -EBADMSG);
	assert_int_equal(parse(&parsed, "OK User=bob"), -EBADMSG);
}

static void any_text_survives_the_way_there_and_back(void **state)
{
	static const char *const values[] = {"", "plain", "a b", "100%", "%41", "=",
		"a=b", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xac", "\\", "\"'<>&"};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct line line;
		struct words words;
		const char *problem;

		line_init(&line, "login");
		line_add(&line, "user", values[i]);
		line_add_number(&line, "ttl_ms", 18446744073709551615ULL);
		line_add_bare(&line, "flag");
		assert_true(line_finish(&line) > 0);
		assert_int_equal(line.text[line.length - 1], '\n');
		assert_int_equal(line.text[line.length], '\0');
		assert_int_equal(
			words_parse(line.text, line.length - 1, &words, &problem), 0);
		assert_int_equal(words.count, 4);
		assert_string_equal(words_get(&words, "user"), values[i]);
		assert_true(words_is(&words, 3, "flag"));
	}
}

static void a_control_character_is_written_escaped_and_refused_when_read(void **state)
{
	struct line line;
	struct words words;
	const char *problem;

	(void)state;
	line_init(&line, "login");
	line_add(&line, "user", "a\nOK\x7f");
	assert_int_equal(line_finish(&line), strlen("login user=a%0AOK%7F\n"));
	assert_string_equal(line.text, "login user=a%0AOK%7F\n");
	assert_int_equal(
		words_parse(line.text, line.length - 1, &words, &problem), -EBADMSG);
	assert_string_equal(
		problem, "a value is not UTF-8 text without control characters");
}

static void malformed_lines_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *line;
		const char *problem;
	} cases[] = {
		{"", "empty line"},
		{" login", "a word must start with"},
		{"login ", "a word must start with"},
		{"login  a=b", "a word must start with"},
		{"login =b", "a word must start with"},
		{"login A=b", "a word must start with"},
		{"login a.b=c", "a key may hold"},
		{"login aB=c", "a key may hold"},
		{"login \xc3\xa9=c", "a word must start with"},
		{"login=x", "a line must start with a verb"},
		{"login a=b a=c", "a key occurs twice"},
		{"login a a=c", "a key occurs twice"},
		{"login a=b a", "a key occurs twice"},
		{"login a\tb", "control character"},
		{"login a=b\r", "control character"},
		{"login a=\x01", "control character"},
		{"login a=\x7f", "control character"},
		{"login a=%", "malformed %XX"},
		{"login a=%4", "malformed %XX"},
		{"login a=%4g", "malformed %XX"},
		{"login a=%g4", "malformed %XX"},
		{"login a=% b=c", "malformed %XX"},
		{"login a=%00", "malformed %XX"},
		{"login a=x%00y", "malformed %XX"},
		{"login a=%0a", "not UTF-8 text"},
		{"login a=%1F", "not UTF-8 text"},
		{"login a=%7f", "not UTF-8 text"},
		{"login a=\x80", "not UTF-8 text"},
		{"login a=\xff", "not UTF-8 text"},
		{"login a=\xc3", "not UTF-8 text"},
		{"login a=\xc3 b=c", "not UTF-8 text"},
		{"login a=\xc0\xaf", "not UTF-8 text"},
		{"login a=\xe0\x80\x80", "not UTF-8 text"},
		{"login a=\xe2\x82", "not UTF-8 text"},
		{"login a=\xed\xa0\x80", "not UTF-8 text"},
		{"login a=\xf0\x80\x80\x80", "not UTF-8 text"},
		{"login a=\xf4\x90\x80\x80", "not UTF-8 text"},
		{"login a=\xf5\x80\x80\x80", "not UTF-8 text"},
		{"login a=\xc2\x85", "not UTF-8 text"},
		{"login a=%C2%9F", "not UTF-8 text"},
		{"login a=%E2%82", "not UTF-8 text"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct parsed parsed;
		int r = parse(&parsed, cases[i].line);

		if (r != -EBADMSG || !strstr(parsed.problem, cases[i].problem))
			fail_msg("\"%s\": %d, %s", cases[i].line, r, parsed.problem);
	}
}

static void a_nul_in_a_line_is_refused(void **state)
{
	char line[] = "login a=b\0c=d";
	struct words words;
	const char *problem;

	(void)state;
	assert_int_equal(words_parse(line, sizeof(line) - 1, &words, &problem), -EBADMSG);
	assert_string_equal(problem, "control character in the line");
}

static void escapes_may_be_of_either_case_and_of_any_clean_text(void **state)
{
	struct parsed parsed;

	(void)state;
	assert_int_equal(parse(&parsed, "login a=%c3%A9%41%25%20%3d"), 0);
	assert_string_equal(words_get(&parsed.words, "a"), "\xc3\xa9"
							   "A% =");
	/* the first characters past the C1 controls and past the surrogates */
	assert_int_equal(
		parse(&parsed, "login a=\xc2\xa0\xee\x80\x80\xf4\x8f\xbf\xbf"), 0);
}

static void a_line_has_at_most_so_many_words(void **state)
{
	struct parsed parsed;
	char text[LINE_SIZE_MAX] = "verb";

	(void)state;
	for (int i = 1; i < WORDS_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " k%d=%d", i,
			i);
	assert_int_equal(parse(&parsed, text), 0);
	assert_int_equal(parsed.words.count, WORDS_MAX);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), " last");
	assert_int_equal(parse(&parsed, text), -E2BIG);
	assert_string_equal(parsed.problem, "too many words");
}

static void numbers_are_decimal_and_bounded(void **state)
{
	static const char *const wrong[] = {"a=", "a=-1", "a=+1", "a=1x", "a=0x10",
		"a=%201", "a=10000000000000000000", "a"};
	unsigned long long number = 7;
	struct parsed parsed;
	char text[64];

	(void)state;
	assert_int_equal(parse(&parsed, "x a=0 b=0042 c=9999999999999999999"), 0);
	assert_int_equal(words_get_number(&parsed.words, "a", &number), 0);
	assert_int_equal(number, 0);
	assert_int_equal(words_get_number(&parsed.words, "b", &number), 0);
	assert_int_equal(number, 42);
	assert_int_equal(words_get_number(&parsed.words, "c", &number), 0);
	assert_true(number == 9999999999999999999ULL);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		number = 7;
		snprintf(text, sizeof(text), "x %s", wrong[i]);
		assert_int_equal(parse(&parsed, text), 0);
		assert_int_equal(words_get_number(&parsed.words, "a", &number), -EINVAL);
		assert_int_equal(number, 7);
	}
	assert_int_equal(words_get_number(&parsed.words, "absent", &number), -ENOENT);
	assert_int_equal(number, 7);
}

/* A line of verb "v" and one value is as long as the value and " k=" and LF. */
static void a_line_has_an_exact_limit(void **state)
{
	char value[LINE_SIZE_MAX + 1];
	struct line line;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[LINE_SIZE_MAX - strlen("v k=\n")] = '\0';
	line_init(&line, "v");
	line_add(&line, "k", value);
	assert_int_equal(line_finish(&line), LINE_SIZE_MAX);

	value[strlen(value)] = 'x';
	value[LINE_SIZE_MAX - strlen("v k=\n") + 1] = '\0';
	line_init(&line, "v");
	line_add(&line, "k", value);
	assert_int_equal(line_finish(&line), -EMSGSIZE);
	/* once too long, always too long */
	line_add(&line, "a", "b");
	assert_int_equal(line_finish(&line), -EMSGSIZE);
}

static void an_escape_at_the_limit_does_not_overrun(void **state)
{
	char value[LINE_SIZE_MAX + 1];
	struct line line;

	(void)state;
	memset(value, ' ', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (size_t length = LINE_SIZE_MAX / 3 - 8; length < LINE_SIZE_MAX / 3 + 8;
		length++) {
		line_init(&line, "v");
		line_add(&line, "k", value + sizeof(value) - 1 - length);
		if (4 + 3 * length + 1 <= LINE_SIZE_MAX)
			assert_int_equal(line_finish(&line), 4 + 3 * length + 1);
		else
			assert_int_equal(line_finish(&line), -EMSGSIZE);
		assert_true(line.length <= LINE_SIZE_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_a_verb_and_words),
		cmocka_unit_test(answers_have_verbs_in_capitals),
		cmocka_unit_test(any_text_survives_the_way_there_and_back),
		cmocka_unit_test(
			a_control_character_is_written_escaped_and_refused_when_read),
		cmocka_unit_test(malformed_lines_are_refused_with_a_reason),
		cmocka_unit_test(a_nul_in_a_line_is_refused),
		cmocka_unit_test(escapes_may_be_of_either_case_and_of_any_clean_text),
		cmocka_unit_test(a_line_has_at_most_so_many_words),
		cmocka_unit_test(numbers_are_decimal_and_bounded),
		cmocka_unit_test(a_line_has_an_exact_limit),
		cmocka_unit_test(an_escape_at_the_limit_does_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
