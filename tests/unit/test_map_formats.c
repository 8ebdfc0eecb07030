/* What every format must do alike: each test runs for each type that is built in. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/unit/map_world.h"

static int put(struct world *world, unsigned number)
{
	char key[32];

	key_of(number, key);
	return map_put(world->map, key, "RELAY");
}

static int drop(struct world *world, unsigned number)
{
	char key[32];

	key_of(number, key);
	return map_delete(world->map, key);
}

static void assert_counts(
	const struct world *world, uint64_t added, uint64_t removed, uint64_t replaced)
{
	assert_int_equal(world->counts.added, added);
	assert_int_equal(world->counts.removed, removed);
	assert_int_equal(world->counts.replaced, replaced);
}

static void an_empty_map_is_whole(void **state)
{
	struct world *world = *state;
	struct map_identity made = rebuild(world, 0, 0), found;

	assert_true(made.size > 0);
	assert_int_equal(map_identify(world->map, &found), 0);
	assert_true(map_identity_equal(&made, &found));
	assert_rows(world, 0, 0);
	/* and takes a delta */
	assert_int_equal(map_begin_delta(world->map, &made), 0);
	assert_int_equal(put(world, 0), 0);
	assert_int_equal(commit(world, &made), 0);
	assert_rows(world, 0, 1);
}

static void a_rebuild_has_its_rows_only(void **state)
{
	struct world *world = *state;

	rebuild(world, 0, 1000);
	assert_counts(world, 1000, 0, 0);
	assert_rows(world, 0, 1000);
	rebuild(world, 900, 1200);
	assert_counts(world, 300, 0, 0);
	assert_rows(world, 900, 1200);
	assert_int_equal(count_entries(world->directory), 1);
}

/* A static row, and then the lease's; and a row that was taken back. */
static void the_last_of_several_changes_counts(void **state)
{
	struct world *world = *state;
	struct map_identity identity;
	char key[32];

	for (unsigned delta = 0; delta < 2; delta++) {
		if (delta)
			assert_int_equal(map_begin_delta(world->map, &identity), 0);
		else
			assert_int_equal(map_begin_rebuild(world->map), 0);
		key_of(2 * delta, key);
		assert_int_equal(map_put(world->map, key, "REJECT"), 0);
		assert_int_equal(put(world, 2 * delta), 0);
		assert_int_equal(drop(world, 2 * delta + 1), 0);
		assert_int_equal(put(world, 2 * delta + 1), 0);
		assert_int_equal(put(world, 77), 0);
		assert_int_equal(drop(world, 77), 0);
		assert_int_equal(commit(world, &identity), 0);
		assert_int_equal(world->counts.added - world->counts.removed, 2);
		assert_rows(world, 0, 2 * delta + 2);
	}
}

static void a_delta_changes_its_rows_only(void **state)
{
	struct world *world = *state;
	struct map_identity old = rebuild(world, 0, 1000), new;
	bool no_values = map_type_has_no_values(world->settings.type);

	assert_int_equal(map_begin_delta(world->map, &old), 0);
	assert_int_equal(put(world, 1000), 0);
	assert_int_equal(put(world, 500), 0);
	assert_int_equal(drop(world, 0), 0);
	assert_int_equal(drop(world, 1001), 0);
	assert_rows(world, 0, 1000); /* until the commit the old one stands */
	assert_int_equal(commit(world, &new), 0);
	assert_counts(world, 1, 1, 0);
	assert_false(map_identity_equal(&old, &new));
	assert_rows(world, 1, 1001);
	/* another value */
	assert_int_equal(map_begin_delta(world->map, &new), 0);
	assert_int_equal(map_put(world->map, "connect:10.0.0.7", "OTHER"), 0);
	assert_int_equal(commit(world, &new), no_values ? MAP_UNCHANGED : 0);
	assert_counts(world, 0, 0, no_values ? 0 : 1);
	assert_int_equal(count_entries(world->directory), 1);
}

static void a_delta_that_changes_nothing_is_dropped(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10), found;

	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(put(world, 3), 0);
	assert_int_equal(drop(world, 99), 0);
	assert_int_equal(commit(world, &found), MAP_UNCHANGED);
	assert_counts(world, 0, 0, 0);
	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(commit(world, &found), MAP_UNCHANGED);
	assert_int_equal(map_identify(world->map, &found), 0);
	assert_true(map_identity_equal(&identity, &found));
	assert_int_equal(count_entries(world->directory), 1);
}

static void many_deltas_stay_sound(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 2000);

	for (unsigned generation = 0; generation < 16; generation++) {
		assert_int_equal(map_begin_delta(world->map, &identity), 0);
		for (unsigned i = generation * 250; i < generation * 250 + 250; i++) {
			assert_int_equal(drop(world, i), 0);
			assert_int_equal(put(world, 2000 + i), 0);
		}
		assert_int_equal(commit(world, &identity), 0);
		assert_counts(world, 250, 250, 0);
	}
	assert_rows(world, 4000, 6000);
}

