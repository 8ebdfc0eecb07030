/* The file of a table is longer than what is in use, so that a commit need not lengthen
 * it. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/table_world.h"

enum {
	COMMITS = 120,
	LOGINS = 100, /* of a commit */
};

/* How often the table has asked for its size: in the place of the C library's. */
static unsigned asked;

int fstat(int fd, struct stat *status)
{
	asked++;
	return fstatat(fd, "", status, AT_EMPTY_PATH);
}

static off_t size_of(const struct world *world)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof(path), "%s/data.mdb", world->path);
	assert_int_equal(stat(path, &status), 0);
	return status.st_size;
}

static void reopen(struct world *world, enum durability durability)
{
	assert_int_equal(table_close(world->table), 0);
	world->settings.durability = durability;
	world->settings.max_leases = (uint64_t)COMMITS * LOGINS;
	open_table(world, at(0), 0);
}

/* One commit of LOGINS new leases, none of which was in one before. */
static void grant_some(struct world *world, unsigned commit)
{
	struct table_grant grant;
	struct login login = {0};

	assert_int_equal(table_begin(world->table, at(1)), 0);
	for (unsigned i = 0; i < LOGINS; i++) {
		struct address key = address_of("2001:db8::");

		key.ip.s6_addr[14] = (uint8_t)commit;
		key.ip.s6_addr[15] = (uint8_t)i;
		snprintf(login.user, sizeof(login.user), "user%u-%u", commit, i);
		assert_int_equal(table_login(world->table, &key, &login,
					 60 * USEC_PER_SEC, at(1), PER_USER, &grant),
			0);
	}
	assert_int_equal(table_commit(world->table, false), 0);
}

static void test_no_commit_lengthens_the_file(void **state)
{
	struct world *world = *state;
	unsigned lengthened = 0;

	reopen(world, DURABILITY_FULL);
	table_make_room(world->table);
	asked = 0;
	for (unsigned i = 0; i < COMMITS; i++) {
		off_t before = size_of(world), after;

		grant_some(world, i);
		assert_int_equal(size_of(world), before);
		table_make_room(world->table);
		after = size_of(world);
		lengthened += after != before;
	}
	/* now and then only */
	assert_in_range(lengthened, 1, 10);
	/* each time makes the next sync dearer */
	assert_int_equal(asked, lengthened);
}

/* Where nobody waits for the disk there is nothing to be gained. */
static void test_without_sync_there_is_none(void **state)
{
	struct world *world = *state;
	off_t before = size_of(world);

	table_make_room(world->table);
	assert_int_equal(size_of(world), before);
}

static void test_it_does_without(void **state)
{
	struct world *world = *state;
	struct rlimit old, limit;
	void (*handler)(int);

	reopen(world, DURABILITY_FULL);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){(rlim_t)size_of(world) + 100 * 1024, old.rlim_max};
	handler = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	table_make_room(world->table);
	assert_int_equal(size_of(world), limit.rlim_cur);
	grant_some(world, 0);
	assert_int_equal(table_get_state(world->table)->ipv6, LOGINS);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, handler);
	/* and what was begun is no obstacle later */
	table_make_room(world->table);
	assert_true(size_of(world) > (off_t)limit.rlim_cur);
	reopen(world, DURABILITY_FULL);
	assert_int_equal(table_get_state(world->table)->ipv6, LOGINS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_no_commit_lengthens_the_file),
		TEST(test_without_sync_there_is_none),
		TEST(test_it_does_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
