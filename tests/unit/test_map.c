/* What is in a map after each kind of change.  libdb is used here directly, too, as an
 * independent reader and to verify files. */
#include <db.h>
#include <errno.h>
#include <fcntl.h>

#include "tests/unit/map_world.h"

static void verify(const struct world *world)
{
	DB *db;

	assert_int_equal(db_create(&db, NULL, 0), 0);
	assert_int_equal(db->verify(db, world->file, NULL, NULL, 0), 0);
}

static void publishes_an_empty_map(void **state)
{
	struct world *world = *state;
	struct map_identity made, found;

	assert_int_equal(map_identify(world->map, &found), -ENOENT);
	made = rebuild(world, 0, 0);
	assert_true(made.size > 0);
	assert_int_equal(map_identify(world->map, &found), 0);
	assert_true(map_identity_equal(&made, &found));
	assert_rows(world, 0, 0);
	verify(world);
}

static void a_rebuild_has_its_rows_only(void **state)
{
	struct world *world = *state;

	rebuild(world, 0, 1000);
	assert_rows(world, 0, 1000);
	rebuild(world, 900, 1200);
	assert_rows(world, 900, 1200);
	verify(world);
	assert_int_equal(count_entries(world->directory), 1);
}

static void a_delta_changes_its_rows_only(void **state)
{
	struct world *world = *state;
	struct map_identity old = rebuild(world, 0, 1000), new;
	char key[32];

	assert_int_equal(map_begin_delta(world->map, &old), 0);
	key_of(1000, key);
	assert_int_equal(map_put(world->map, key, "RELAY"), 0);
	key_of(0, key);
	assert_int_equal(map_delete(world->map, key), 0);
	/* until the commit the old one stands */
	assert_rows(world, 0, 1000);
	assert_int_equal(commit(world, &new), 0);
	assert_rows(world, 1, 1001);
	assert_false(map_identity_equal(&old, &new));
	verify(world);
}

static void assert_counts(
	const struct world *world, uint64_t added, uint64_t removed, uint64_t replaced)
{
	assert_int_equal(world->counts.added, added);
	assert_int_equal(world->counts.removed, removed);
	assert_int_equal(world->counts.replaced, replaced);
}

static void says_what_has_changed(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10), before;

	assert_counts(world, 10, 0, 0);
	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(map_put(world->map, "connect:10.0.0.3", "OK"), 0);
	assert_int_equal(map_put(world->map, "connect:10.0.0.4", "RELAY"), 0);
	assert_int_equal(map_put(world->map, "connect:10.0.0.10", "RELAY"), 0);
	assert_int_equal(map_delete(world->map, "connect:10.0.0.0"), 0);
	assert_int_equal(map_delete(world->map, "connect:10.0.0.1"), 0);
	assert_int_equal(map_delete(world->map, "connect:10.0.0.99"), 0);
	assert_int_equal(commit(world, &identity), 0);
	assert_counts(world, 1, 2, 1);
	/* and one that changes nothing is dropped */
	before = identity;
	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(map_put(world->map, "connect:10.0.0.3", "OK"), 0);
	assert_int_equal(map_delete(world->map, "connect:10.0.0.1"), 0);
	assert_int_equal(commit(world, &identity), MAP_UNCHANGED);
	assert_counts(world, 0, 0, 0);
	assert_int_equal(map_identify(world->map, &identity), 0);
	assert_true(map_identity_equal(&before, &identity));
	assert_int_equal(count_entries(world->directory), 1);
}

static void many_generations_of_clones_stay_sound(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 3000);

	for (unsigned generation = 1; generation <= 24; generation++) {
		assert_int_equal(map_begin_delta(world->map, &identity), 0);
		for (unsigned i = 0; i < 250; i++) {
			char key[32];

			key_of((generation - 1) * 250 + i, key);
			assert_int_equal(map_delete(world->map, key), 0);
			key_of(3000 + (generation - 1) * 250 + i, key);
			assert_int_equal(map_put(world->map, key, "RELAY"), 0);
		}
		assert_int_equal(commit(world, &identity), 0);
		assert_rows(world, generation * 250, 3000 + generation * 250);
		verify(world);
	}
}

/* Each way in which the published file is no longer ours. */
static void a_delta_needs_the_expected_file(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10), other;
	char copy[80];
	int file;

	other = identity;
	other.inode++;
	assert_int_equal(map_begin_delta(world->map, &other), -ESTALE);
	other = identity;
	other.changed.tv_nsec ^= 1;
	assert_int_equal(map_begin_delta(world->map, &other), -ESTALE);
	/* edited in place */
	file = open(world->file, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(file, "x", 1), 1);
	close(file);
	assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	/* open for others to edit */
	identity = rebuild(world, 0, 10);
	assert_int_equal(chmod(world->file, 0664), 0);
	assert_int_equal(map_identify(world->map, &identity), 0);
	assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	/* replaced */
	identity = rebuild(world, 0, 10);
	rebuild(world, 0, 11);
	assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	/* gone */
	identity = rebuild(world, 0, 10);
	snprintf(copy, sizeof(copy), "%s.away", world->file);
	assert_int_equal(rename(world->file, copy), 0);
	assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	assert_int_equal(count_entries(world->directory), 1);
	/* and a rebuild is the way out */
	rebuild(world, 0, 10);
	assert_rows(world, 0, 10);
}

