#include "tests/unit/config_world.h"

static void test_defaults(void **state)
{
	struct world *world = *state;
	const struct config *config;

	assert_int_equal(load(world, ""), 0);
	config = world->config;
	assert_int_equal(config->mode, MODE_ENFORCE);
	assert_int_equal(config->durability, DURABILITY_FULL);
	assert_int_equal(config->lease_time_usec, 1800 * USEC_PER_SEC);
	assert_int_equal(config->lease_time_max_usec, 4 * 3600 * USEC_PER_SEC);
	assert_int_equal(config->revoke_hold_usec, 24 * 3600 * USEC_PER_SEC);
	assert_int_equal(config->ipv6_prefix, 128);
	assert_int_equal(config->max_leases, 100000);
	assert_int_equal(config->lease_networks.count, 2);
	assert_string_equal(config->state_directory, "/var/lib/dracd");
	assert_string_equal(config->report.path, "/run/dracd/report");
	assert_string_equal(config_reporter(config, 0), "root");
	assert_null(config_reporter(config, 4242));
	assert_true(config_service(config, "imap")->lease);
	assert_false(config_service(config, "submission")->lease);
	assert_null(config_service(config, "smtp"));
	assert_int_equal(config->map_count, 0);
}

static void test_values(void **state)
{
	struct world *world = *state;
	const struct config *config;
	char text[1024];

	snprintf(text, sizeof(text),
		"# a comment with \"quotes' in it\n"
		"mode = observe # and one here\n"
		"lease_time = 6s\nlease_time_max=90min\n"
		"deny = {\"10.0.0.0/8\", \"2001:db8::/32\"} // the third kind\n"
		"never_lease_users = {\"*#@x.net\"}\n"
		"reporters = {\"4242\"}\n"
		"service pop3 { lease_time = 2h }\nservice smtp { lease = yes }\n"
		"service imap { lease = no }\n"
		"lookup a { protocol = socketmap path = \"/run/x\" mode = 0666 group = \"%u\" }\n",
		(unsigned)getegid());
	assert_int_equal(load(world, text), 0);
	config = world->config;
	assert_int_equal(config->mode, MODE_OBSERVE);
	assert_int_equal(config->lease_time_usec, 6 * USEC_PER_SEC);
	assert_int_equal(config->deny.count, 2);
	assert_string_equal(config->never_lease_users.items[0], "*#@x.net");
	assert_string_equal(config_reporter(config, 4242), "4242");
	assert_null(config_reporter(config, 0));
	assert_int_equal(
		config_service(config, "pop3")->lease_time_usec, 7200 * USEC_PER_SEC);
	assert_true(config_service(config, "pop3")->lease);
	assert_true(config_service(config, "smtp")->lease);
	assert_false(config_service(config, "imap")->lease);
	assert_int_equal(config->lookup_count, 1);
	assert_int_equal(config->lookups[0].protocol, LOOKUP_SOCKETMAP);
	assert_int_equal(config->lookups[0].socket.mode, 0666);
	assert_int_equal(config->lookups[0].socket.group, getegid());
}

