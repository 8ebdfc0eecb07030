#include "client/ctl_sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define HEADER23 "username\tproto\tpid\tip\n"
#define HEADER24 "username\tservice\tpid\tip\tdest_ip\n"

/* Reads length octets at text; the result of sessions_read(). */
static int read_octets(const char *text, size_t length, struct sessions *sessions,
	unsigned long *ret_line, const char **ret_problem)
{
	FILE *from = fmemopen((char *)(uintptr_t)text, length, "r");
	int r;

	assert_non_null(from);
	*sessions = (struct sessions){0};
	r = sessions_read(from, sessions, ret_line, ret_problem);
	fclose(from);
	return r;
}

static int read_text(const char *text, struct sessions *sessions)
{
	unsigned long line;
	const char *problem;

	return read_octets(text, strlen(text), sessions, &line, &problem);
}

static void assert_group(const struct session_group *group, const char *user,
	const char *address, const char *service, unsigned long long count)
{
	assert_string_equal(group->user, user);
	assert_string_equal(group->address, address);
	assert_string_equal(group->service, service);
	assert_int_equal(group->count, count);
}

static void both_versions_are_read(void **state)
{
	struct sessions sessions;

	(void)state;
	assert_int_equal(read_text(HEADER23 "alice\timap\t28337\t127.0.1.4\n"
					    "bob\tpop3\t28350\t2001:db8::1\n",
				 &sessions),
		0);
	assert_int_equal(sessions.count, 2);
	assert_group(&sessions.groups[0], "alice", "127.0.1.4", "imap", 1);
	assert_group(&sessions.groups[1], "bob", "2001:db8::1", "pop3", 1);
	sessions_done(&sessions);
	assert_int_equal(read_text(HEADER24 "bob\tpop3\t20199\t127.0.0.78\t127.0.0.1\n",
				 &sessions),
		0);
	assert_int_equal(sessions.count, 1);
	assert_group(&sessions.groups[0], "bob", "127.0.0.78", "pop3", 1);
	sessions_done(&sessions);
	/* by name, not by place */
	assert_int_equal(read_text("ip\tx\tservice\tusername\n1.2.3.4\t\timap\tbob b\n",
				 &sessions),
		0);
	assert_group(&sessions.groups[0], "bob b", "1.2.3.4", "imap", 1);
	sessions_done(&sessions);
}

static void each_is_kept_once(void **state)
{
	struct sessions sessions;

	(void)state;
	assert_int_equal(read_text(HEADER23 "bob\timap\t1\t1.2.3.4\n"
					    "bob\timap\t2\t1.2.3.4\n"
					    "bob\timap\t3\t::ffff:1.2.3.4\n"
					    "bob\tpop3\t4\t1.2.3.4\n"
					    "bo\timap\t5\t1.2.3.4\n"
					    "bob\timap\t6\t2001:DB8:0::7\n"
					    "bob\timap\t7\t2001:db8::7\n",
				 &sessions),
		0);
	assert_int_equal(sessions.all, 7);
	assert_int_equal(sessions.count, 4);
	assert_group(&sessions.groups[0], "bob", "1.2.3.4", "imap", 3);
	assert_group(&sessions.groups[1], "bob", "1.2.3.4", "pop3", 1);
	assert_group(&sessions.groups[2], "bo", "1.2.3.4", "imap", 1);
	assert_group(&sessions.groups[3], "bob", "2001:db8::7", "imap", 2);
	sessions_done(&sessions);
}

static void those_without_address_or_user_are_counted(void **state)
{
	struct sessions sessions;

	(void)state;
	assert_int_equal(
		read_text(HEADER24 "bob\timap\t1\t\t\n\timap\t2\t1.2.3.4\t\n", &sessions),
		0);
	assert_int_equal(sessions.all, 2);
	assert_int_equal(sessions.without, 2);
	assert_int_equal(sessions.count, 0);
	sessions_done(&sessions);
	assert_int_equal(read_text(HEADER23, &sessions), 0);
	assert_int_equal(sessions.all, 0);
	sessions_done(&sessions);
}

