/* Which maps drac.conf may have, and what is said of others. */
#include "tests/unit/config_world.h"

/* Sections of a map "a" but for its path, and what is said of it; NULL: nothing. */
static void test_maps(void **state)
{
	static const struct {
		const char *text, *problem;
	} rows[] = {
		{"type = hash keys = exim", NULL},
		{"type = hash keys = exim nul = no", NULL},
		{"type = btree keys = postfix", NULL},
		{"type = btree keys = access", NULL},
		{"type = lmdb", NULL},
		{"type = lmdb keys = postfix nul = no mode = 0600", NULL},
		{"type = cdb keys = postfix nul = yes", NULL},
		{"type = cdb keys = exim", NULL},
		{"type = iplsearch", NULL},
		{"type = iplsearch keys = plain nul = no", NULL},
		{"type = lsearch value = yes", NULL},
		{"type = relayhosts", NULL},
		{"type = relayhostsusers", NULL},
		{"type = hash keys = postfix value = 1234567890", NULL},
		{"type = hash keys = postfix value = \"ok by login\"", NULL},
		{"type = hash keys = sendmail value = yes", NULL},
		{"type = hash keys = access value = RELAY", NULL},
		{"type = btree keys = drac", NULL},
		{"type = hash keys = drac value = RELAY", NULL},
		{"type = btree keys = drac value = deadline page_size = 512", NULL},
		{"type = btree keys = sendmail value = deadline", NULL},
		{"type = hash keys = postfix page_size = 65536", NULL},
		{"type = hash keys = postfix page_size = auto", NULL},
		{"type = cdb keys = drac", "keys = drac with type = cdb"},
		{"type = hash keys = drac value = yes", "does not permit in Postfix"},
		{"type = lmdb value = deadline", "value = deadline: only for type"},
		{"type = hash keys = access value = deadline", "only RELAY permits"},
		{"type = lmdb page_size = 512", "page_size: a file of type = lmdb"},
		{"type = hash", "keys: must be given"},
		{"type = cdb", "keys: must be given"},
		{"type = hash keys = plain",
			"keys = plain with type = hash: each MTA asks"},
		{"type = lmdb keys = exim", "with type = lmdb: only Postfix reads"},
		{"type = lmdb keys = sendmail", "for Sendmail use type = hash"},
		{"type = cdb keys = sendmail", "with type = cdb: Postfix and Exim read"},
		{"type = cdb keys = access", "for Sendmail type = hash"},
		{"type = iplsearch keys = exim", "use keys = plain"},
		{"type = lsearch keys = plain", "use keys = exim"},
		{"type = cidr keys = postfix", "use keys = plain"},
		{"type = texthash keys = plain", "use keys = postfix"},
		{"type = relayhosts keys = postfix", "has keys = plain"},
		{"type = relayhostsusers keys = exim", "has keys = plain"},
		{"type = iplsearch nul = yes", "nul = yes: there is no NUL in a text"},
		{"type = cdb keys = exim nul = yes", "Exim asks a cdb for keys without"},
		{"type = iplsearch value = x",
			"value: a row of type = iplsearch has none"},
		{"type = relayhosts value = x", "value: a row of type = relayhosts has"},
		{"type = relayhostsusers value = x", "value: it is who has logged in"},
		{"type = hash keys = access value = OK", "only RELAY permits"},
		{"type = hash keys = postfix value = yes", "does not permit in Postfix"},
		{"type = lmdb value = REJECT", "does not permit in Postfix"},
		{"type = cidr value = OKAY", "does not permit in Postfix"},
		{"type = lmdb mode = 0444", "dracd itself reads and writes"},
		{"type = hash keys = postfix mode = 0044", "dracd itself reads"},
		{"type = iplsearch static = \"/y\"", "static: only a map with keys"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "map a {\n path = \"/x\" %s }\n",
			rows[i].text);
		assert_int_equal(load(world, text), rows[i].problem ? -EINVAL : 0);
		assert_int_equal(world->problems.errors, rows[i].problem ? 1 : 0);
		if (!rows[i].problem)
			continue;
		assert_true(has_problem(world, 2, "map a: "));
		if (!strstr(world->problems.items[0].text, rows[i].problem))
			fail_msg("%s: %s", rows[i].text, world->problems.items[0].text);
	}
}

static void test_map_prefixes(void **state)
{
	static const struct {
		unsigned prefix;
		const char *text, *problem;
	} rows[] = {
		{64, "type = hash keys = drac", "keys = drac, which"},
		{64, "type = hash keys = postfix", NULL},
		{64, "type = hash keys = access", NULL},
		{64, "type = hash keys = exim", NULL},
		{60, "type = lsearch", NULL},
		{60, "type = iplsearch", NULL},
		{60, "type = cidr value = OK", NULL},
		{64, "type = hash keys = sendmail",
			"which FEATURE(drac) asks for hosts; use ipv6_prefix = 128, keys = "
			"access, or a lookup"},
		{60, "type = lmdb",
			"keys = postfix, which goes by groups of 16; use ipv6_prefix = 128 "
			"or 64, or a lookup"},
		{56, "type = btree keys = access", "which goes by groups of 16"},
		{64, "type = relayhosts", "which lists addresses only; use type = ipl"},
		{64, "type = relayhostsusers", "which lists addresses only"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			"ipv6_prefix = %u\nmap a { path = \"/x\" %s }\n", rows[i].prefix,
			rows[i].text);
		assert_int_equal(load(world, text), rows[i].problem ? -EINVAL : 0);
		if (rows[i].problem)
			assert_non_null(
				strstr(world->problems.items[0].text, rows[i].problem));
	}
}