static void test_problems_with_lines(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *problem;
	} rows[] = {
		{"\n\nlease_time = soon\n", 3, "lease_time = soon: not a duration"},
		{"# one\n# two\nlease_time = 0s\n", 3,
			"lease_time = 0s: duration too short"},
		{"lease_time = 100d", 1, "lease_time = 100d: duration too long"},
		{"\nlease_tyme = 5s\n", 2, "unknown option 'lease_tyme'; see"},
		{"mode = on", 1, "mode = on: must be enforce or observe"},
		{"durability = none", 1,
			"durability = none: must be full, batch or process"},
		{"ipv6_prefix = 129", 1, "ipv6_prefix = 129: must be a prefix length"},
		{"max_leases = 0", 1, "max_leases = 0: number out of range"},
		{"max_leases = many", 1, "max_leases = many: not a whole number"},
		{"deny = {\"10.0.0.1/8\"}", 1, "deny = 10.0.0.1/8: host bits are set"},
		{"deny = {\n\"10.0.0.0/8\",\n\"x\"}", 3,
			"deny = x: not an address or network"},
		{"reporters = {\"no-such-account\"}", 1,
			"reporters = no-such-account: no such"},
		{"admin_group = no-such-group", 1,
			"admin_group = no-such-group: no such"},
		{"report_socket = run/x", 1,
			"report_socket = run/x: must be an absolute"},
		{"service imap { lease = perhaps }", 1,
			"lease = perhaps: must be yes or no"},
		{"service imap {\n\n leese = yes }", 3, "unknown option 'leese'; see"},
		{"lookup a {\n protocol = tcp\n}", 2,
			"protocol = tcp: must be policy, socketmap or plain"},
		{"map a {\n type = dbm\n}", 2, "type = dbm: unknown map type"},
		{"map a {\n keys = exim4\n}", 2, "keys = exim4: must be postfix"},
		{"map a {\n mode = 9\n}", 2, "mode = 9: must be an octal mode"},
		{"map a {\n nul = 0\n}", 2, "nul = 0: must be auto, yes or no"},
		{"map a {\n value = \"\"\n}", 2, "value = : must not be empty"},
		{"state_directory = \"\"", 1, "state_directory = : must not be empty"},
		{"map a {\n value = \"unix:foo\"\n}", 2, "value = unix:foo: a colon"},
		{"map a {\n value = \"1234567890 5\"\n}", 2,
			"value = 1234567890 5: digits and more"},
		{"map a {\n value = 12a\n}", 2, "value = 12a: digits and more"},
		{"map a {\n page_size = 500\n}", 2, "page_size = 500: number out"},
		{"map a {\n page_size = 131072\n}", 2, "page_size = 131072: number out"},
		{"map a {\n page_size = 513\n}", 2, "page_size = 513: must be auto or a"},
		{"map a {\n value = \"OK \"\n}", 2, "value = OK : must be one to 64"},
		{"map a {\n value = \"O\\tK\"\n}", 2,
			"value = O\tK: must be of printable ASCII"},
		{"mode = \"enforce", 1, ""},
		/* libconfuse gives up here without a word */
		{"mode = enforce\n\"\"\ndeny = {\"10.0.0.0/8\"}\n", 2,
			"an option without a name"},
		{"\n\"lease tyme\" = 5s\n", 2, "unknown option 'lease tyme'"},
		{"state_directory = \"/var//lib\"", 1,
			"state_directory = /var//lib: must be written without"},
		{"report_socket = \"/run/x.new\"", 1,
			"report_socket = /run/x.new: must not end in .new"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(load(world, rows[i].text), -EINVAL);
		assert_true(has_problem(world, rows[i].line, rows[i].problem));
	}
}

static void test_all_values_are_told_at_once(void **state)
{
	struct world *world = *state;

	assert_int_equal(
		load(world,
			"mode = x\nlease_time = y\nmax_leases = z\ndeny = {\"a\", \"b\"}\n"),
		-EINVAL);
	assert_true(has_problem(world, 1, "mode"));
	assert_true(has_problem(world, 2, "lease_time"));
	assert_true(has_problem(world, 3, "max_leases"));
	assert_true(has_problem(world, 4, "deny = a"));
	assert_true(has_problem(world, 4, "deny = b"));
	assert_int_equal(world->problems.errors, 5);
}

/* Unknown options and sections in all places, bad values, and what does not fit together:
 * each once, in the order of the lines. */
static void test_all_problems_are_told_at_once(void **state)
{
	static const char text[] =
		"lease_tyme = 5min\n"
		"deny = {\"10.0.0.1/8\"} colour = { \"a}\", b }\n"
		"service imap { leese = \"no\" lease = maybe }\n"
		"mapp x {\n  type = hash # lost\n  deep { a = 1 }\n}\n"
		"lease_time = 2h\n"
		"lease_time_max = 1h\n"
		"lookup a { protocol = policy  path = \"/x\"  grupp = g }\n"
		"lookup b {\n protocol = policy\n path = \"/x\"\n}\n"
		"lookup c {\n path = \"/y\" }\n"
		"mode = off\n";

	static const struct {
		unsigned line;
		const char *problem;
	} rows[] = {
		{1, "unknown option 'lease_tyme'"},
		{2, "deny = 10.0.0.1/8: host bits"},
		{2, "unknown option 'colour'"},
		{3, "lease = maybe: must be yes or no"},
		{3, "unknown option 'leese'"},
		{4, "unknown option 'mapp'"},
		{10, "unknown option 'grupp'"},
		{17, "mode = off: must be"},
		{16, "lookup c: protocol: must be given"},
		{12, "lookup b: path is that of lookup a"},
	};
	struct world *world = *state;

	assert_int_equal(load(world, text), -EINVAL);
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_true(has_problem(world, rows[i].line, rows[i].problem));
	assert_int_equal(world->problems.errors, COUNT(rows));
	for (size_t i = 1; i < 8; i++)
		assert_true(world->problems.items[i].line >=
			    world->problems.items[i - 1].line);
}

