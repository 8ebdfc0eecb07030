/* What stands in a map when a run of its worker fails: who has to be shut out is, by the
 * spare if need be, and nobody else. */
#include <fcntl.h>

#include "tests/unit/map_run_world.h"

/* A rebuild in place got as far as the disk did, after a withdrawal: whoever it has let
 * in is shut out again when his time has come. */
static void half_a_rebuild_is_no_withdrawal(void **state)
{
	struct run *run = *state;
	struct map_worker *worker = &run->worker;

	end_lease(run, 0);
	assert_true(run_within(run, 0, WAKE_REVOKED) < 0);
	assert_int_equal(rows_in_map(run), 0);
	assert_true(worker->now.is_withdrawn);

	assert_true(run_within(run, ROOM_FOR_5000, WAKE_REPEAT) < 0);
	assert_in_range(rows_in_map(run), 1, LEASES - 2);
	assert_false(worker->now.is_withdrawn);
	/* he who has come in by it stays, whoever else cannot */
	assert_true(run_within(run, ROOM_FOR_NONE, WAKE_CHANGES | WAKE_REPEAT) < 0);
	assert_in_range(rows_in_map(run), 1, LEASES - 2);

	end_lease(run, 1);
	assert_true(run_within(run, ROOM_FOR_NONE, WAKE_REVOKED | WAKE_REPEAT) < 0);
	assert_int_equal(rows_in_map(run), 0);
	assert_true(worker->now.is_withdrawn);

	assert_int_equal(run_within(run, RLIM_INFINITY, WAKE_REPEAT), 0);
	assert_int_equal(rows_in_map(run), LEASES - 2);
	assert_false(worker->now.is_withdrawn);
}

/* What was asked for before a withdrawal is done by it: what comes into the map later is
 * not taken out for that. */
static void a_withdrawal_is_no_reason_for_another(void **state)
{
	struct run *run = *state;

	end_lease(run, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(run_within(run, 0, WAKE_REVOKED | WAKE_REPEAT) < 0);
		assert_int_equal(rows_in_map(run), 0);
	}
	assert_true(run_within(run, ROOM_FOR_5000, WAKE_REVOKED | WAKE_REPEAT) < 0);
	assert_in_range(rows_in_map(run), 1, LEASES - 2);
}

static void a_spare_that_is_gone_is_made_again(void **state)
{
	struct run *run = *state;

	assert_int_equal(unlink(run->spare), 0);
	end_lease(run, 0);
	assert_true(run_within(run, 0, WAKE_REVOKED) < 0);
	assert_int_equal(rows_in_map(run), LEASES);
	assert_true(run_within(run, ROOM_FOR_NONE, WAKE_REVOKED | WAKE_REPEAT) < 0);
	assert_int_equal(rows_in_map(run), 0);
}

/* Nobody is let in again who could not be shut out. */
static void without_a_spare_it_stays_withdrawn(void **state)
{
	struct run *run = *state;

	end_lease(run, 0);
	assert_true(run_within(run, 0, WAKE_REVOKED) < 0);
	assert_true(run->worker.now.is_withdrawn);
	assert_int_equal(mkdir(run->spare, 0700), 0); /* no spare can be made */
	assert_true(run_within(run, RLIM_INFINITY, WAKE_REPEAT) < 0);
	assert_int_equal(rows_in_map(run), 0);
	assert_true(run->worker.now.is_withdrawn);
	/* nor is what was found before found again */
	run->worker.now.verified.result = MAP_VERIFIED_SAME;
	assert_true(run_within(run, RLIM_INFINITY, WAKE_VERIFY) < 0);
	assert_int_equal(run->worker.now.verified.result, MAP_VERIFIED_NOT);
	assert_int_equal(rmdir(run->spare), 0);
	assert_int_equal(run_within(run, RLIM_INFINITY, WAKE_REPEAT), 0);
	assert_int_equal(rows_in_map(run), LEASES - 1);
}

