/* An lmdb map under readers that keep to Postfix' protocol: plain liblmdb with
 * MDB_NOLOCK, and an fcntl(2) read lock on the file around each lookup. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/map_world.h"

enum {
	DELTAS = 10000,
	READERS = 2,
};

/* What readers tell, in shared memory. */
struct shared {
	unsigned lookups, misses, strangers, errors;
	bool over;
};

static int setup_lmdb(void **state)
{
	int r = setup_type(state, MAP_LMDB);
	struct world *world = *state;

	world->settings.trailing_nul = true;
	reopen(world);
	return r;
}

static void lock_file(int file, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	if (fcntl(file, F_SETLKW, &lock) < 0)
		_exit(1);
}

/* One lookup as slmdb_get() of Postfix makes it. */
static int look_up(MDB_env *env, char *text)
{
	MDB_val key = {strlen(text) + 1, text}, value;
	MDB_txn *txn;
	MDB_dbi dbi;
	int file, r;

	mdb_env_get_fd(env, &file);
	lock_file(file, F_RDLCK);
	r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (r == MDB_MAP_RESIZED && mdb_env_set_mapsize(env, 0) == 0)
		r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (r == 0) {
		r = mdb_dbi_open(txn, NULL, 0, &dbi);
		if (r == 0)
			r = mdb_get(txn, dbi, &key, &value);
		mdb_txn_abort(txn);
	}
	lock_file(file, F_UNLCK);
	return r;
}

static MDB_env *open_reader(const char *file)
{
	MDB_env *env;

	if (mdb_env_create(&env) != 0 || mdb_env_set_mapsize(env, 256 << 10) != 0 ||
		mdb_env_open(env, file, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0) != 0)
		_exit(1);
	return env;
}

static void read_on(const char *file, struct shared *shared)
{
	MDB_env *env = open_reader(file);

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

static void assert_ended_well(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void change(struct world *world, unsigned number, bool is_put)
{
	char key[32];

	key_of(number, key);
	assert_int_equal(
		is_put ? map_put(world->map, key, "RELAY") : map_delete(world->map, key),
		0);
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

/* True once somebody waits for a lock on the file, as the kernel tells. */
static bool is_waited_for(const char *file)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256], wanted[64];
	struct stat status;
	bool found = false;

	if (!locks || stat(file, &status) < 0)
		_exit(1);
	snprintf(wanted, sizeof(wanted), ":%ju ", (uintmax_t)status.st_ino);
	while (fgets(line, sizeof(line), locks))
		found = found || (strstr(line, "->") && strstr(line, wanted));
	fclose(locks);
	return found;
}

/* A child that has locked the file for reading when this returns, until the pipe *ret_end
 * is closed or, with brief, until somebody waits for it. */
static pid_t start_holder(const char *file, bool brief, int *ret_end)
{
	int ready[2], end[2];
	char octet;
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		int held = open(file, O_RDONLY | O_CLOEXEC);

		alarm(60); /* should nobody ever wait */
		lock_file(held, F_RDLCK);
		close(end[1]);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		while (brief && !is_waited_for(file))
			sched_yield();
		_exit(!brief && read(end[0], &octet, 1) != 0);
	}
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(end[0]);
	*ret_end = end[1];
	return child;
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

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_reader_who_stays_is_not_waited_for(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10), found;
	double started = seconds();
	struct stat status;
	int end, held = open(world->file, O_RDONLY | O_CLOEXEC);
	pid_t child = start_holder(world->file, false, &end);

	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	change(world, 10, true);
	assert_int_equal(commit(world, &found), -ESTALE);
	assert_in_range((uintmax_t)(seconds() - started), 1, 10);
	assert_int_equal(map_identify(world->map, &found), 0);
	assert_true(map_identity_equal(&identity, &found));
	started = seconds();
	rebuild(world, 0, 11);
	assert_true(seconds() - started < 1.5);
	/* a withdrawal is in place before it tries the old file */
	withdraw(world);
	assert_rows(world, 0, 0);
	assert_int_equal(fstat(held, &status), 0);
	assert_int_equal(status.st_nlink, 0);
	close(end);
	assert_ended_well(child);
	close(held);
}