static void test_comments(void **state)
{
	struct world *world = *state;

	assert_int_equal(load(world, "/* one\n \" two */ mode = observe # three /*\n"
				     "// four\nlease_time = 5s /**/\n"),
		0);
	assert_int_equal(world->config->mode, MODE_OBSERVE);
	assert_int_equal(world->config->lease_time_usec, 5 * USEC_PER_SEC);
	assert_int_equal(
		load(world, "mode = observe /* no end\nlease_time = 5s\n"), -EINVAL);
	assert_non_null(strstr(world->problems.items[0].text, "a comment has no end"));
}

static void test_a_long_list_of_bad_values(void **state)
{
	enum {
		SIZE = 40000 * 16
	};

	struct world *world = *state;
	char *text = calloc(SIZE, 1);
	size_t length = (size_t)snprintf(text, SIZE, "deny = {");

	for (unsigned i = 0; i < 30000; i++)
		length +=
			(size_t)snprintf(text + length, SIZE - length, "\"%u/33\",\n", i);
	snprintf(text + length, SIZE - length, "\"x\"}\n");
	assert_int_equal(load(world, text), -EINVAL);
	assert_in_range(world->problems.count, 900, 1000);
	assert_true(world->problems.errors > world->problems.count);
	free(text);
}

/* More than anyone wants to read; and what cannot be blanked does not go on for ever. */
static void test_very_many_unknown(void **state)
{
	struct world *world = *state;
	char *text = calloc(200, 16);

	for (unsigned i = 0; i < 200; i++)
		snprintf(text + strlen(text), 16, "x%u = y\n", i);
	assert_int_equal(load(world, text), -EINVAL);
	assert_in_range(world->problems.errors, 40, 60);
	free(text);
	assert_int_equal(load(world, "\"a b\" = 3\nmode = x\n"), -EINVAL);
	assert_true(world->problems.errors > 0);
}

/* Section rpc is drac-rpcd's, right or wrong; what stands beside it is not. */
static void test_section_of_the_gateway(void **state)
{
	struct world *world = *state;

	assert_int_equal(load(world, "rpc { port = all\n no_such = {\"}\", {1}} }\n"
				     "lease_time = 6s rpc{}lease_time_max = 7s\n"),
		0);
	assert_int_equal(world->config->lease_time_usec, 6 * USEC_PER_SEC);
	assert_int_equal(world->config->lease_time_max_usec, 7 * USEC_PER_SEC);
	assert_int_equal(load(world, "rpc {\n}\nmode = on\n"), -EINVAL);
	assert_int_equal(world->problems.items[0].line, 3);
	assert_int_equal(load(world, "service rpc { leese = yes }\n"), -EINVAL);
	assert_int_equal(load(world, "rpc = 3\n"), -EINVAL);
	/* it must not swallow what follows */
	assert_int_equal(
		load(world, "rpc { port = 1\ndeny = {\"10.0.0.0/8\"}\n"), -EINVAL);
	assert_non_null(strstr(world->problems.items[0].text, "section rpc has no end"));
}