/* Each way in which the published file is no longer ours. */
static void a_delta_needs_the_expected_file(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10), other = identity;
	char copy[80];

	other.changed.tv_nsec ^= 1;
	assert_int_equal(map_begin_delta(world->map, &other), -ESTALE);
	/* open for others to edit */
	assert_int_equal(chmod(world->file, 0664), 0);
	assert_int_equal(map_identify(world->map, &identity), 0);
	assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	/* edited or replaced while the delta was made */
	for (unsigned replaced = 0; replaced < 2; replaced++) {
		identity = rebuild(world, 0, 10);
		assert_int_equal(map_begin_delta(world->map, &identity), 0);
		assert_int_equal(put(world, 10), 0);
		if (world->settings.type == MAP_HASH ||
			world->settings.type == MAP_BTREE) {
			map_abort(world->map); /* it was copied at the beginning */
			continue;
		}
		if (replaced) {
			snprintf(copy, sizeof(copy), "%s.away", world->file);
			assert_int_equal(rename(world->file, copy), 0);
			assert_int_equal(unlink(copy), 0);
		} else {
			int file = open(world->file, O_WRONLY | O_APPEND | O_CLOEXEC);

			assert_int_equal(write(file, "x", 1), 1);
			close(file);
		}
		assert_int_equal(commit(world, &identity), -ESTALE);
	}
	/* gone */
	identity = rebuild(world, 0, 10);
	assert_int_equal(unlink(world->file), 0);
	assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	assert_int_equal(count_entries(world->directory), 0);
	rebuild(world, 0, 10); /* the way out */
	assert_rows(world, 0, 10);
}

/* The published file is damaged, and its identity is that of the damaged one. */
static void a_damaged_file_is_rebuilt(void **state)
{
	struct world *world = *state;

	for (unsigned kind = 0; kind < 3; kind++) {
		struct map_identity identity = rebuild(world, 0, 2000);
		int r;

		if (kind < 2) {
			off_t size = kind ? (off_t)identity.size - 1
					  : (off_t)identity.size / 2;

			assert_int_equal(truncate(world->file, size), 0);
		} else {
			FILE *file = fopen(world->file, "r+e");

			for (unsigned i = 0; i < 3000; i++)
				fputc('\xff', file);
			fclose(file);
		}
		/* libdb may crash on such a file, so only the identity saves us */
		if (world->settings.type != MAP_HASH && world->settings.type != MAP_BTREE)
			assert_int_equal(map_identify(world->map, &identity), 0);
		r = map_begin_delta(world->map, &identity);
		if (r == 0)
			r = put(world, 2000);
		if (r == 0)
			r = commit(world, &identity);
		else
			map_abort(world->map);
		if (world->settings.type == MAP_CDB && kind == 1) {
			/* only the index was hurt, and that is made anew */
			assert_int_equal(r, 0);
			assert_rows(world, 0, 2001);
			continue;
		}
		assert_int_equal(r, -ESTALE);
		assert_int_equal(count_entries(world->directory), 1);
		rebuild(world, 0, 10);
		assert_rows(world, 0, 10);
	}
}

static void an_abort_leaves_the_old_map(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10), found;

	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(map_begin_delta(world->map, &identity), -EBUSY);
	assert_int_equal(map_begin_rebuild(world->map), -EBUSY);
	assert_int_equal(drop(world, 1), 0);
	map_abort(world->map);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(put(world, 77), 0);
	map_abort(world->map);
	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(put(world, 77), 0);
	reopen(world); /* closes in the middle of a change */
	assert_int_equal(put(world, 77), -EINVAL);
	assert_int_equal(commit(world, &found), -EINVAL);
	assert_int_equal(map_identify(world->map, &found), 0);
	assert_true(map_identity_equal(&identity, &found));
	assert_rows(world, 0, 10);
	assert_int_equal(count_entries(world->directory), 1);
}

/* A disk that is full, by the limit on the size of a file. */
static void a_failed_write_leaves_the_old_map(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 1000), found;
	struct rlimit old, small;
	char key[32];

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	for (rlim_t limit = 0; limit < (rlim_t)identity.size; limit += 5000) {
		int r;

		small.rlim_cur = limit;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		if (limit / 5000 % 2)
			r = map_begin_delta(world->map, &identity);
		else
			r = map_begin_rebuild(world->map);
		for (unsigned i = 0; i < 5000 && r == 0; i++) {
			snprintf(key, sizeof(key), "more%u", i);
			r = map_put(world->map, key, "RELAY");
		}
		if (r == 0)
			r = commit(world, &found);
		else
			map_abort(world->map);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_true(r == -EFBIG || r == -EIO || r == -ENOSPC);
		assert_int_equal(count_entries(world->directory), 1);
		assert_rows(world, 0, 1000);
		/* a delta in place may have written what no row leads to */
		if (!map_type_is_in_place(world->settings.type)) {
			assert_int_equal(map_identify(world->map, &found), 0);
			assert_true(map_identity_equal(&identity, &found));
		}
		assert_int_equal(map_identify(world->map, &identity), 0);
	}
	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(put(world, 1000), 0);
	assert_int_equal(commit(world, &identity), 0);
	assert_rows(world, 0, 1001);
}