/* A spare with one row of a static file that can no longer be read. */
static void make_static_spare(struct run *run)
{
	const struct map_settings settings = {.type = run->map.type,
		.path = run->path,
		.mode = 0644,
		.group = (gid_t)-1};
	static char static_path[] = "/nonexistent/access";
	struct map *map;

	assert_int_equal(map_open(&settings, &map), 0);
	assert_int_equal(map_begin_rebuild(map), 0);
	assert_int_equal(map_put(map, "10.9.9.9", "REJECT"), 0);
	assert_int_equal(map_commit_spare(map), 0);
	map_close(map);
	run->map.static_path = static_path;
}

/* The spare is used up when its copy has no room; what it has put in place is not written
 * over by a map without rows, which would have. */
static void static_rows_outlive_their_spare(void **state)
{
	struct run *run = *state;

	make_static_spare(run);
	assert_true(run_within(run, 0, WAKE_REBUILD) < 0);
	assert_int_equal(rows_in_map(run), 1);
	assert_int_equal(access(run->spare, F_OK), -1);
	assert_int_equal(run_within(run, 0, WAKE_REBUILD), 0);
	assert_int_equal(run_within(run, 0, WAKE_WITHDRAW), 0);
	assert_int_equal(rows_in_map(run), 1);
	assert_true(run->worker.now.has_old_static);
	/* with room there is a spare again, for the next start */
	assert_int_equal(run_within(run, RLIM_INFINITY, WAKE_REBUILD), 0);
	assert_int_equal(access(run->spare, F_OK), 0);
	assert_int_equal(rows_in_map(run), 1);
}

/* All but the two pages that say where the others are. */
static void damage_table(const struct run *run)
{
	char path[64];
	struct stat status;
	int file;

	snprintf(path, sizeof(path), "%s/data.mdb", run->world->path);
	file = open(path, O_WRONLY);
	assert_int_equal(fstat(file, &status), 0);
	for (off_t page = 8192; page < status.st_size; page += 4096) {
		const char nothing[4096] = {0};

		assert_int_equal(
			pwrite(file, nothing, sizeof(nothing), page), sizeof(nothing));
	}
	close(file);
}

static void a_table_that_cannot_be_read_keeps_nobody_in(void **state)
{
	struct run *run = *state;

	damage_table(run);
	assert_true(run_within(run, RLIM_INFINITY, WAKE_CHANGES) < 0);
	assert_int_equal(rows_in_map(run), LEASES);
	assert_true(run_within(run, RLIM_INFINITY, WAKE_REVOKED | WAKE_REPEAT) < 0);
	assert_true(run->worker.now.table_error < 0);
	assert_int_equal(rows_in_map(run), 0);
}

/* It may let in anybody, as one that somebody else has changed. */
static void a_map_that_turns_out_to_be_damaged_keeps_nobody_in(void **state)
{
	struct run *run = *state;
	char program[64];
	FILE *file;

	snprintf(program, sizeof(program), "%s/drac-mapread", run->directory);
	file = fopen(program, "w");
	assert_true(fputs("#!/bin/sh\nexit 1\n", file) >= 0);
	assert_int_equal(fchmod(fileno(file), 0700), 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(setenv("DRACD_LIBEXECDIR", run->directory, 1), 0);
	assert_true(run_within(run, ROOM_FOR_NONE, WAKE_VERIFY) < 0);
	assert_int_equal(run->worker.now.verified.result, MAP_VERIFIED_UNREADABLE);
	assert_int_equal(rows_in_map(run), 0);
	assert_true(run->worker.now.is_withdrawn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(half_a_rebuild_is_no_withdrawal),
		TEST(a_withdrawal_is_no_reason_for_another),
		TEST(a_spare_that_is_gone_is_made_again),
		TEST(a_table_that_cannot_be_read_keeps_nobody_in),
		TEST(without_a_spare_it_stays_withdrawn),
		TEST(static_rows_outlive_their_spare),
		TEST(a_map_that_turns_out_to_be_damaged_keeps_nobody_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
