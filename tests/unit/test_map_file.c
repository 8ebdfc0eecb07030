/* The file of a map: whose it is, what may stand in its way, what a failure leaves. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/map_world.h"

static void sets_mode_and_group(void **state)
{
	struct world *world = *state;
	struct map_identity identity;
	struct stat status;

	world->settings.mode = 0640;
	world->settings.group = getegid();
	reopen(world);
	rebuild(world, 0, 1);
	assert_int_equal(stat(world->file, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(status.st_gid, getegid());
	assert_int_equal(status.st_uid, geteuid());
	/* a group that is not ours takes a privilege */
	world->settings.group = 4711;
	reopen(world);
	if (geteuid() == 0) {
		rebuild(world, 0, 1);
		assert_int_equal(stat(world->file, &status), 0);
		assert_int_equal(status.st_gid, 4711);
		return;
	}
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(commit(world, &identity), -EPERM);
	assert_string_equal(map_failed_step(world->map), "set mode");
	assert_rows(world, 0, 1);
	assert_int_equal(count_entries(world->directory), 1);
}

static void removes_leftovers_when_opened(void **state)
{
	struct world *world = *state;
	char leftover[96], other[96];

	rebuild(world, 0, 5);
	snprintf(leftover, sizeof(leftover), "%s/.m.db.dracd-0123abcd.tmp",
		world->directory);
	snprintf(other, sizeof(other), "%s/.n.db.dracd-0123abcd.tmp", world->directory);
	fclose(fopen(leftover, "we"));
	fclose(fopen(other, "we"));
	reopen(world);
	assert_int_equal(access(leftover, F_OK), -1);
	assert_int_equal(access(other, F_OK), 0);
	assert_rows(world, 0, 5);
}

static void follows_no_symbolic_link(void **state)
{
	struct world *world = *state;
	struct map_identity identity;
	struct map *map = NULL;
	char target[80];
	struct stat status;

	snprintf(target, sizeof(target), "%s/target", world->directory);
	fclose(fopen(target, "we"));
	assert_int_equal(symlink("target", world->file), 0);
	assert_int_equal(map_open(&world->settings, &map), -EPERM);
	assert_null(map);
	assert_int_equal(map_identify(world->map, &identity), -EPERM);
	assert_int_equal(map_begin_delta(world->map, &identity), -EPERM);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(commit(world, &identity), -EPERM);
	assert_string_equal(map_failed_step(world->map), "check old file");
	assert_int_equal(stat(target, &status), 0);
	assert_int_equal(status.st_size, 0);
	assert_int_equal(count_entries(world->directory), 2);
}

static void is_choosy_about_its_settings(void **state)
{
	static const struct {
		const char *path;
		mode_t mode;
		int error;
	} cases[] = {
		{"m", 0644, -EINVAL},
		{"./m", 0644, -EINVAL},
		{"", 0644, -EINVAL},
		{"/", 0644, -EINVAL},
		{"/tmp/", 0644, -EINVAL},
		{"/tmp/m", 0644, -EPERM}, /* for everybody to write, though sticky */
		{"/nonexistent/m", 0644, -ENOENT},
		{"/dev/null/m", 0644, -ENOTDIR},
		{NULL, 0664, -EPERM},
		{NULL, 0646, -EPERM},
		{NULL, 0044, -EINVAL},
		{NULL, 04644, -EINVAL},
		{NULL, 0600, 0},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct map_settings settings = world->settings;
		struct map *map = NULL;

		settings.mode = cases[i].mode;
		if (cases[i].path)
			settings.path = cases[i].path;
		assert_int_equal(map_open(&settings, &map), cases[i].error);
		map_close(map);
	}
}

static void a_directory_that_became_unsafe_gets_no_map(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 5);

	assert_int_equal(chmod(world->directory, 01777), 0);
	assert_int_equal(map_begin_rebuild(world->map), -EPERM);
	assert_string_equal(map_failed_step(world->map), "open directory");
	assert_int_equal(map_begin_delta(world->map, &identity), -EPERM);
	assert_int_equal(chmod(world->directory, 0755), 0);
	assert_int_equal(map_begin_delta(world->map, &identity), 0);
	map_abort(world->map);
}

/* Those who are in it get out all the same. */
static void a_directory_that_became_unsafe_gets_the_spare(void **state)
{
	struct world *world = *state;

	(void)rebuild(world, 0, 5);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_commit_spare(world->map), 0);
	assert_int_equal(chmod(world->directory, 0775), 0);
	assert_int_equal(map_use_spare(world->map), 0);
	assert_rows(world, 0, 0);
	assert_int_equal(count_entries(world->directory), 1);
	assert_int_equal(chmod(world->directory, 0755), 0);
}

/* The MTA looks where the path leads, so that is where the next map must be. */
static void publishes_into_a_directory_made_anew(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 5);
	char away[48];

	snprintf(away, sizeof(away), "%s.away", world->directory);
	assert_int_equal(rename(world->directory, away), 0);
	assert_int_equal(map_begin_rebuild(world->map), -ENOENT);
	assert_int_equal(mkdir(world->directory, 0755), 0);
	assert_int_equal(map_begin_delta(world->map, &identity), -ESTALE);
	rebuild(world, 0, 7);
	assert_rows(world, 0, 7);
	remove_directory(away);
}