static void test_between_options(void **state)
{
	static const struct {
		const char *text, *problem;
	} rows[] = {
		{"lease_time = 2h\nlease_time_max = 1h",
			"drac.conf:1: lease_time: is longer than lease_time_max"},
		{"lookup a { path = \"/x\" }", "lookup a: protocol: must be given"},
		{"lookup a { protocol = policy }", "lookup a: path: must be given"},
		{"lookup a { protocol = policy path = \"/x\" }\n"
		 "lookup b { protocol = policy path = \"/x\" }",
			"lookup b: path is that of"},
		{"lookup a { protocol = plain path = \"/x\" services = {\"imap\", \"smtp\"} }",
			"drac.conf:1: lookup a: services: smtp is no service; to make it one: "
			"service smtp { lease = yes }"},
		{"lookup a { protocol = plain path = \"/x\" services = {\"\"} }",
			"lookup a: services:  is no service"},
		{"lookup a { protocol = plain path = \"/x\" networks = {\"10.0.0.1/8\"} }",
			"networks = 10.0.0.1/8: host bits are set"},
		{"reporter nobody { max_leases = 5 }",
			"drac.conf:1: reporter nobody: is not among the reporters"},
		{"reporters = {\"65533\"}\nreporter 65533 { max_rate = 0 }",
			"max_rate = 0: number out of range"},
		{"control_socket = \"/x\"\nlookup a { protocol = policy path = \"/x\" }",
			"lookup a: path is that of the report or control socket"},
#if WITH_BDB
		{"map a { type = hash keys = postfix path = \"/x\" }\n"
		 "map b { type = hash keys = sendmail path = \"/x\" }",
			"drac.conf:2: map b: path is that of map a"},
		{"map a { type = hash keys = postfix path = \"/x\" mode = 0664 }",
			"map a: mode = 0664: whoever may write the file"},
		{"map a { type = hash keys = sendmail path = \"/x\" static = \"/y\" }",
			"map a: static: only a map with keys = access"},
		{"ipv6_prefix = 64\nmap a { type = hash keys = sendmail path = \"/x\" }",
			"map a: ipv6_prefix = 64 cannot be expressed"},
#endif
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool found = false;

		assert_int_equal(load(world, rows[i].text), -EINVAL);
		for (size_t n = 0; n < world->problems.count; n++)
			found |= strstr(world->problems.items[n].text, rows[i].problem) !=
				 NULL;
		assert_true(found);
	}
}

static void test_views(void **state)
{
	/* each differs from the first, by which a reload knows that it is another one */
	static const char *const rows[] = {
		"services = {\"pop3\", \"fax\"} networks = {\"10.0.0.0/8\", \"2001:db8::/32\"}",
		"",
		"services = {\"pop3\"} networks = {\"10.0.0.0/8\", \"2001:db8::/32\"}",
		"services = {\"fax\", \"imap\"} networks = {\"10.0.0.0/8\", \"2001:db8::/32\"}",
		"services = {\"pop3\", \"fax\"} networks = {\"10.0.0.0/8\"}",
		"services = {\"pop3\", \"fax\"} networks = {\"10.0.0.0/8\", \"2001:db8::/33\"}",
	};
	struct world *world = *state;
	struct config *first = NULL;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lookup_settings *lookup;
		char text[256];

		snprintf(text, sizeof(text),
			"service fax { lease = yes }\nlookup a { protocol = plain path = \"/x\" %s }\n",
			rows[i]);
		assert_int_equal(load(world, text), 0);
		lookup = &world->config->lookups[0];
		assert_int_equal(lookup->protocol, LOOKUP_PLAIN);
		assert_true(config_same_lookup(lookup, lookup));
		if (first)
			assert_false(config_same_lookup(&first->lookups[0], lookup));
		else
			first = config_ref(world->config);
		assert_int_equal(load(world, text), 0);
		assert_int_equal(config_same_lookup(
					 &first->lookups[0], &world->config->lookups[0]),
			i == 0);
	}
	assert_int_equal(first->lookups[0].view.services.count, 2);
	assert_string_equal(first->lookups[0].view.services.items[1], "fax");
	assert_int_equal(first->lookups[0].view.networks.count, 2);
	config_unref(first);
}

/* A service that another mistake has kept out is not unknown as well. */
static void test_services_of_a_view_are_judged_last(void **state)
{
	struct world *world = *state;

	assert_int_equal(load(world, "service fax { lease = perhaps }\n"
				     "lookup a { protocol = plain path = \"/x\" "
				     "services = {\"fax\", \"imap\"} }\n"),
		-EINVAL);
	assert_int_equal(world->problems.count, 1);
}