static void an_abort_leaves_the_old_map(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 10), found;

	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	assert_int_equal(map_delete(world->map, "connect:10.0.0.1"), 0);
	map_abort(world->map);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	map_abort(world->map);
	map_abort(world->map);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	reopen(world); /* closes in the middle of a change */
	assert_int_equal(map_identify(world->map, &found), 0);
	assert_true(map_identity_equal(&identity, &found));
	assert_rows(world, 0, 10);
	assert_int_equal(count_entries(world->directory), 1);
}

static void a_change_has_an_order(void **state)
{
	struct world *world = *state;
	struct map_identity identity;

	assert_int_equal(map_put(world->map, "a", "b"), -EINVAL);
	assert_int_equal(map_delete(world->map, "a"), -EINVAL);
	assert_int_equal(commit(world, &identity), -EINVAL);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_begin_rebuild(world->map), -EBUSY);
	assert_int_equal(map_begin_delta(world->map, &identity), -EBUSY);
	assert_int_equal(map_put(world->map, "", "b"), -EINVAL);
	assert_int_equal(map_put(world->map, "a", ""), -EINVAL);
	assert_int_equal(map_delete(world->map, ""), -EINVAL);
	assert_int_equal(map_put(world->map, "connect:10.0.0.0", "RELAY"), 0);
	assert_int_equal(commit(world, &identity), 0);
	assert_int_equal(commit(world, &identity), -EINVAL);
	assert_rows(world, 0, 1);
}

static size_t size_of_key(const struct world *world, const char *key, size_t key_size)
{
	char *copy = strdup(key);
	DBT key_dbt = {.data = copy, .size = (u_int32_t)key_size}, value = {0};
	size_t size = 0;
	DB *db;

	assert_int_equal(db_create(&db, NULL, 0), 0);
	assert_int_equal(
		db->open(db, NULL, world->file, NULL, DB_UNKNOWN, DB_RDONLY, 0), 0);
	if (db->get(db, NULL, &key_dbt, &value, 0) == 0)
		size = value.size;
	db->close(db, 0);
	free(copy);
	return size;
}

static int see_any(const char *key, const char *value, void *context)
{
	(void)key;
	(void)value;
	(void)context;
	return 0;
}

static void writes_both_styles_of_nul(void **state)
{
	struct world *world = *state;
	const char *key = "connect:10.0.0.0";

	for (size_t nul = 0; nul < 2; nul++) {
		struct map_settings other = world->settings;

		world->settings.trailing_nul = nul == 1;
		reopen(world);
		rebuild(world, 0, 5);
		assert_rows(world, 0, 5);
		assert_int_equal(size_of_key(world, key, strlen(key) + nul), 5 + nul);
		assert_int_equal(size_of_key(world, key, strlen(key) + 1 - nul), 0);
		other.trailing_nul = nul == 0;
		assert_int_equal(map_scan(&other, see_any, NULL), -EBADMSG);
	}
}

static int stop_at_second(const char *key, const char *value, void *context)
{
	unsigned *count = context;

	(void)key;
	(void)value;
	return ++*count == 2 ? 77 : 0;
}

static void a_scan_ends_when_told(void **state)
{
	struct world *world = *state;
	unsigned count = 0;

	assert_int_equal(map_scan(&world->settings, stop_at_second, &count), -ENOENT);
	rebuild(world, 0, 5);
	assert_int_equal(map_scan(&world->settings, stop_at_second, &count), 77);
	assert_int_equal(count, 2);
}

static void says_no_foreign_numbers_and_prints_nothing(void **state)
{
	struct world *world = *state;
	char captured[80];
	struct stat status;
	FILE *file;
	int saved, r;

	snprintf(captured, sizeof(captured), "%s/stderr", world->directory);
	saved = dup(STDERR_FILENO);
	assert_non_null(freopen(captured, "we", stderr));
	rebuild(world, 0, 5);
	file = fopen(world->file, "r+e");
	fprintf(file, "This is not a Berkeley DB file at all, and never was one.");
	fclose(file);
	r = map_scan(&world->settings, see_any, NULL);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(r < 0 && r > -200);
	assert_int_equal(stat(captured, &status), 0);
	assert_int_equal(status.st_size, 0);
}

static void a_reader_of_the_old_map_reads_it_whole(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 20000);
	unsigned count = 0;
	DB *db;
	DBC *cursor;
	int r;

	assert_int_equal(db_create(&db, NULL, 0), 0);
	assert_int_equal(db->open(db, NULL, world->file, NULL, DB_HASH, DB_RDONLY, 0), 0);
	assert_int_equal(db->cursor(db, NULL, &cursor, 0), 0);
	for (;;) {
		DBT key = {0}, value = {0};
		char text[32];

		r = cursor->get(cursor, &key, &value, DB_NEXT);
		if (r != 0)
			break;
		if (count++ % 5000 == 100) {
			assert_int_equal(map_begin_delta(world->map, &identity), 0);
			key_of(count, text);
			assert_int_equal(map_delete(world->map, text), 0);
			assert_int_equal(commit(world, &identity), 0);
		}
	}
	assert_int_equal(r, DB_NOTFOUND);
	assert_int_equal(count, 20000);
	cursor->close(cursor);
	db->close(db, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(publishes_an_empty_map),
		TEST(a_rebuild_has_its_rows_only),
		TEST(a_delta_changes_its_rows_only),
		TEST(says_what_has_changed),
		TEST(many_generations_of_clones_stay_sound),
		TEST(a_delta_needs_the_expected_file),
		TEST(an_abort_leaves_the_old_map),
		TEST(a_change_has_an_order),
		TEST(writes_both_styles_of_nul),
		TEST(a_scan_ends_when_told),
		TEST(says_no_foreign_numbers_and_prints_nothing),
		TEST(a_reader_of_the_old_map_reads_it_whole),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