static void what_is_malformed_is_named(void **state)
{
	static const struct {
		const char *text;
		unsigned long line;
	} rows[] = {
		{"\n", 1},
		{"Fatal: connect(anvil) failed\n", 1},
		{"username\tproto\tpid\n", 1},
		{"username\tpid\tip\n", 1},
		{"proto\tpid\tip\n", 1},
		{"username # proto (pids) (ips)\n", 1},
		{"username\tproto\tpid\tip", 1},
		{"a\tb\tc\td\te\tf\tg\th\ti\tj\tk\tl\tm\tn\to\tp\tq\tr\ts\tt\tu\tv\tw\tx\ty\tz\t"
		 "a\tb\tc\td\te\tf\tg\tusername\tproto\tip\n",
			1},
		{HEADER23 "bob\timap\t1\n", 2},
		{HEADER23 "bob\timap\t1\t1.2.3.4\t\n", 2},
		{HEADER23 "bob\timap\t1\t1.2.3.4\nbob\timap\t1\t1.2.3\n", 3},
		{HEADER23 "bob\timap\t1\t1.2.3.4/24\n", 2},
		{HEADER23 "bob\timap\t1\tlocalhost\n", 2},
		{HEADER23 "\n", 2},
		{HEADER23 "bob\timap\t1\t1.2.3.4\nbob\timap\t1\t1.2.3.4", 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sessions sessions;
		unsigned long line = 0;
		const char *problem = NULL;

		assert_int_equal(read_octets(rows[i].text, strlen(rows[i].text),
					 &sessions, &line, &problem),
			-EBADMSG);
		assert_int_equal(line, rows[i].line);
		assert_non_null(problem);
		sessions_done(&sessions);
	}
}

static void octets_that_do_not_belong_there(void **state)
{
	static const char zero[] = HEADER23 "bo\0b\timap\t1\t1.2.3.4\n";
	char text[6000] = HEADER23;
	struct sessions sessions;
	unsigned long line;
	const char *problem;

	(void)state;
	assert_int_equal(read_octets(zero, sizeof(zero) - 1, &sessions, &line, &problem),
		-EBADMSG);
	assert_int_equal(line, 2);
	sessions_done(&sessions);
	memset(text + strlen(text), 'x', sizeof(text) - strlen(text));
	text[sizeof(text) - 1] = '\n';
	assert_int_equal(
		read_octets(text, sizeof(text), &sessions, &line, &problem), -EBADMSG);
	assert_string_equal(problem, "it is too long");
	sessions_done(&sessions);
	assert_int_equal(read_octets("", 1, &sessions, &line, &problem), -EBADMSG);
	sessions_done(&sessions);
}

/* So many that the table grows several times. */
static void many_sessions(void **state)
{
	enum {
		MANY = 5000
	};

	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct sessions sessions;

	(void)state;
	assert_non_null(to);
	fputs(HEADER23, to);
	for (unsigned i = 0; i < 2 * MANY; i++)
		fprintf(to, "u%u\timap\t1\t10.0.%u.%u\n", i % MANY, i % MANY / 256,
			i % MANY % 256);
	fclose(to);
	assert_int_equal(read_text(text, &sessions), 0);
	assert_int_equal(sessions.all, 2 * MANY);
	assert_int_equal(sessions.count, MANY);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(sessions.groups[i].count, 2);
	sessions_done(&sessions);
	free(text);
}

/* What is kept has an end. */
static void too_many_sessions(void **state)
{
	char name[3500];
	FILE *from = tmpfile();
	struct sessions sessions = {0};
	unsigned long line;
	const char *problem;

	(void)state;
	assert_non_null(from);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	fputs(HEADER23, from);
	for (unsigned i = 0; i < (64 << 20) / sizeof(name) + 1; i++)
		fprintf(from, "%s%u\timap\t1\t1.2.3.4\n", name, i);
	rewind(from);
	assert_int_equal(sessions_read(from, &sessions, &line, &problem), -E2BIG);
	sessions_done(&sessions);
	fclose(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_versions_are_read),
		cmocka_unit_test(each_is_kept_once),
		cmocka_unit_test(those_without_address_or_user_are_counted),
		cmocka_unit_test(what_is_malformed_is_named),
		cmocka_unit_test(octets_that_do_not_belong_there),
		cmocka_unit_test(many_sessions),
		cmocka_unit_test(too_many_sessions),
	};

	return cmocka_run_group_tests_name("ctl_sessions", tests, NULL, NULL);
}
