/* An lmdb map that is changed in place, under its readers. */
#include "tests/unit/lmdb_world.h"

#include <sys/mman.h>
#include <sys/resource.h>

enum {
#ifdef __SANITIZE_THREAD__ /* which makes each of them ten times as slow */
	DELTAS = 1000,
#else
	DELTAS = 10000,
#endif
	READERS = 2,
};

/* What readers tell, in shared memory. */
struct shared {
	unsigned lookups, misses, strangers, errors;
	bool over;
};

static void read_on(const char *file, struct shared *shared)
{
	MDB_env *env = open_reader(file);

	die_with_parent();
	while (!__atomic_load_n(&shared->over, __ATOMIC_ACQUIRE)) {
		char there[] = "connect:10.0.7.77", never[] = "connect:10.99.0.0";
		int r = look_up(env, there);

		if (r != 0)
			__atomic_add_fetch(
				r == MDB_NOTFOUND ? &shared->misses : &shared->errors, 1,
				__ATOMIC_RELAXED);
		if (look_up(env, never) != MDB_NOTFOUND)
			__atomic_add_fetch(&shared->strangers, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->lookups, 1, __ATOMIC_RELAXED);
	}
	_exit(0);
}

static struct shared *new_shared(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(shared, MAP_FAILED);
	return shared;
}

/* 4,000 rows come and go around 1,000 of which one is asked for again and again; the file
 * outgrows the map of its readers. */
static void readers_never_miss_what_is_there(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 1800, 2800);
	struct shared *shared = new_shared();
	pid_t readers[READERS];
	struct stat status;

	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = fork();
		if (readers[i] == 0)
			read_on(world->file, shared);
	}
	for (unsigned i = 0; i < DELTAS; i++) {
		bool is_put = i / 80 % 2 == 0;

		assert_int_equal(map_begin_delta(world->map, &identity), 0);
		for (unsigned n = 0; n < 50; n++) /* 80 times 50 rows, to and fro */
			change(world, 10000 + i % 80 * 50 + n, is_put);
		assert_int_equal(commit(world, &identity), 0);
		assert_int_equal(
			is_put ? world->counts.added : world->counts.removed, 50);
	}
	__atomic_store_n(&shared->over, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < READERS; i++)
		assert_ended_well(readers[i]);
	assert_int_equal(shared->misses, 0);
	assert_int_equal(shared->strangers, 0);
	assert_int_equal(shared->errors, 0);
	assert_true(shared->lookups > DELTAS / 10);
	assert_int_equal(stat(world->file, &status), 0);
	assert_true(status.st_size > 256 << 10);
	munmap(shared, sizeof(*shared));
}

static void a_delta_waits_for_a_reader(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10);
	int end;
	pid_t child = start_holder(world->file, true, &end);

	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	change(world, 10, true);
	assert_int_equal(commit(world, &identity), 0);
	assert_ended_well(child);
	close(end);
	assert_rows(world, 0, 11);
}

/* The rows first to last - 1 and no others, in the published file. */
static int write_whole(
	struct world *world, unsigned first, unsigned last, struct map_identity *identity)
{
	assert_int_equal(map_begin_whole(world->map, identity), 0);
	for (unsigned i = first; i < last; i++)
		change(world, i, true);
	return commit(world, identity);
}

static void assert_counts(const struct world *world, unsigned added, unsigned removed,
	unsigned replaced, unsigned unchanged)
{
	assert_int_equal(world->counts.added, added);
	assert_int_equal(world->counts.removed, removed);
	assert_int_equal(world->counts.replaced, replaced);
	assert_int_equal(world->counts.unchanged, unchanged);
}

static void a_whole_change_reaches_who_has_the_file(void **state)
{
	struct world *world = *state;
	char gone[] = "connect:10.0.0.7", stays[] = "connect:10.0.0.17",
	     comes[] = "connect:10.0.0.27";
	struct map_identity identity = rebuild(world, 0, 20), before = identity;
	MDB_env *env = open_reader(world->file);

	assert_int_equal(look_up(env, gone), 0);
	assert_int_equal(look_up(env, comes), MDB_NOTFOUND);
	assert_int_equal(write_whole(world, 10, 30, &identity), 0);
	assert_counts(world, 10, 10, 0, 10);
	assert_int_equal(identity.inode, before.inode);
	assert_int_equal(look_up(env, gone), MDB_NOTFOUND);
	assert_int_equal(look_up(env, stays), 0);
	assert_int_equal(look_up(env, comes), 0);
	assert_rows(world, 10, 30);
	/* another value; a key that is put and deleted is not there */
	assert_int_equal(map_begin_whole(world->map, &identity), 0);
	for (unsigned i = 10; i < 30; i++)
		change(world, i, true);
	change(world, 27, false);
	assert_int_equal(map_put(world->map, stays, "OK"), 0);
	assert_int_equal(commit(world, &identity), 0);
	assert_counts(world, 0, 1, 1, 18);
	assert_int_equal(look_up(env, comes), MDB_NOTFOUND);
	mdb_env_close(env);
	assert_int_equal(map_begin_whole(world->map, &before), -ESTALE);
}

