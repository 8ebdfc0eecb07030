/* The access file: what makemap 8.17 makes of the same text, and which addresses
 * Sendmail's LookUpAddress would refuse with it. */
#include "maps/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* needs those before it */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char path[64];

static int make_path(void **state)
{
	int file;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/dracd-test-access-XXXXXX");
	file = mkstemp(path);
	return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static int read_text(const char *text, size_t length, struct access **ret,
	struct access_problem *ret_problem)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
	return access_read(path, ret, ret_problem);
}

/* Text that must be right. */
static struct access *access_of(const char *text)
{
	struct access_problem problem;
	struct access *access;

	assert_int_equal(read_text(text, strlen(text), &access, &problem), 0);
	return access;
}

static void reads_rows_as_makemap(void **state)
{
	static const struct {
		const char *text;
		const char *key; /* NULL: no row */
		const char *value;
	} cases[] = {
		{"Connect:1.2.3.4\tRELAY\n", "connect:1.2.3.4", "RELAY"},
		{"a b", "a", "b"},
		{"a b c  \n", "a", "b c  "},
		{"a  \t \v\f b\tc\n", "a", "b\tc"},
		{"# x\na b\n#x y\n", "a", "b"},
		{"\n\na b\n\n", "a", "b"},
		{"a b\r\n", "a", "b\r"},
		{"a b # c\n", "a", "b # c"},
		{"a #b\n", "a", "#b"},
		{"a \"b c\"\n", "a", "\"b c\""},
		{"\"a b\" c\n", "\"a", "b\" c"},
		{"a\\#b c\\\n", "a\\#b", "c\\"},
		{"a\xa0"
		 "B c\n",
			"a\xa0"
			"b",
			"c"},
		{"\303\204X b\n", "\303\204x", "b"},
		{"", NULL, NULL},
		{"#\n", NULL, NULL},
		{"\n", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct access *access = access_of(cases[i].text);
		const char *key, *value;

		assert_int_equal(access_count(access), cases[i].key ? 1 : 0);
		if (cases[i].key) {
			access_row(access, 0, &key, &value);
			assert_string_equal(key, cases[i].key);
			assert_string_equal(value, cases[i].value);
			assert_ptr_equal(access_get(access, key), value);
		}
		assert_null(access_get(access, "nobody"));
		assert_null(access_free(access));
	}
}

static void refuses_what_makemap_refuses(void **state)
{
	static const struct {
		const char *text;
		size_t length; /* 0: to the NUL */
		unsigned line;
		const char *problem;
	} cases[] = {
		{"x y\n a b\n", 0, 2, "white space before the key"},
		{"\ta b\n", 0, 1, "white space before the key"},
		{"  # c\n", 0, 1, "white space before the key"},
		{"   \n", 0, 1, "white space before the key"},
		{"\r\n", 0, 1, "white space before the key"},
		{"a b\\\n c\n", 0, 2, "white space before the key"},
		{"a\n", 0, 1, "key without a value"},
		{"a \t\v\n", 0, 1, "key without a value"},
		{"a", 0, 1, "key without a value"},
		{"a\\tb\n", 0, 1, "key without a value"},
		{"a b\nc d\na c\n", 0, 3, "duplicate key"},
		{"A b\n\na b\n", 0, 3, "duplicate key"},
		{"x 1\nx 2\na 1\na 2\n", 0, 2, "duplicate key"},
		{"a 1\na 2\n x\n", 0, 2, "duplicate key"},
		{"a 1\n x\na 2\n", 0, 2, "white space before the key"},
		{"a\0x b\n", 6, 1, "NUL in the line"},
		{"#x\0y\na b\n", 10, 1, "NUL in the line"},
		{"a b\n\0", 5, 2, "NUL in the line"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t length = cases[i].length;
		struct access_problem problem = {0};
		struct access *access = NULL;

		if (length == 0)
			length = strlen(cases[i].text);
		assert_int_equal(
			read_text(cases[i].text, length, &access, &problem), -EBADMSG);
		assert_null(access);
		assert_int_equal(problem.line, cases[i].line);
		assert_string_equal(problem.text, cases[i].problem);
	}
}

/* makemap's buffer: 1022 octets and the newline, or 1022 at the end of the file. */
static void limits_the_length_of_a_line(void **state)
{
	char text[1100];

	(void)state;
	for (unsigned comment = 0; comment < 2; comment++)
		for (size_t length = 1020; length < 1026; length++)
			for (size_t newline = 0; newline < 2; newline++) {
				struct access_problem problem = {0};
				struct access *access = NULL;
				int r;

				memset(text, 'x', sizeof(text));
				text[1] = ' ';
				if (comment)
					text[0] = '#';
				text[length] = '\n';
				r = read_text(text, length + newline, &access, &problem);
				assert_int_equal(r, length <= 1022 ? 0 : -EBADMSG);
				if (r < 0)
					assert_string_equal(problem.text,
						"line longer than 1022 octets");
				access_free(access);
			}
}

static void finds_every_row_of_many(void **state)
{
	const unsigned count = 20000;
	FILE *file = fopen(path, "we");
	struct access_problem problem;
	struct access *access;

	(void)state;
	for (unsigned i = 0; i < count; i++)
		fprintf(file, "Key%u %u\n", i * 7919 % count, i * 7919 % count);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(access_read(path, &access, &problem), 0);
	assert_int_equal(access_count(access), count);
	for (unsigned i = 0; i < count; i++) {
		char key[16], value[16];
		const char *row_key, *row_value;

		snprintf(key, sizeof(key), "key%u", i);
		snprintf(value, sizeof(value), "%u", i);
		assert_string_equal(access_get(access, key), value);
		access_row(access, i, &row_key, &row_value);
		assert_string_equal(row_key + 3, row_value);
		assert_int_equal(atol(row_value), i * 7919 % count);
	}
	access_free(access);
}

static void reports_files_it_cannot_read(void **state)
{
	struct access_problem problem;
	struct access *access = NULL;
	int file;

	(void)state;
	assert_int_equal(access_read("/tmp", &access, &problem), -EISDIR);
	assert_int_equal(access_read("/dev/null", &access, &problem), -EINVAL);
	assert_int_equal(access_read("/nonexistent/access", &access, &problem), -ENOENT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(access_read(path, &access, &problem), -EINVAL);
	assert_int_equal(unlink(path), 0);
	file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(file, (64L << 20) + 1), 0);
	close(file);
	assert_int_equal(access_read(path, &access, &problem), -EFBIG);
	assert_null(access);
	access_free(NULL);
}

static bool refuses(const struct access *access, const char *text, unsigned length)
{
	struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, &address.s6_addr[12]) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
	return access_refuses(access, &address, length);
}

static void knows_which_values_refuse(void **state)
{
	static const struct {
		const char *value;
		bool refuses;
	} cases[] = {
		{"REJECT", true},
		{"reject", true},
		{"DISCARD", true},
		{"ERROR:5.7.1:550 no", true},
		{"ERROR:\"550 no\"", true},
		{"550 go away", true},
		{"\"550 go away\"", true},
		{"QUARANTINE:look at it", true},
		{"REJECT (spam)", true},
		{"(why) REJECT", true},
		/* what Sendmail does not know is the text of its refusal */
		{"1790000000", true},
		{"RELAY # office", true},
		{"RELAYED", true},
		{"(only a comment)", true},
		{"OK", false},
		{"ok", false},
		{"Relay", false},
		{"RELAY  ", false},
		{"RELAY\r", false},
		{"RELAY (the office)", false},
		{"(the (new) office) OK", false},
		{"RELAY (open", false},
		{"SKIP", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[64];
		struct access *access;

		snprintf(text, sizeof(text), "Connect:192.0.2.1 %s\n", cases[i].value);
		access = access_of(text);
		assert_int_equal(refuses(access, "192.0.2.1", 128), cases[i].refuses);
		assert_false(refuses(access, "192.0.2.2", 128));
		access_free(access);
	}
}

static void looks_up_the_most_specific_row(void **state)
{
	struct access *access = access_of("Connect:10 REJECT\n"
					  "10.1 OK\n"
					  "connect:10.1.2 REJECT\n"
					  "10.1.2 OK\n"
					  "10.1.2.3 RELAY\n"
					  "connect:10.1.2.4 OK\n"
					  "10.1.2.4 REJECT\n"
					  "10.1.2.5 REJECT\n"
					  "From:10.9.9.9 OK\n"
					  "IPv6:2001:db8:1 REJECT\n"
					  "Connect:IPv6:2001:db8:1:0 OK\n"
					  "IPv6:2001:db8:1:0:0:0:0:66 550 no\n"
					  "2001:db8:5 REJECT\n"
					  "IPv6:2001:db8:6::77 REJECT\n"
					  "IPv6:2001:db8:0007 REJECT\n");

	(void)state;
	assert_true(refuses(access, "10.9.9.9", 128));
	assert_false(refuses(access, "11.9.9.9", 128));
	assert_false(refuses(access, "10.1.9.9", 128));
	assert_true(refuses(access, "10.1.2.9", 128));
	assert_false(refuses(access, "10.1.2.3", 128));
	assert_false(refuses(access, "10.1.2.4", 128));
	assert_true(refuses(access, "10.1.2.5", 128));
	assert_false(refuses(access, "2001:db8:1::77", 128));
	assert_true(refuses(access, "2001:db8:1::66", 128));
	assert_true(refuses(access, "2001:db8:1:5::77", 128));
	assert_false(refuses(access, "2001:db8:2::77", 128));
	/* Sendmail finds none of these spellings */
	assert_false(refuses(access, "2001:db8:5::77", 128));
	assert_false(refuses(access, "2001:db8:6::77", 128));
	assert_false(refuses(access, "2001:db8:7::77", 128));
	access_free(access);
}

static void looks_up_the_family_last(void **state)
{
	struct access *access = access_of("Connect:IPv6 REJECT\nipv6:2001:db8 OK\n");

	(void)state;
	assert_true(refuses(access, "2001:db9::1", 128));
	assert_true(refuses(access, "2001:db9::1", 64));
	assert_false(refuses(access, "2001:db8::1", 128));
	assert_false(refuses(access, "192.0.2.1", 128));
	access_free(access);
}

static void a_refusing_row_inside_a_prefix_counts(void **state)
{
	struct access *access = access_of("Connect:IPv6:2001:db8:1:2:3:4:5:66 REJECT\n"
					  "IPv6:2001:db8:9 REJECT\n"
					  "IPv6:2001:db8:a:1 OK\n"
					  "connect:ipv6:2001:db8:b:1 OK\n"
					  "ipv6:2001:db8:b:1 REJECT\n"
					  "192.0.2.129 DISCARD\n"
					  "198.51.100 REJECT\n"
					  "0.0.0.0 REJECT\n");

	(void)state;
	assert_true(refuses(access, "2001:db8:1:2::", 64));
	assert_true(refuses(access, "2001:db8:1:2:ffff::", 64));
	assert_true(refuses(access, "2001:db8:1::", 48));
	assert_true(refuses(access, "2001:db8:1:0::", 56));
	assert_false(refuses(access, "2001:db8:1:1::", 64));
	assert_false(refuses(access, "2001:db8:1:3::", 64));
	assert_false(refuses(access, "2001:db8:1:2:4::", 80));
	assert_true(refuses(access, "2001:db8:9::", 48));
	assert_true(refuses(access, "2001:db8:9:1::", 64));
	assert_true(refuses(access, "2001:db8:8::", 46));
	assert_true(refuses(access, "::", 0));
	assert_false(refuses(access, "2001:db8:a::", 48));
	assert_false(refuses(access, "2001:db8:b::", 48)); /* hidden by its twin */
	assert_true(refuses(access, "192.0.2.0", 120));
	assert_true(refuses(access, "192.0.2.129", 128));
	assert_true(refuses(access, "192.0.2.128", 121));
	assert_false(refuses(access, "192.0.2.0", 121));
	assert_false(refuses(access, "192.0.2.1", 128));
	assert_true(refuses(access, "198.51.100.7", 128));
	assert_true(refuses(access, "198.51.0.0", 112));
	assert_true(refuses(access, "198.51.100.0", 127));
	assert_true(refuses(access, "0.0.0.0", 96));
	assert_true(refuses(access, "0.0.0.0", 64));
	access_free(access);
}

static void keys_that_are_no_addresses_refuse_none(void **state)
{
	struct access *access = access_of("1.2.3.4.5 REJECT\n256.1.1.1 REJECT\n"
					  "1..2 REJECT\n1.2. REJECT\n.1 REJECT\n"
					  "01.2.3.4 REJECT\n+1.2.3.4 REJECT\n"
					  "-1 REJECT\n1.2.3.4/32 REJECT\n"
					  "ipv6: REJECT\nipv6:1:2:3:4:5:6:7:8:9 REJECT\n"
					  "ipv6:10000 REJECT\nipv6:: REJECT\n"
					  "ipv6:0:0:0:0:0:ffff:102:304 REJECT\n"
					  "connect: REJECT\nspam.example REJECT\n"
					  "99999999999999999999 REJECT\n");

	(void)state;
	assert_false(refuses(access, "0.0.0.0", 96));
	assert_false(refuses(access, "1.2.3.4", 128));
	assert_false(refuses(access, "::", 0));
	access_free(access);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_rows_as_makemap),
		cmocka_unit_test(refuses_what_makemap_refuses),
		cmocka_unit_test(limits_the_length_of_a_line),
		cmocka_unit_test(finds_every_row_of_many),
		cmocka_unit_test(knows_which_values_refuse),
		cmocka_unit_test(looks_up_the_most_specific_row),
		cmocka_unit_test(looks_up_the_family_last),
		cmocka_unit_test(a_refusing_row_inside_a_prefix_counts),
		cmocka_unit_test(keys_that_are_no_addresses_refuse_none),
		cmocka_unit_test(reports_files_it_cannot_read),
	};

	return cmocka_run_group_tests_name("access", tests, make_path, remove_path);
}
