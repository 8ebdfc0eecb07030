#include "dracd/lookup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/no_server.h"
#include "tests/unit/unit.h"

#define POLICY "request=smtpd_access_policy\n"

static void test_policy(void **state)
{
	static const struct {
		const char *request;
		const char *address; /* NULL: none to be looked up */
		size_t rest;         /* octets of what follows */
	} rows[] = {
		{POLICY "client_address=203.0.113.9\n\n", "203.0.113.9", 0},
		{"client_address=203.0.113.9\n" POLICY "\n", "203.0.113.9", 0},
		{POLICY "client_address=2001:db8::7\nx=y\n\n", "2001:db8::7", 0},
		{POLICY "client_address=::ffff:203.0.113.9\n\n", "203.0.113.9", 0},
		{POLICY "client_address=203.0.113.9\n\nreque", "203.0.113.9", 5},
		{POLICY "client_address=unknown\n\n", NULL, 0},
		{POLICY "client_address=\n\n", NULL, 0},
		{POLICY "client_address=203.0.113.9 \n\n", NULL, 0},
		{POLICY "client_address=203.0.113.9\nclient_address=203.0.113.9\n\n",
			NULL, 0},
		{POLICY "xclient_address=203.0.113.9\n\n", NULL, 0},
		{"request=junk\nclient_address=203.0.113.9\n\n", NULL, 0},
		{"client_address=203.0.113.9\n\n", NULL, 0},
		{"\n", NULL, 0},
	};

	static const char part[] = POLICY "client_address=203.0.113.9\n\n";
	struct address address;
	bool has_address;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t length = strlen(rows[i].request);

		assert_int_equal(
			policy_parse(rows[i].request, length, &has_address, &address),
			length - rows[i].rest);
		assert_int_equal(has_address, rows[i].address != NULL);
		if (rows[i].address) {
			struct address wanted = address_of(rows[i].address);

			assert_int_equal(address_compare(&address, &wanted), 0);
		}
	}
	for (size_t cut = 0; cut < sizeof(part) - 1; cut++)
		assert_int_equal(policy_parse(part, cut, &has_address, &address), 0);
}

