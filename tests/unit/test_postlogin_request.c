/* Dovecot's post-login request: whatever is in it, what goes back is what came. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/postlogin_request.h"

#define VERSION "VERSION\tscript-login\t1\t0\n"

/* As Dovecot 2.3 sends it. */
static const char REAL[] = VERSION
	"127.0.0.1\t203.0.113.9\tbob\tquota_rule=*:storage=1G\tfoo=bar\tuid=6001\tgid=6001\t"
	"home=/home/bob\tauth_mech=PLAIN\tauth_token=0123456789abcdef\n";
static const char REAL_ANSWER[] =
	"bob\tquota_rule=*:storage=1G\tfoo=bar\tuid=6001\tgid=6001\t"
	"home=/home/bob\tauth_mech=PLAIN\tauth_token=0123456789abcdef\n";

static int parse(const char *text, struct postlogin_request *ret)
{
	return postlogin_request_parse(text, strlen(text), ret);
}

static void assert_answer(const struct postlogin_request *request, const char *expected)
{
	assert_int_equal(request->answer_length, strlen(expected));
	assert_memory_equal(request->answer, expected, strlen(expected));
}

static void a_real_request_is_read(void **state)
{
	struct postlogin_request request;

	(void)state;
	assert_int_equal(parse(REAL, &request), 0);
	assert_null(request.problem);
	assert_string_equal(request.local_ip, "127.0.0.1");
	assert_string_equal(request.remote_ip, "203.0.113.9");
	assert_string_equal(request.user, "bob");
	assert_string_equal(request.mechanism, "PLAIN");
	assert_answer(&request, REAL_ANSWER);
}

static void every_part_of_a_request_is_incomplete(void **state)
{
	struct postlogin_request request;

	(void)state;
	for (size_t length = 0; length < sizeof(REAL) - 1; length++)
		assert_int_equal(
			postlogin_request_parse(REAL, length, &request), -EAGAIN);
}

static void the_fewest_fields_are_enough(void **state)
{
	struct postlogin_request request;

	(void)state;
	assert_int_equal(parse(VERSION "\t\tbob\n", &request), 0);
	assert_null(request.problem);
	assert_string_equal(request.local_ip, "");
	assert_string_equal(request.remote_ip, "");
	assert_string_equal(request.user, "bob");
	assert_string_equal(request.mechanism, "");
	assert_answer(&request, "bob\n");
}

static void what_follows_the_request_is_not_handed_back(void **state)
{
	struct postlogin_request request;

	(void)state;
	assert_int_equal(parse(VERSION "::1\t::2\tbob\nmore\n", &request), 0);
	assert_answer(&request, "bob\n");
}

static void a_later_minor_version_is_understood(void **state)
{
	struct postlogin_request request;

	(void)state;
	assert_int_equal(
		parse("VERSION\tscript-login\t1\t17\n::1\t::2\tbob\n", &request), 0);
}

static void another_protocol_is_refused(void **state)
{
	static const char *const lines[] = {"VERSION\tscript-login\t2\t0\n",
		"VERSION\tscript-login\t10\t0\n", "VERSION\tscript-login\t1\t\n",
		"VERSION\tscript-login\t1\n", "VERSION\tscript-login\t1\tx\n",
		"VERSION\tanvil\t1\t0\n", "version\tscript-login\t1\t0\n", "\n",
		"VERSION script-login 1 0\n", "127.0.0.1\t203.0.113.9\tbob\n"};
	struct postlogin_request request;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (parse(lines[i], &request) != -EPROTONOSUPPORT)
			fail_msg("%s", lines[i]);
}

static void a_request_without_a_user_cannot_be_answered(void **state)
{
	struct postlogin_request request;

	(void)state;
	assert_int_equal(parse(VERSION "\n", &request), -EBADMSG);
	assert_int_equal(parse(VERSION "127.0.0.1\n", &request), -EBADMSG);
	assert_int_equal(parse(VERSION "127.0.0.1\t203.0.113.9\n", &request), -EBADMSG);
}

static void escapes_are_decoded_for_us_and_kept_for_dovecot(void **state)
{
	struct postlogin_request request;

	(void)state;
	assert_int_equal(
		parse(VERSION "::1\t::2\ta\001tb\001nc\001rd\0011e\001zf\tx=\001t\n",
			&request),
		0);
	assert_null(request.problem);
	assert_string_equal(request.user, "a\tb\nc\rd\001ezf");
	assert_answer(&request, "a\001tb\001nc\001rd\0011e\001zf\tx=\001t\n");
	/* an escape that is cut off stands for itself */
	assert_int_equal(parse(VERSION "::1\t::2\ta\001\n", &request), 0);
	assert_string_equal(request.user, "a\001");
}

