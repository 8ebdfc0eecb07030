/* Section rpc of drac.conf. */
#include "rpc/settings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* needs those before it */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct world {
	char directory[64];
	char file[96];
	char told[4096];
	struct settings settings;
};

static void tell(const char *problem, void *context)
{
	struct world *world = context;
	size_t used = strlen(world->told);

	snprintf(world->told + used, sizeof(world->told) - used, "%s\n", problem);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static int load(struct world *world, const char *text)
{
	settings_done(&world->settings);
	world->told[0] = '\0';
	write_file(world->file, text);
	return settings_load(world->file, &world->settings, tell, world);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	strcpy(world->directory, "/tmp/rpc-settings-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	snprintf(world->file, sizeof(world->file), "%s/drac.conf", world->directory);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char path[128];

	settings_done(&world->settings);
	unlink(world->file);
	snprintf(path, sizeof(path), "%s.d/a.conf", world->file);
	unlink(path);
	snprintf(path, sizeof(path), "%s.d", world->file);
	rmdir(path);
	rmdir(world->directory);
	free(world);
	return 0;
}

static void expect_defaults(const struct settings *settings)
{
	assert_int_equal(settings->listen.count, 2);
	assert_int_equal(settings->port, 10901);
	assert_int_equal(settings->udp, UDP_LOCAL);
	assert_true(settings->rpcbind);
	assert_int_equal(settings->max_connections, 1024);
	assert_string_equal(settings->report_socket, "/run/dracd/report");
	assert_string_equal(settings->allow_file, "/etc/drac/dracd.allow");
	assert_int_equal(settings->callers.count, 0);
	assert_int_equal(settings->lease_time_usec, 0);
	assert_int_equal(settings->max_leases, 10000);
	assert_int_equal(settings->max_rate, 2000);
	assert_true(settings->refused_is_success);
}

static void defaults(void **state)
{
	struct world *world = *state;

	assert_int_equal(load(world, ""), 0);
	expect_defaults(&world->settings);
	assert_int_equal(load(world, "rpc {}\n"), 0);
	expect_defaults(&world->settings);
}

static void values(void **state)
{
	struct world *world = *state;

	assert_int_equal(
		load(world, "rpc {\n"
			    "listen = {\"192.0.2.1\"} port = 900 udp = yes\n"
			    "rpcbind = no max_connections = 7\n"
			    "report_socket = \"/a\" allow_file = '/b'\n"
			    "callers = {\"10.0.0.0/8\", \"2001:db8::/32\", \"::1\"}\n"
			    "lease_time = 15min max_leases = 8 max_rate = 9\n"
			    "refused = perm }\n"),
		0);
	assert_string_equal(world->told, "");
	assert_int_equal(world->settings.listen.count, 1);
	assert_int_equal(world->settings.port, 900);
	assert_int_equal(world->settings.udp, UDP_YES);
	assert_false(world->settings.rpcbind);
	assert_int_equal(world->settings.max_connections, 7);
	assert_string_equal(world->settings.report_socket, "/a");
	assert_string_equal(world->settings.allow_file, "/b");
	assert_int_equal(world->settings.callers.count, 3);
	assert_int_equal(world->settings.lease_time_usec, 900000000);
	assert_int_equal(world->settings.max_leases, 8);
	assert_int_equal(world->settings.max_rate, 9);
	assert_false(world->settings.refused_is_success);
	assert_int_equal(load(world, "rpc { callers = {} udp = no }"), 0);
	assert_int_equal(world->settings.callers.count, 0);
	assert_int_equal(world->settings.udp, UDP_NO);
}

/* What dracd reads is not looked at, right or wrong, wherever a word of ours is in it. */
static void the_rest_of_the_file_is_not_ours(void **state)
{
	struct world *world = *state;

	assert_int_equal(load(world, "mode = enforce\nservice rpc { lease = yes }\n"
				     "deny = {\"rpc {\", 'port = 1'}\n"
				     "# rpc { port = 2 }\n/* rpc {\n */\n"
				     "no_such_option = { { } }\n"
				     "rpc { port = 3 }\n"
				     "map rpc { path = \"}\" }\nxrpc { port = 4 }\n"),
		0);
	assert_int_equal(world->settings.port, 3);
}

static void later_files_replace_single_options(void **state)
{
	struct world *world = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s.d", world->file);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s.d/a.conf", world->file);
	write_file(path, "mode = observe\nrpc { port = 5 callers = {\"::1\"} }\n");
	assert_int_equal(load(world, "rpc { port = 4 max_rate = 6\n"
				     "callers = {\"10.0.0.0/8\", \"127.0.0.1\"} }\n"),
		0);
	assert_int_equal(world->settings.port, 5);
	assert_int_equal(world->settings.max_rate, 6);
	assert_int_equal(world->settings.callers.count, 1);
	write_file(path, "\nrpc {\nport = x }\n");
	assert_int_equal(load(world, "rpc { max_rate = 0 }\n"), -EINVAL);
	assert_non_null(strstr(world->told, "drac.conf:1: max_rate = 0: number out"));
	assert_non_null(strstr(
		world->told, "drac.conf.d/a.conf:3: port = x: not a whole number"));
}

static void what_is_wrong_is_told(void **state)
{
	static const struct {
		const char *text, *told;
	} rows[] = {
		{"rpc { port = 0 }", ":1: port = 0: number out of range"},
		{"rpc { port = 65536 }", ":1: port = 65536: number out of range"},
		{"rpc { port = -1 }", "not a whole number"},
		{"\n\nrpc {\n\nudp = maybe }", ":5: udp = maybe: must be local"},
		{"rpc { rpcbind = on }", "must be yes or no"},
		{"rpc { refused = no }", "must be success or perm"},
		{"rpc { listen = {\"localhost\"} }", "not an address"},
		{"rpc { listen = {\"127.0.0.0/8\"} }", "must be an address"},
		{"rpc { listen = {} }", "listen is empty"},
		{"rpc { callers = {\"::1\", \"10.0.0.1/8\"} }", "host bits are set"},
		{"rpc { lease_time = 0 }", "must be from 1s to 1d"},
		{"rpc { lease_time = 2d }", "must be from 1s to 1d"},
		{"rpc { lease_time = 5 minutes }", ":1: "},
		{"rpc { lease_time = soon }", "not a duration"},
		{"rpc { allow_file = \"drac\" }", "must be an absolute path"},
		{"rpc { report_socket = \"\" }", "must be an absolute path"},
		{"rpc { prot = 1 }", ":1: no such option 'prot'"},
		{"rpc { port = 1", "section rpc has no end"},
		{"rpc { port = 1 /* }", "a comment has no end"},
		{"rpc { = 1 }", ":1: "},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		int r = load(world, rows[i].text);

		/* one problem, told once */
		if (r != -EINVAL || !strstr(world->told, rows[i].told) ||
			strchr(world->told, '\n')[1] != '\0')
			fail_msg("%s: %d, \"%s\"", rows[i].text, r, world->told);
	}
	unlink(world->file);
	world->told[0] = '\0';
	assert_int_equal(
		settings_load(world->file, &world->settings, tell, world), -EINVAL);
	assert_non_null(strstr(world->told, "No such file or directory"));
}

static void what_takes_effect_at_a_start_is_known(void **state)
{
	static const struct {
		const char *text;
		bool is_same;
	} rows[] = {
		{"rpc { callers = {\"::1\"} max_leases = 1 }", true},
		{"rpc { port = 1 }", false},
		{"rpc { listen = {\"127.0.0.1\"} }", false},
		{"rpc { listen = {\"127.0.0.1\", \"::2\"} }", false},
		{"rpc { udp = no }", false},
		{"rpc { report_socket = \"/x\" }", false},
	};
	struct world *world = *state;
	struct settings before;

	assert_int_equal(load(world, ""), 0);
	before = world->settings;
	world->settings = (struct settings){0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(load(world, rows[i].text), 0);
		if (settings_same_start(&before, &world->settings) != rows[i].is_same)
			fail_msg("%s", rows[i].text);
	}
	settings_done(&before);
}

static char *read_source(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(file);
	assert_in_range(fread(text, 1, 65535, file), 1, 65534);
	fclose(file);
	return text;
}

/* The table, drac.conf and drac-rpcd(8) name the same options and defaults. */
static void every_option_is_documented(void **state)
{
	char *conf = read_source("drac.conf"), *manual = read_source("rpc/drac-rpcd.8");
	struct world *world = *state;

	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		char wanted[128];

		snprintf(wanted, sizeof(wanted), "\n\t%s ", setting->name);
		if (!strstr(conf, wanted))
			fail_msg("drac.conf has no %s", setting->name);
		snprintf(wanted, sizeof(wanted), ".It Ic %s%s%s", setting->name,
			setting->is_list ? "" : " = ",
			setting->is_list ? "" : setting->fallback);
		if (!strstr(manual, wanted))
			fail_msg("drac-rpcd.8 does not say \"%s\"", wanted);
	}
	assert_int_equal(load(world, conf), 0);
	expect_defaults(&world->settings);
	free(conf);
	free(manual);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(defaults),
		TEST(values),
		TEST(the_rest_of_the_file_is_not_ours),
		TEST(later_files_replace_single_options),
		TEST(what_is_wrong_is_told),
		TEST(what_takes_effect_at_a_start_is_known),
		TEST(every_option_is_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