/* What the message says, and drac.conf(5). */
static void test_length_of_a_socket_path(void **state)
{
	struct world *world = *state;
	char path[102], text[256];

	for (unsigned length = 100; length <= 101; length++) {
		memset(path, 'x', length);
		path[0] = '/';
		path[length] = '\0';
		snprintf(text, sizeof(text),
			"lookup a { protocol = plain path = \"%s\" }\n", path);
		assert_int_equal(load(world, text), length > 100 ? -EINVAL : 0);
	}
	assert_non_null(strstr(world->problems.items[0].text, "at most 100 octets"));
}

static void test_further_files(void **state)
{
	struct world *world = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s.d", world->file);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s.d/10-first.conf", world->file);
	write_file(path, "lease_time = 10s\ndeny = {\"10.0.0.0/8\"}\n");
	snprintf(path, sizeof(path), "%s.d/20-second.conf", world->file);
	write_file(path, "lease_time = 20s\n");
	snprintf(path, sizeof(path), "%s.d/30-not-read", world->file);
	write_file(path, "junk");
	assert_int_equal(load(world, "lease_time = 5s\ndeny = {\"1.2.3.4\"}\n"), 0);
	assert_int_equal(world->config->lease_time_usec, 20 * USEC_PER_SEC);
	assert_int_equal(world->config->deny.count, 1);
	assert_int_equal(world->config->deny.items[0].length, 104);
	snprintf(path, sizeof(path), "%s.d/20-second.conf", world->file);
	write_file(path, "\nlease_time = x\n");
	assert_int_equal(load(world, ""), -EINVAL);
	assert_non_null(
		strstr(world->problems.items[0].text, "20-second.conf:2: lease_time"));
}

static void test_no_file(void **state)
{
	struct world *world = *state;

	assert_int_equal(
		config_load("/nonexistent/x.conf", &world->config, &world->problems),
		-EINVAL);
	assert_string_equal(world->problems.items[0].text,
		"/nonexistent/x.conf: No such file or directory");
}

/* Reads a file of the source tree; the tests run in its top folder. */
static char *read_source(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(file);
	assert_in_range(fread(text, 1, 65535, file), 1, 65534);
	fclose(file);
	return text;
}

/* The table of options, drac.conf and drac.conf(5) name the same options and defaults. */
static void test_every_option_is_documented(void **state)
{
	char *conf = read_source("drac.conf"), *manual = read_source("dracd/drac.conf.5");

	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		char wanted[128];

		assert_non_null(strstr(conf, option->name));
		snprintf(wanted, sizeof(wanted), ".It Ic %s", option->name);
		if (!strstr(manual, wanted))
			fail_msg("drac.conf.5 has no entry for %s", option->name);
		if (option->is_list || !option->fallback || !*option->fallback)
			continue;
		snprintf(wanted, sizeof(wanted), ".It Ic %s = %s", option->name,
			option->fallback);
		if (option->scope == SCOPE_GLOBAL && !strstr(manual, wanted))
			fail_msg("drac.conf.5 does not say \"%s\"", wanted);
	}
	free(conf);
	free(manual);
}

static void test_shipped_file_is_the_defaults(void **state)
{
	struct world *world = *state;
	struct config *shipped = NULL;

	assert_int_equal(load(world, ""), 0);
	assert_int_equal(config_load("drac.conf", &shipped, &world->problems), 0);
	assert_int_equal(shipped->lease_time_usec, world->config->lease_time_usec);
	assert_int_equal(shipped->max_leases, world->config->max_leases);
	assert_int_equal(shipped->reporter_count, world->config->reporter_count);
	assert_int_equal(shipped->service_count, world->config->service_count);
	assert_int_equal(shipped->reporters.count, world->config->reporters.count);
	config_compare(world->config, shipped, &world->problems);
	assert_int_equal(world->problems.count, 0);
	config_unref(shipped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_values),
		TEST(test_problems_with_lines),
		TEST(test_all_values_are_told_at_once),
		TEST(test_all_problems_are_told_at_once),
		TEST(test_very_many_unknown),
		TEST(test_comments),
		TEST(test_a_long_list_of_bad_values),
		TEST(test_section_of_the_gateway),
		TEST(test_between_options),
		TEST(test_views),
		TEST(test_services_of_a_view_are_judged_last),
		TEST(test_length_of_a_socket_path),
		TEST(test_further_files),
		TEST(test_no_file),
		TEST(test_every_option_is_documented),
		TEST(test_shipped_file_is_the_defaults),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