static void a_user_that_cannot_be_reported_is_answered(void **state)
{
	static char text[4096], user[2 * REQUEST_USER_SIZE];
	struct postlogin_request request;

	(void)state;
	assert_int_equal(parse(VERSION "::1\t::2\ta\0010b\tx=y\n", &request), 0);
	assert_non_null(request.problem);
	assert_answer(&request, "a\0010b\tx=y\n");

	memset(user, 'u', sizeof(user) - 1);
	snprintf(text, sizeof(text), VERSION "::1\t::2\t%s\tx=y\n", user);
	assert_int_equal(parse(text, &request), 0);
	assert_non_null(request.problem);
	assert_int_equal(request.answer_length, strlen(user) + strlen("\tx=y\n"));

	user[REQUEST_USER_SIZE - 1] = '\0';
	snprintf(text, sizeof(text), VERSION "::1\t::2\t%s\tx=y\n", user);
	assert_int_equal(parse(text, &request), 0);
	assert_null(request.problem);
	assert_string_equal(request.user, user);
}

static void addresses_that_do_not_fit_are_not_cut_short(void **state)
{
	struct postlogin_request request;
	char address[INET6_ADDRSTRLEN + 1], text[256];

	(void)state;
	memset(address, '1', INET6_ADDRSTRLEN);
	address[INET6_ADDRSTRLEN] = '\0';
	snprintf(text, sizeof(text), VERSION "::1\t%s\tbob\n", address);
	assert_int_equal(parse(text, &request), 0);
	assert_non_null(request.problem);
	assert_answer(&request, "bob\n");
	snprintf(text, sizeof(text), VERSION "%s\t::2\tbob\n", address);
	assert_int_equal(parse(text, &request), 0);
	assert_non_null(request.problem);
	address[INET6_ADDRSTRLEN - 1] = '\0';
	snprintf(text, sizeof(text), VERSION "%s\t::2\tbob\n", address);
	assert_int_equal(parse(text, &request), 0);
	assert_null(request.problem);
}

static void a_nul_in_a_request_goes_back(void **state)
{
	static const char data[] = VERSION "::1\t::2\tbob\tx=\0y\n";
	static const char answer[] = "bob\tx=\0y\n";
	struct postlogin_request request;

	(void)state;
	assert_int_equal(postlogin_request_parse(data, sizeof(data) - 1, &request), 0);
	assert_int_equal(request.answer_length, sizeof(answer) - 1);
	assert_memory_equal(request.answer, answer, sizeof(answer) - 1);
}

static void only_the_field_itself_is_the_mechanism(void **state)
{
	static const struct {
		const char *fields;
		const char *mechanism;
	} cases[] = {
		{"auth_mech=ANONYMOUS", "ANONYMOUS"},
		{"auth_mech=", ""},
		{"auth_mech", ""},
		{"xauth_mech=PLAIN", ""},
		{"x=auth_mech=PLAIN", ""},
		{"auth_mech=PLAIN\tauth_mech=ANONYMOUS", "ANONYMOUS"},
		{"auth_mech=ANONYMOUS\tauth_mech=PLAIN", "ANONYMOUS"},
		{"auth_mech=a-mechanism-whose-name-is-much-too-long", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct postlogin_request request;
		char text[256];

		snprintf(text, sizeof(text), VERSION "::1\t::2\tbob\t%s\n",
			cases[i].fields);
		assert_int_equal(parse(text, &request), 0);
		assert_null(request.problem);
		assert_string_equal(request.mechanism, cases[i].mechanism);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_request_is_read),
		cmocka_unit_test(every_part_of_a_request_is_incomplete),
		cmocka_unit_test(the_fewest_fields_are_enough),
		cmocka_unit_test(what_follows_the_request_is_not_handed_back),
		cmocka_unit_test(a_later_minor_version_is_understood),
		cmocka_unit_test(another_protocol_is_refused),
		cmocka_unit_test(a_request_without_a_user_cannot_be_answered),
		cmocka_unit_test(escapes_are_decoded_for_us_and_kept_for_dovecot),
		cmocka_unit_test(a_user_that_cannot_be_reported_is_answered),
		cmocka_unit_test(addresses_that_do_not_fit_are_not_cut_short),
		cmocka_unit_test(a_nul_in_a_request_goes_back),
		cmocka_unit_test(only_the_field_itself_is_the_mechanism),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