static void a_withdrawal_and_a_spare_replace_it(void **state)
{
	struct world *world = *state;
	struct map_identity identity, found;

	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_commit_spare(world->map), 0);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(put(world, 0), 0);
	assert_int_equal(commit(world, &identity), 0);
	assert_rows(world, 0, 1);
	identity = rebuild(world, 0, 100);
	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(map_use_spare(world->map), 0);
	assert_rows(world, 0, 0);
	assert_int_equal(map_identify(world->map, &found), 0);
	assert_false(map_identity_equal(&identity, &found));
	assert_int_equal(count_entries(world->directory), 2); /* and a spare again */
}

/* Nor does the want of descriptors keep anybody in the map. */
static void a_spare_needs_no_descriptor(void **state)
{
	struct world *world = *state;
	struct rlimit old, none;
	int begun, used;

	for (unsigned wakes = 0; wakes < 2; wakes++) {
		world->settings.wake_readers = wakes == 1;
		reopen(world);
		assert_int_equal(map_begin_rebuild(world->map), 0);
		assert_int_equal(map_commit_spare(world->map), 0);
		rebuild(world, 0, 10);
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
		none = old;
		none.rlim_cur = 0;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		begun = map_begin_rebuild(world->map);
		used = map_use_spare(world->map);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(begun, -EMFILE);
		assert_int_equal(used, 0);
		assert_rows(world, 0, 0);
		assert_int_equal(count_entries(world->directory), 1);
	}
}

/* However many descriptors are left, a failure is told at once: who waits for one is not
 * shut out meanwhile. */
static void no_descriptor_is_not_waited_for(void **state)
{
	struct world *world = *state;
	struct timespec start, end;
	struct rlimit old, few;
	unsigned failed = 0;
	int next = dup(STDIN_FILENO);

	assert_return_code(next, errno);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	few = old;
	for (rlim_t left = 0; left < 6; left++) {
		few.rlim_cur = (rlim_t)next + left;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		if (map_begin_rebuild(world->map) == -EMFILE)
			failed++;
		map_abort(world->map);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(failed > 0);
	assert_true(end.tv_sec - start.tv_sec <= 1);
}

static void a_text_holds_no_line_ends(void **state)
{
	struct world *world = *state;
	int text = map_type_is_text(world->settings.type) ? -EINVAL : 0;

	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_put(world->map, "a", "b\nc: d"), text);
	assert_int_equal(map_put(world->map, "a\n", "b"), text);
	assert_int_equal(map_put(world->map, "\"a", "b"), text);
	assert_int_equal(map_put(world->map, "a", "b\x7f"), text);
	assert_int_equal(map_put(world->map, "", "b"), -EINVAL);
	assert_int_equal(map_put(world->map, "a", ""), -EINVAL);
	assert_int_equal(map_delete(world->map, ""), -EINVAL);
	map_abort(world->map);
}

static int setup_given(void **state)
{
	return setup_type(state, *(const enum map_type *)*state);
}

static const struct {
	const char *name;
	CMUnitTestFunction function;
} each[] = {

#define EACH(name)                                                                       \
	{                                                                                \
#name, name                                                              \
	}
	EACH(an_empty_map_is_whole),
	EACH(a_rebuild_has_its_rows_only),
	EACH(the_last_of_several_changes_counts),
	EACH(a_delta_changes_its_rows_only),
	EACH(a_delta_that_changes_nothing_is_dropped),
	EACH(many_deltas_stay_sound),
	EACH(a_delta_needs_the_expected_file),
	EACH(a_damaged_file_is_rebuilt),
	EACH(an_abort_leaves_the_old_map),
	EACH(a_failed_write_leaves_the_old_map),
	EACH(a_withdrawal_and_a_spare_replace_it),
	EACH(a_spare_needs_no_descriptor),
	EACH(no_descriptor_is_not_waited_for),
	EACH(a_text_holds_no_line_ends),
};

int main(void)
{
	enum {
		EACH_COUNT = sizeof(each) / sizeof(*each)
	};

	static enum map_type types[MAP_TYPE_COUNT];
	static char names[MAP_TYPE_COUNT][EACH_COUNT][80];
	struct CMUnitTest tests[MAP_TYPE_COUNT * EACH_COUNT] = {0};
	size_t count = 0;

	for (unsigned i = 0; i < MAP_TYPE_COUNT; i++) {
		if (map_type_parse(map_type_name(i), &types[i]) < 0)
			continue; /* not built in */
		for (unsigned n = 0; n < EACH_COUNT; n++) {
			snprintf(names[i][n], sizeof(names[i][n]), "%s: %s",
				map_type_name(i), each[n].name);
			tests[count++] = (struct CMUnitTest){names[i][n],
				each[n].function, setup_given, teardown, &types[i]};
		}
	}
	return _cmocka_run_group_tests("map_formats", tests, count, NULL, NULL);
}