/* An smtpd that has the file open sees the end of the leases at its next lookup. */
static void a_withdrawal_reaches_who_has_the_old_file(void **state)
{
	struct world *world = *state;
	struct map_identity identity;

	for (unsigned spare = 0; spare < 2; spare++) {
		char there[] = "connect:10.0.0.7";
		MDB_env *env;

		assert_int_equal(map_begin_rebuild(world->map), 0);
		assert_int_equal(map_commit_spare(world->map), 0);
		identity = rebuild(world, 0, 5000);
		env = open_reader(world->file);
		assert_int_equal(look_up(env, there), 0);
		if (spare) {
			assert_int_equal(map_use_spare(world->map), 0);
		} else {
			withdraw(world);
		}
		assert_int_equal(look_up(env, there), MDB_NOTFOUND);
		mdb_env_close(env);
		assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	}
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

/* Where a file has to be replaced those who have it open lose what they had. */
static void a_rebuild_empties_the_old_file(void **state)
{
	struct world *world = *state;
	char there[] = "connect:10.0.0.7";
	MDB_env *env;

	rebuild(world, 0, 10);
	env = open_reader(world->file);
	rebuild(world, 0, 30);
	assert_int_equal(look_up(env, there), MDB_NOTFOUND);
	mdb_env_close(env);
	assert_rows(world, 0, 30);
}

/* Whoever has it locked keeps it until he lets go, and no longer than the next change, or
 * than we wait for him, or than the map is open. */
static void an_old_file_that_is_locked_is_emptied_later(void **state)
{
	struct world *world = *state;
	char there[] = "connect:10.0.0.7";

	for (unsigned i = 0; i < 3; i++) {
		struct map_identity identity = rebuild(world, 0, 10);
		MDB_env *env = open_reader(world->file);
		int end;
		pid_t child = start_holder(world->file, i == 1, &end);

		if (i != 1) {
			identity = rebuild(world, 0, 20);
			assert_int_equal(look_up(env, there), 0);
			assert_false(map_empty_replaced(world->map, 20));
			close(end);
			assert_ended_well(child);
			assert_int_equal(look_up(env, there), 0);
		}
		if (i == 0) {
			assert_int_equal(map_begin_delta(world->map, &identity), 0);
			map_abort(world->map);
		} else if (i == 1) { /* he lets go when he is waited for */
			identity = rebuild(world, 0, 20);
			assert_true(map_empty_replaced(world->map, 30000));
			close(end);
			assert_ended_well(child);
		} else {
			reopen(world);
		}
		assert_int_equal(look_up(env, there), MDB_NOTFOUND);
		mdb_env_close(env);
		assert_rows(world, 0, 20);
	}
}

/* Nobody has written to it: another mode, or a name more, is no reason to leave its rows
 * to those who have it open. */
static void a_file_that_was_touched_is_emptied(void **state)
{
	struct world *world = *state;
	char there[] = "connect:10.0.0.7", other[80];
	struct map_identity found;

	snprintf(other, sizeof(other), "%s.kept", world->file);
	for (unsigned i = 0; i < 5; i++) {
		struct map_identity identity = rebuild(world, 0, 10);
		MDB_env *env = open_reader(world->file);

		if (i < 3)
			assert_int_equal(chmod(world->file, i == 0   ? 0640
							    : i == 1 ? 0400
								     : 0755),
				0);
		else
			assert_int_equal(link(world->file, other), 0);
		assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
		if (i == 4) { /* what is not replaced is not emptied */
			assert_int_equal(map_begin_rebuild(world->map), 0);
			map_abort(world->map);
			assert_int_equal(look_up(env, there), 0);
		}
		withdraw(world);
		assert_int_equal(look_up(env, there), MDB_NOTFOUND);
		assert_int_equal(map_identify(world->map, &found), 0);
		assert_int_not_equal(found.inode, identity.inode);
		mdb_env_close(env);
		if (i >= 3)
			assert_int_equal(unlink(other), 0);
	}
}

/* It may be damaged: nobody but a process of its own opens it. */
static void a_strange_file_is_not_emptied(void **state)
{
	struct world *world = *state;
	char there[] = "connect:10.0.0.7";
	MDB_env *env;

	for (unsigned trusts = 0; trusts < 2; trusts++) {
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};

		rebuild(world, 0, 10);
		assert_int_equal(utimensat(AT_FDCWD, world->file, times, 0), 0);
		env = open_reader(world->file);
		if (trusts) {
			map_trust_published(world->map);
			rebuild(world, 0, 20);
			assert_int_equal(look_up(env, there), 0);
			assert_true(map_empty_replaced(world->map, 0));
			assert_int_equal(look_up(env, there), MDB_NOTFOUND);
		} else {
			rebuild(world, 0, 20);
			assert_true(map_empty_replaced(world->map, 0));
			assert_int_equal(look_up(env, there), 0);
		}
		mdb_env_close(env);
	}
}

static void needs_to_write_its_file(void **state)
{
	struct world *world = *state;
	struct map_settings settings = world->settings;
	struct map *map;

	settings.mode = 0444;
	assert_int_equal(map_open(&settings, &map), -EINVAL);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_lmdb, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(readers_never_miss_what_is_there),
		TEST(a_delta_waits_for_a_reader),
		TEST(a_reader_who_stays_is_not_waited_for),
		TEST(a_withdrawal_reaches_who_has_the_old_file),
		TEST(a_whole_change_reaches_who_has_the_file),
		TEST(a_whole_change_of_nothing_is_none),
		TEST(large_changes_keep_what_stays),
		TEST(a_failure_half_way_leaves_a_map_that_is_ours),
		TEST(a_rebuild_empties_the_old_file),
		TEST(an_old_file_that_is_locked_is_emptied_later),
		TEST(a_file_that_was_touched_is_emptied),
		TEST(a_strange_file_is_not_emptied),
		TEST(needs_to_write_its_file),
	};

	return cmocka_run_group_tests_name("map_lmdb", tests, NULL, NULL);
}