static void test_socketmap_keys(void **state)
{
	static const struct {
		const char *query;
		const char *address; /* NULL: none to be looked up */
	} rows[] = {
		{"drac 203.0.113.9", "203.0.113.9"},
		{"x 2001:db8::0:7", "2001:db8::7"},
		{"drac ipv6:2001:db8::7", "2001:db8::7"},
		{"drac IPv6:2001:DB8::7", "2001:db8::7"},
		{"drac ipv6:2001:db8:0:0:0:0:0:7", "2001:db8::7"},
		{"drac 2001:db8:0:0:0:0:0:7", "2001:db8::7"},
		{"drac ::ffff:203.0.113.9", "203.0.113.9"},
		{"drac ipv6:1.2.3.4", NULL},
		{"drac ipv6:", NULL},
		{"drac unknown", NULL},
		{"drac host.sub.client.example", NULL},
		{"drac 203.0.113.9 ", NULL},
		{"drac  203.0.113.9", NULL},
		{"drac 203.0.113", NULL},
		{"drac ", NULL},
		{"drac", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char request[128];
		struct address address;
		bool has_address = false;
		int length = snprintf(request, sizeof(request), "%zu:%s,",
			strlen(rows[i].query), rows[i].query);

		/* whole, with something after it, and cut anywhere */
		assert_int_equal(
			socketmap_parse(request, (size_t)length, &has_address, &address),
			length);
		assert_int_equal(has_address, rows[i].address != NULL);
		request[length] = '1';
		assert_int_equal(socketmap_parse(request, (size_t)length + 1,
					 &has_address, &address),
			length);
		for (size_t cut = 0; cut < (size_t)length; cut++)
			assert_int_equal(
				socketmap_parse(request, cut, &has_address, &address), 0);
		if (rows[i].address) {
			struct address wanted = address_of(rows[i].address);

			assert_int_equal(address_compare(&address, &wanted), 0);
		}
	}
}

static void test_malformed_netstrings(void **state)
{
	static const char *const rows[] = {"3:abcd", "03:abc,", ":,",
		"x:", "-1:", "+1:a,", " 1:a,", "10001:", "99999999999999999999:", "1;a,",
		"00:,"};
	struct address address;
	bool has_address;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(
			socketmap_parse(rows[i], strlen(rows[i]), &has_address, &address),
			-EBADMSG);
	assert_int_equal(socketmap_parse("10000:", 6, &has_address, &address), 0);
}

static void test_plain(void **state)
{
	static const struct {
		const char *line;
		const char *address; /* NULL: none to be looked up */
	} rows[] = {
		{"203.0.113.9", "203.0.113.9"},
		{"drac 203.0.113.9", "203.0.113.9"},
		{"2001:db8::7", "2001:db8::7"},
		{"drac ipv6:2001:db8:0:0:0:0:0:7", "2001:db8::7"},
		{"IPv6:2001:DB8::7", "2001:db8::7"},
		{"x ::ffff:203.0.113.9", "203.0.113.9"},
		{"", NULL},
		{" ", NULL},
		{" 203.0.113.9", NULL},
		{"203.0.113.9 ", NULL},
		{"drac  203.0.113.9", NULL},
		{"drac\t203.0.113.9", NULL},
		{"two words 203.0.113.9", NULL},
		{"dr\x01"
		 "ac 203.0.113.9",
			NULL},
		{"dr\xff"
		 "ac 203.0.113.9",
			NULL},
		{"drac", NULL},
		{"drac ", NULL},
		{"ipv6:203.0.113.9", NULL},
		{"203.0.113.9\r", "203.0.113.9"},
		{"203.0.113.9\r\r", NULL},
		{"203.0.113", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char request[128];
		struct address address;
		bool has_address = false;
		size_t size = strlen(rows[i].line);
		size_t length =
			(size_t)snprintf(request, sizeof(request), "%s\nx", rows[i].line);

		/* with a newline, and something after it or not; or with the end */
		assert_int_equal(
			plain_parse(request, length, false, &has_address, &address),
			size + 1);
		assert_int_equal(has_address, rows[i].address != NULL);
		assert_int_equal(
			plain_parse(request, size + 1, true, &has_address, &address),
			size + 1);
		assert_int_equal(has_address, rows[i].address != NULL);
		assert_int_equal(
			plain_parse(request, size, true, &has_address, &address), size);
		assert_int_equal(has_address, rows[i].address != NULL);
		for (size_t cut = 0; cut <= size; cut++)
			assert_int_equal(
				plain_parse(request, cut, false, &has_address, &address),
				0);
		if (rows[i].address) {
			struct address wanted = address_of(rows[i].address);

			assert_int_equal(address_compare(&address, &wanted), 0);
		}
	}
}

static void test_plain_line_that_is_too_long(void **state)
{
	char line[1025];
	struct address address;
	bool has_address = true;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line + 1011, " 203.0.113.9\n", 13);
	/* 1024 octets with the newline are a line, though nobody needs one */
	assert_int_equal(
		plain_parse(line, sizeof(line), false, &has_address, &address), 1024);
	assert_true(has_address);
	assert_int_equal(plain_parse(line, 1023, false, &has_address, &address), 0);
	line[1023] = 'x';
	line[1024] = '\n';
	assert_int_equal(
		plain_parse(line, sizeof(line), false, &has_address, &address), 1025);
	assert_false(has_address);
	has_address = true;
	assert_int_equal(plain_parse(line, 1024, true, &has_address, &address), 1024);
	assert_false(has_address);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_socketmap_keys),
		cmocka_unit_test(test_malformed_netstrings),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_plain_line_that_is_too_long),
	};

	return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
