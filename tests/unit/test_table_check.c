/* What the check of the table finds before anybody trusts it. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/resource.h>

#include "dracd/table_internal.h"
#include "tests/unit/table_world.h"

static void close_table(struct world *world)
{
	(void)table_close(world->table);
	world->table = NULL;
}

static int check(const struct world *world)
{
	struct table_state counted;

	return table_check(&world->settings, 30, &counted);
}

static void test_damage_is_found(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	char file[64], junk[4096];
	off_t end;
	int fd;

	for (unsigned i = 0; i < 90; i++) {
		char address[32];

		snprintf(address, sizeof(address), "203.0.113.%u", i);
		assert_int_equal(login(world, address, "", 0, 60, &grant), 0);
	}
	close_table(world);
	snprintf(file, sizeof(file), "%s/data.mdb", world->path);
	memset(junk, 0x5a, sizeof(junk));
	fd = open(file, O_WRONLY);
	end = lseek(fd, 0, SEEK_END);
	assert_in_range(end, 8 * 4096, 1 << 30);
	for (off_t page = 2; page < end / 4096; page++)
		assert_int_equal(
			pwrite(fd, junk, sizeof(junk), page * 4096), sizeof(junk));
	close(fd);
	assert_int_equal(check(world), -EUCLEAN);
}

/* Takes the first row of a database of a closed table, and puts another in its place:
 * with octet number `at` of its key, or of its value, changed by one bit. */
struct change {
	const char *name;
	bool of_value;
	unsigned at;
	bool drop; /* put nothing */
};

static void change_row(const struct world *world, const struct change *change)
{
	uint8_t key_copy[64], value_copy[512];
	MDB_val key = {0}, value;
	MDB_cursor *cursor;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
	assert_int_equal(mdb_env_open(env, world->path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, change->name, 0, &dbi), 0);
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
	memcpy(key_copy, key.mv_data, key.mv_size);
	memcpy(value_copy, value.mv_data, value.mv_size);
	key.mv_data = key_copy;
	value.mv_data = value_copy;
	assert_int_equal(mdb_cursor_del(cursor, 0), 0);
	mdb_cursor_close(cursor);
	(change->of_value ? value_copy : key_copy)[change->at] ^= 1;
	if (!change->drop)
		assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* Each database is sound by itself; only together they are not. */
static void test_rows_that_do_not_fit(void **state)
{
	static const struct change changes[] = {
		{"leases", .drop = true},
		{"leases", .of_value = true, .at = 8}, /* the deadline's last octet */
		{"leases", .at = 15},                  /* the address */
		{"expiry", .drop = true}, {"expiry", .at = 7}, {"expiry", .at = 8 + 15},
		{"users", .drop = true}, {"users", .at = 0}, /* of the hash of the user */
		{"users", .at = 8 + 15},
		{"users", .of_value = true, .at = 16}, /* his name */
	};
	struct world *world = *state;
	struct table_grant grant;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
		assert_int_equal(login(world, "2001:db8::7", "eve", 1, 60, &grant), 0);
		close_table(world);
		assert_int_equal(check(world), 0);
		change_row(world, &changes[i]);
		assert_int_equal(check(world), -EUCLEAN);
		remove_table(world);
		open_table(world, at(2), 0);
	}
}

/* What the check has counted is what table_open() would count. */
static void test_counts(void **state)
{
	struct world *world = *state;
	struct table_state counted;
	struct table_grant grant;
	uint64_t dropped;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	assert_int_equal(login(world, "203.0.113.10", "bob", 0, 60, &grant), 0);
	assert_int_equal(login(world, "2001:db8::7", "eve", 1, 60, &grant), 0);
	assert_int_equal(login(world, "2001:db8:0:7::/64", "eve", 1, 60, &grant), 0);
	close_table(world);
	assert_int_equal(table_check(&world->settings, 30, &counted), 0);
	assert_int_equal(counted.ipv4, 2);
	assert_int_equal(counted.ipv6, 2);
	assert_int_equal(
		table_open(&world->settings, NULL, at(2), &world->table, &dropped), 0);
	assert_memory_equal(table_get_state(world->table)->lengths, counted.lengths,
		sizeof(counted.lengths));
	assert_int_equal(table_get_state(world->table)->ipv4, 2);
	assert_int_equal(table_get_state(world->table)->ipv6, 2);
	close_table(world);
	open_table(world, at(3), 0);
	assert_memory_equal(table_get_state(world->table)->lengths, counted.lengths,
		sizeof(counted.lengths));
	assert_int_equal(table_get_state(world->table)->ipv4, 2);
	assert_int_equal(table_get_state(world->table)->ipv6, 2);
	/* another boot, in which one of them is over, is counted again */
	close_table(world);
	world->settings.boot_id[0]++;
	open_table(world, at(60), 2);
	assert_int_equal(table_get_state(world->table)->ipv4, 0);
	assert_int_equal(table_get_state(world->table)->ipv6, 2);
}

/* A child that could not look has not found damage. */
static void test_want_is_no_damage(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	struct rlimit old, none;

	assert_int_equal(login(world, "203.0.113.9", "bob", 0, 60, &grant), 0);
	close_table(world);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(check(world), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(check(world), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_damage_is_found),
		TEST(test_rows_that_do_not_fit),
		TEST(test_counts),
		TEST(test_want_is_no_damage),
	};

	return cmocka_run_group_tests_name("table_check", tests, NULL, NULL);
}