static void wakes_readers_if_asked_to(void **state)
{
	struct world *world = *state;

	for (unsigned wake = 0; wake < 2; wake++) {
		struct map_identity identity;
		struct stat before, after;
		int old;

		world->settings.wake_readers = wake == 1;
		reopen(world);
		identity = rebuild(world, 0, 5);
		old = open(world->file, O_RDONLY | O_CLOEXEC);
		assert_int_equal(fstat(old, &before), 0);
		assert_int_equal(map_begin_delta(world->map, &identity), 0);
		assert_int_equal(map_put(world->map, "localhost", "RELAY"), 0);
		assert_int_equal(commit(world, &identity), 0);
		assert_int_equal(fstat(old, &after), 0);
		assert_int_equal(after.st_nlink, 0);
		assert_int_equal(after.st_mtim.tv_sec > before.st_mtim.tv_sec, wake);
		close(old);
	}
}

/* A disk that is full, by the limit on the size of a file. */
static void a_failed_write_leaves_the_old_map(void **state)
{
	struct world *world = *state;
	struct map_identity identity = rebuild(world, 0, 5000), found;
	struct rlimit old, small;
	unsigned failures = 0;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	for (rlim_t limit = 0; limit <= 200000; limit += 7000) {
		int r;

		small.rlim_cur = limit;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		if (limit / 7000 % 2)
			r = map_begin_delta(world->map, &identity);
		else
			r = map_begin_rebuild(world->map);
		for (unsigned i = 5000; i < 10000 && r == 0; i++) {
			char key[32];

			key_of(i, key);
			r = map_put(world->map, key, "RELAY");
		}
		if (r == 0)
			r = commit(world, &found);
		else
			map_abort(world->map);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_int_equal(r, -EFBIG);
		assert_string_not_equal(map_failed_step(world->map), "rename");
		assert_int_equal(count_entries(world->directory), 1);
		assert_int_equal(map_identify(world->map, &found), 0);
		assert_true(map_identity_equal(&identity, &found));
		failures++;
	}
	assert_true(failures > 20);
	assert_rows(world, 0, 5000);
}

static int is_localhost(const char *key, const char *value, void *context)
{
	(void)context;
	return strcmp(key, "localhost") != 0 || strcmp(value, "RELAY") != 0;
}

/* A full disk keeps nobody in the map: the spare needs no room. */
static void a_spare_takes_the_place_on_a_full_disk(void **state)
{
	struct world *world = *state;
	struct map_identity identity;
	struct rlimit old, none;
	struct stat status;
	char spare[80];

	snprintf(spare, sizeof(spare), "%s/.m.db.spare", world->directory);
	assert_int_equal(map_use_spare(world->map), -ENOENT);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_put(world->map, "localhost", "RELAY"), 0);
	assert_int_equal(map_commit_spare(world->map), 0);
	rebuild(world, 0, 100);
	map_close(world->map);
	assert_int_equal(map_open(&world->settings, &world->map), 0);
	assert_int_equal(stat(spare, &status), 0); /* no sweep takes it */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_true(map_begin_rebuild(world->map) < 0);
	assert_int_equal(map_use_spare(world->map), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(map_identify(world->map, &identity), 0);
	assert_int_equal(map_scan(&world->settings, is_localhost, NULL), 0);
	assert_int_equal(stat(spare, &status), -1);
	assert_int_equal(map_use_spare(world->map), -ENOENT);
	/* one that others could have written is not put in place */
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_commit_spare(world->map), 0);
	assert_int_equal(chmod(spare, 0666), 0);
	assert_int_equal(map_use_spare(world->map), -EPERM);
	assert_int_equal(unlink(spare), 0);
}

/* No link: Postfix sees that a file was replaced by its count of links being zero. */
static void assert_is_copied(const struct world *world)
{
	struct stat in_place, spare;
	char path[80];

	snprintf(path, sizeof(path), "%s/.m.db.spare", world->directory);
	assert_int_equal(stat(path, &spare), 0);
	assert_int_equal(stat(world->file, &in_place), 0);
	assert_int_not_equal(spare.st_ino, in_place.st_ino);
	assert_int_equal(spare.st_nlink, 1);
	assert_int_equal(in_place.st_nlink, 1);
	assert_int_equal(in_place.st_size, spare.st_size);
	assert_int_equal(in_place.st_mode & 07777, 0644);
	assert_int_equal(map_scan(&world->settings, is_localhost, NULL), 0);
}