static void test_what_a_map_has_by_its_type(void **state)
{
	static const struct {
		const char *text;
		enum key_form keys;
		enum nul nul;
		unsigned interval_ms, end_interval_ms;
	} rows[] = {
		{"type = hash keys = postfix", KEY_POSTFIX, NUL_YES, 250, 1000},
		{"type = cdb keys = postfix", KEY_POSTFIX, NUL_NO, 250, 1000},
		{"type = lmdb", KEY_POSTFIX, NUL_YES, 100, 100},
		{"type = hash keys = sendmail", KEY_SENDMAIL, NUL_NO, 250, 250},
		{"type = btree keys = access", KEY_ACCESS, NUL_NO, 250, 250},
		{"type = hash keys = exim", KEY_EXIM, NUL_YES, 250, 250},
		{"type = hash keys = exim nul = no", KEY_EXIM, NUL_NO, 250, 250},
		{"type = btree keys = drac", KEY_DRAC, NUL_NO, 250, 1000},
		{"type = cdb keys = exim", KEY_EXIM, NUL_NO, 250, 250},
		{"type = lsearch", KEY_EXIM, NUL_NO, 250, 250},
		{"type = iplsearch", KEY_PLAIN, NUL_NO, 250, 250},
		{"type = iplsearch interval = 3s end_interval = 0", KEY_PLAIN, NUL_NO,
			3000, 0},
		{"type = relayhostsusers", KEY_PLAIN, NUL_NO, 250, 250},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct map_config *map;
		char text[256];

		snprintf(
			text, sizeof(text), "map a { path = \"/x\" %s }\n", rows[i].text);
		assert_int_equal(load(world, text), 0);
		map = &world->config->maps[0];
		assert_int_equal(map->keys, rows[i].keys);
		assert_int_equal(map->nul, rows[i].nul);
		assert_int_equal(map->interval_usec, rows[i].interval_ms * USEC_PER_MSEC);
		assert_int_equal(
			map->end_interval_usec, rows[i].end_interval_ms * USEC_PER_MSEC);
		assert_int_equal(config_shows_users(world->config),
			map->type == MAP_RELAYHOSTSUSERS);
	}
}

static void test_maps_for_export(void **state)
{
	struct world *world = *state;

	assert_int_equal(load(world, "map a { path = \"/x\" type = cidr }\n"
				     "map b { path = \"/y\" type = texthash }\n"),
		0);
	assert_int_equal(world->problems.count, 2);
	assert_true(world->problems.items[0].is_warning);
	assert_true(has_problem(world, 1, "map a: type = cidr is for export only"));
	assert_true(has_problem(world, 2, "map b: type = texthash is for export only"));
}

/* One path may have several types, but one file one map only. */
static void test_files_of_maps(void **state)
{
	struct world *world = *state;

	assert_int_equal(
		load(world, "map a { path = \"/x\" type = hash keys = postfix }\n"
			    "map b { path = \"/x\" type = lmdb }\n"
			    "map c { path = \"/x\" type = iplsearch }\n"),
		0);
	assert_int_equal(
		load(world, "map a { path = \"/x\" type = hash keys = postfix }\n"
			    "map b { path = \"/x\" type = btree keys = exim }\n"
			    "map c { path = \"/x.db\" type = iplsearch }\n"),
		-EINVAL);
	assert_true(has_problem(world, 2, "map b: path is that of map a"));
	assert_true(has_problem(world, 3, "map c: path is that of map b"));
}

/* Nor is it one that the administrator writes, or dracd for itself. */
static void test_files_of_others(void **state)
{
	struct world *world = *state;
	char text[512], other[64];

	assert_int_equal(load(world, "map a { path = \"/s\" type = lsearch }\n"
				     "map b { path = \"/x\" type = hash keys = access "
				     "static = \"/s\" }\n"
				     "map c { path = \"/y\" type = hash keys = access "
				     "static = \"/y.db\" }\n"),
		-EINVAL);
	assert_int_equal(world->problems.count, 2);
	assert_true(has_problem(world, 1, "map a: path: /s is the static file of map b"));
	assert_true(
		has_problem(world, 3, "map c: path: /y.db is the static file of map c"));
	snprintf(other, sizeof(other), "%s/other", world->directory);
	assert_int_equal(link(world->file, other), 0);
	snprintf(text, sizeof(text),
		"map a { path = \"%s\" type = iplsearch }\n"
		"map b { path = \"%s\" type = lsearch }\n",
		world->file, other);
	assert_int_equal(load(world, text), -EINVAL);
	assert_int_equal(world->problems.count, 2);
	assert_true(has_problem(world, 1, "map a: path: /tmp/"));
	assert_non_null(strstr(
		world->problems.items[1].text, "/other is part of this configuration"));
	assert_int_equal(
		load(world, "state_directory = \"/none/s\"\n"
			    "map a { path = \"/none/s/blocks\" type = lsearch }\n"
			    "map b { path = \"/none/s/maps/b\" type = lsearch }\n"
			    "map c { path = \"/none/blocks\" type = lsearch }\n"
			    "map d { path = \"/none/s/d\" type = lsearch }\n"),
		-EINVAL);
	assert_int_equal(world->problems.count, 1);
	assert_true(
		has_problem(world, 2, "map a: path: /none/s/blocks is a file of dracd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_maps),
		TEST(test_map_prefixes),
		TEST(test_what_a_map_has_by_its_type),
		TEST(test_maps_for_export),
		TEST(test_files_of_maps),
		TEST(test_files_of_others),
	};

	return cmocka_run_group_tests_name("config_map", tests, NULL, NULL);
}
