#include "dracd/login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/report.h"
#include "tests/unit/unit.h"

static int parse(const char *text, bool allow_prefix, struct login *ret)
{
	char line[LINE_SIZE_MAX + 1];
	const char *problem;
	struct words words;
	int r;

	snprintf(line, sizeof(line), "%s", text);
	r = words_parse(line, strlen(line), &words, &problem);
	return r < 0 ? r : login_parse(&words, "drac-login", allow_prefix, ret, &problem);
}

/* What the report client writes is what dracd reads. */
static void test_what_the_client_writes(void **state)
{
	struct report_login report = {
		.address = "203.0.113.9",
		.local_address = "198.51.100.1",
		.user = "b\xc3\xb6 b%=@x.net",
		.service = "imap",
		.ttl_ms = 5000,
		.wait_ms = 200,
	};
	struct login login;
	struct line line;
	int length = report_format(&report, &line);

	(void)state;
	assert_in_range(length, 1, LINE_SIZE_MAX);
	line.text[length - 1] = '\0';
	assert_int_equal(parse(line.text, false, &login), 0);
	assert_string_equal(login.user, report.user);
	assert_string_equal(login.service, "imap");
	assert_string_equal(login.reporter, "drac-login");
	assert_int_equal(login.ttl_usec, 5 * USEC_PER_SEC);
	assert_int_equal(login.wait_usec, 200 * USEC_PER_MSEC);
	assert_true(login.has_local);
}

static void test_renewal(void **state)
{
	static const char *const bad[] = {
		"renew address=1.2.3.4 user=bob",
		"renew address=1.2.3.4 service=imap",
		"renew address=1.2.3.4 user= service=imap",
		"renew user=bob service=imap",
		"renew address=10.0.0.0/8 user=bob service=imap",
		"renew address=1.2.3.4 user=bob service=imap ttl_ms=5",
		"renew address=1.2.3.4 user=bob service=imap wait_ms=5",
		"renew address=1.2.3.4 user=bob service=imap local=1.2.3.5",
	};
	struct login login;

	(void)state;
	assert_int_equal(parse("renew address=::ffff:1.2.3.4 user=bob service=imap",
				 false, &login),
		0);
	assert_true(login.is_renewal);
	assert_true(address_is_ipv4(&login.address));
	assert_string_equal(login.user, "bob");
	assert_int_equal(parse("login address=1.2.3.4 user=bob", false, &login), 0);
	assert_false(login.is_renewal);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(parse(bad[i], false, &login), -EBADMSG);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"login",
		"login address=",
		"login address=10.0.0",
		"login address=10.0.0.0/8",
		"login address",
		"login address=1.2.3.4 local=x",
		"login address=1.2.3.4 address=1.2.3.5",
		"login address=1.2.3.4 adress=1.2.3.5",
		"login address=1.2.3.4 service=IMAP",
		"login address=1.2.3.4 service=a/b",
		"login address=1.2.3.4 service=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"login address=1.2.3.4 ttl_ms=",
		"login address=1.2.3.4 ttl_ms=-1",
		"login address=1.2.3.4 ttl_ms=1.5",
		"login address=1.2.3.4 ttl_ms=99999999999999999999",
		"login address=1.2.3.4 wait_ms=x",
		"login address=1.2.3.4 user=%00",
		"login address=1.2.3.4 user=%0a",
		"login address=1.2.3.4 user=\xff",
	};
	char line[LINE_SIZE_MAX];
	struct login login;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(parse(bad[i], false, &login), -EBADMSG);
	assert_int_equal(
		snprintf(line, sizeof(line), "login address=1.2.3.4 user=%0256d", 0),
		283);
	assert_int_equal(parse(line, false, &login), -EBADMSG);
	assert_int_equal(parse("login address=10.0.0.0/8", true, &login), 0);
	assert_int_equal(parse("login address=10.0.0.1/8", true, &login), -EBADMSG);
	assert_int_equal(parse("login address=1.2.3.4 local=", false, &login), 0);
	assert_false(login.has_local);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_client_writes),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