static void a_spare_that_was_used_is_there_again(void **state)
{
	struct world *world = *state;
	struct map_identity identity, found;

	assert_int_equal(map_restore_spare(world->map, &identity), -ENOENT);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_put(world->map, "localhost", "RELAY"), 0);
	assert_int_equal(map_commit_spare(world->map), 0);
	for (unsigned i = 0; i < 2; i++) {
		rebuild(world, 0, 100);
		assert_int_equal(map_use_spare(world->map), 0);
		assert_is_copied(world);
		rebuild(world, 0, 100);
		assert_int_equal(map_restore_spare(world->map, &identity), 0);
		assert_is_copied(world);
		assert_int_equal(map_identify(world->map, &found), 0);
		assert_true(map_identity_equal(&identity, &found));
	}
	assert_int_equal(count_entries(world->directory), 2);
	world->settings.type = MAP_BTREE;
	reopen(world);
	assert_int_equal(map_restore_spare(world->map, &identity), -ENOENT);
	assert_int_equal(map_use_spare(world->map), -EPERM);
	world->settings.type = MAP_HASH;
	assert_int_equal(map_scan(&world->settings, is_localhost, NULL), 0);
}

/* What was on the heap before, such as names of users, must not get into the unused parts
 * of a file that is for everybody to read. */
static void publishes_nothing_from_the_heap(void **state)
{
	static const char mark[] = "bob@example.net";
	struct world *world = *state;
	void *blocks[2000];
	size_t size;
	char *text;
	FILE *file;

	for (unsigned i = 0; i < 2000; i++) {
		blocks[i] = malloc(4000 + i % 400);
		for (unsigned j = 0; j < 3900; j += sizeof(mark))
			memcpy((char *)blocks[i] + j, mark, sizeof(mark));
	}
	for (unsigned i = 0; i < 2000; i++)
		free(blocks[i]);
	rebuild(world, 0, 5000);
	file = fopen(world->file, "re");
	text = malloc(1 << 20);
	size = fread(text, 1, 1 << 20, file);
	fclose(file);
	assert_true(size > 100000);
	assert_null(memmem(text, size, mark, sizeof(mark) - 1));
	free(text);
}

/* As the file's first page tells. */
static uint32_t page_size_of(const struct world *world)
{
	uint32_t size = 0;
	FILE *file = fopen(world->file, "re");

	assert_int_equal(fseek(file, 20, SEEK_SET), 0);
	assert_int_equal(fread(&size, sizeof(size), 1, file), 1);
	fclose(file);
	return size;
}

static void has_pages_of_the_wanted_size(void **state)
{
	static const unsigned sizes[] = {512, 4096, 65536};
	struct world *world = *state;

	for (unsigned i = 0; i < 2 * sizeof(sizes) / sizeof(*sizes); i++) {
		struct map_identity identity;

		world->settings.type = i % 2 ? MAP_BTREE : MAP_HASH;
		world->settings.page_size = sizes[i / 2];
		reopen(world);
		rebuild(world, 0, 1000);
		assert_int_equal(page_size_of(world), sizes[i / 2]);
		/* a change leaves them as they are */
		assert_int_equal(map_identify(world->map, &identity), 0);
		assert_int_equal(map_begin_delta(world->map, &identity), 0);
		assert_int_equal(map_put(world->map, "203.0.113.9", "1795000000"), 0);
		assert_int_equal(map_commit(world->map, &identity, &world->counts), 0);
		assert_int_equal(page_size_of(world), sizes[i / 2]);
	}
}

static void *run_generations(void *argument)
{
	const char *path = argument;
	struct map_settings settings = {.type = MAP_HASH,
		.path = path,
		.mode = 0644,
		.group = (gid_t)-1,
		.trailing_nul = true};
	struct map_identity identity;
	struct map_counts counts;
	struct map *map;
	int r = map_open(&settings, &map);

	if (r < 0)
		return argument;
	r = map_begin_rebuild(map);
	for (unsigned i = 0; i < 20 && r == 0; i++) {
		char key[32];

		key_of(i, key);
		r = map_put(map, key, "OK");
		if (r == 0)
			r = map_commit(map, &identity, &counts);
		if (r == 0)
			r = map_begin_delta(map, &identity);
	}
	map_close(map);
	return r == 0 ? NULL : argument;
}

static void maps_in_several_threads_do_not_meet(void **state)
{
	struct world *world = *state;
	char paths[4][80];
	pthread_t threads[4];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/thread%u", world->directory, i);
		assert_int_equal(
			pthread_create(&threads[i], NULL, run_generations, paths[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(count_entries(world->directory), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sets_mode_and_group),
		TEST(removes_leftovers_when_opened),
		TEST(follows_no_symbolic_link),
		TEST(is_choosy_about_its_settings),
		TEST(a_directory_that_became_unsafe_gets_no_map),
		TEST(a_directory_that_became_unsafe_gets_the_spare),
		TEST(publishes_into_a_directory_made_anew),
		TEST(wakes_readers_if_asked_to),
		TEST(a_failed_write_leaves_the_old_map),
		TEST(a_spare_takes_the_place_on_a_full_disk),
		TEST(a_spare_that_was_used_is_there_again),
		TEST(publishes_nothing_from_the_heap),
		TEST(has_pages_of_the_wanted_size),
		TEST(maps_in_several_threads_do_not_meet),
	};

	return cmocka_run_group_tests_name("map_file", tests, NULL, NULL);
}
