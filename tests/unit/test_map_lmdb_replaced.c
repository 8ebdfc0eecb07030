/* An lmdb map whose file is replaced: those who have the old one open lose what they had,
 * at once or as soon as they let us. */
#include "tests/unit/lmdb_world.h"

#include <time.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reader_who_stays_is_not_waited_for),
		TEST(a_withdrawal_reaches_who_has_the_old_file),
		TEST(a_rebuild_empties_the_old_file),
		TEST(an_old_file_that_is_locked_is_emptied_later),
		TEST(a_file_that_was_touched_is_emptied),
		TEST(a_strange_file_is_not_emptied),
	};

	return cmocka_run_group_tests_name("map_lmdb_replaced", tests, NULL, NULL);
}