static void a_whole_change_of_nothing_is_none(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 20), before = identity;

	assert_int_equal(write_whole(world, 0, 20, &identity), MAP_UNCHANGED);
	assert_counts(world, 0, 0, 0, 20);
	assert_true(map_identity_equal(&identity, &before));
	assert_int_equal(map_identify(world->map, &identity), 0);
	assert_true(map_identity_equal(&identity, &before));
	assert_int_equal(write_whole(world, 0, 0, &identity), 0);
	assert_counts(world, 0, 20, 0, 0);
	assert_rows(world, 0, 0);
}

/* Each is many transactions; one row, that readers ask for again and again, is in all. */
static void large_changes_keep_what_stays(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 1800, 2800), before = identity;
	struct shared *shared = new_shared();
	pid_t readers[READERS];

	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = fork();
		if (readers[i] == 0)
			read_on(world->file, shared);
	}
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(write_whole(world, 1500, 60000, &identity), 0);
		assert_int_equal(map_begin_delta(world->map, &identity), 0);
		for (unsigned n = 2800; n < 60000; n++)
			change(world, n, false);
		assert_int_equal(commit(world, &identity), 0);
		assert_int_equal(world->counts.removed, 60000 - 2800);
		assert_int_equal(write_whole(world, 1800, 2800, &identity), 0);
		assert_counts(world, 0, 300, 0, 1000);
	}
	__atomic_store_n(&shared->over, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < READERS; i++)
		assert_ended_well(readers[i]);
	assert_int_equal(shared->misses, 0);
	assert_int_equal(shared->strangers, 0);
	assert_int_equal(shared->errors, 0);
	assert_true(shared->lookups > 0);
	assert_int_equal(identity.inode, before.inode);
	assert_rows(world, 1800, 2800);
	munmap(shared, sizeof(*shared));
}

/* A disk that is full after some of its transactions. */
static void a_failure_half_way_leaves_a_map_that_is_ours(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 1000), before = identity, found;
	char gone[] = "connect:10.0.0.7", stays[] = "connect:10.0.2.7";
	MDB_env *env = open_reader(world->file);
	struct rlimit old, small;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = (rlim_t)identity.size + (2 << 20);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_true(write_whole(world, 500, 100000, &identity) < 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

	assert_int_equal(map_identify(world->map, &found), 0);
	assert_true(map_identity_equal(&identity, &found));
	assert_int_equal(identity.inode, before.inode);
	assert_int_equal(world->counts.removed, 500);
	assert_in_range(world->counts.added, 1000, 90000);
	assert_int_equal(look_up(env, gone), MDB_NOTFOUND);
	assert_int_equal(look_up(env, stays), 0);

	assert_int_equal(write_whole(world, 500, 100000, &identity), 0);
	assert_int_equal(world->counts.removed, 0);
	assert_int_equal(world->counts.added + world->counts.unchanged, 99500);
	assert_rows(world, 500, 100000);
	mdb_env_close(env);
}

static void needs_to_write_its_file(void **state)
{
	struct world *world = *state;
	struct map_settings settings = world->settings;
	struct map *map;

	settings.mode = 0444;
	assert_int_equal(map_open(&settings, &map), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(readers_never_miss_what_is_there),
		TEST(a_delta_waits_for_a_reader),
		TEST(a_whole_change_reaches_who_has_the_file),
		TEST(a_whole_change_of_nothing_is_none),
		TEST(large_changes_keep_what_stays),
		TEST(a_failure_half_way_leaves_a_map_that_is_ours),
		TEST(needs_to_write_its_file),
	};

	return cmocka_run_group_tests_name("map_lmdb", tests, NULL, NULL);
}
