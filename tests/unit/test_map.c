/* A map's life on the disk, with Berkeley DB hash files.  libdb is used here directly,
 * too, as an independent reader and to verify files. */
#include "maps/map.h"

#include <db.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* needs those before it */

struct world {
	char directory[32];
	char path[64], file[64];
	unsigned descriptors;
	struct map_settings settings;
	struct map *map;
};

static unsigned count_entries(const char *directory)
{
	DIR *stream = opendir(directory);
	unsigned count = 0;

	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->descriptors = count_entries("/proc/self/fd");
	snprintf(world->directory, sizeof(world->directory), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	assert_int_equal(chmod(world->directory, 0755), 0);
	snprintf(world->path, sizeof(world->path), "%s/m", world->directory);
	snprintf(world->file, sizeof(world->file), "%s/m.db", world->directory);
	world->settings = (struct map_settings){
		.type = MAP_HASH,
		.path = world->path,
		.mode = 0644,
		.group = (gid_t)-1,
	};
	assert_int_equal(map_open(&world->settings, &world->map), 0);
	*state = world;
	return 0;
}

static void remove_directory(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;

	while ((entry = readdir(stream)))
		(void)unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
	assert_int_equal(rmdir(directory), 0);
}

static int teardown(void **state)
{
	struct world *world = *state;

	world->map = map_close(world->map);
	remove_directory(world->directory);
	assert_int_equal(count_entries("/proc/self/fd"), world->descriptors);
	free(world);
	return 0;
}

static void reopen(struct world *world)
{
	map_close(world->map);
	assert_int_equal(map_open(&world->settings, &world->map), 0);
}

static void key_of(unsigned number, char key[32])
{
	snprintf(key, 32, "connect:10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255,
		number & 255);
}

/* Publishes the rows first to last - 1 and no others. */
static struct map_identity rebuild(struct world *world, unsigned first, unsigned last)
{
	struct map_identity identity;

	assert_int_equal(map_begin_rebuild(world->map), 0);
	for (unsigned i = first; i < last; i++) {
		char key[32];

		key_of(i, key);
		assert_int_equal(map_put(world->map, key, "RELAY"), 0);
	}
	assert_int_equal(map_commit(world->map, &identity), 0);
	return identity;
}

struct seen {
	unsigned rows;
	bool number[200000];
};

static int see_row(const char *key, const char *value, void *context)
{
	struct seen *seen = context;
	unsigned a, b, c, number;

	assert_int_equal(sscanf(key, "connect:10.%u.%u.%u", &a, &b, &c), 3);
	assert_string_equal(value, "RELAY");
	number = a << 16 | b << 8 | c;
	assert_false(seen->number[number]);
	seen->number[number] = true;
	seen->rows++;
	return 0;
}

/* The published file has the rows first to last - 1 and no others. */
static void assert_rows(const struct world *world, unsigned first, unsigned last)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	assert_int_equal(map_scan(&world->settings, see_row, seen), 0);
	assert_int_equal(seen->rows, last - first);
	for (unsigned i = first; i < last; i++)
		assert_true(seen->number[i]);
	free(seen);
}

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
	assert_int_equal(map_commit(world->map, &new), 0);
	assert_rows(world, 1, 1001);
	assert_false(map_identity_equal(&old, &new));
	verify(world);
}

static void says_what_was_so_already(void **state)
{
	struct world *world = *state;
	struct map_identity identity;

	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_put(world->map, "a", "OK"), 0);
	assert_int_equal(map_put(world->map, "a", "OK"), MAP_UNCHANGED);
	assert_int_equal(map_put(world->map, "a", "RELAY"), 0);
	assert_int_equal(map_put(world->map, "a", "RELAX"), 0);
	assert_int_equal(map_put(world->map, "a", "RELAX"), MAP_UNCHANGED);
	assert_int_equal(map_put(world->map, "a", "RELAY"), 0);
	assert_int_equal(map_delete(world->map, "b"), MAP_UNCHANGED);
	assert_int_equal(map_delete(world->map, "a"), 0);
	assert_int_equal(map_delete(world->map, "a"), MAP_UNCHANGED);
	assert_int_equal(map_put(world->map, "connect:10.0.0.0", "RELAY"), 0);
	assert_int_equal(map_commit(world->map, &identity), 0);
	assert_rows(world, 0, 1);
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
		assert_int_equal(map_commit(world->map, &identity), 0);
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
	assert_int_equal(map_commit(world->map, &identity), -EINVAL);
	assert_int_equal(map_begin_rebuild(world->map), 0);
	assert_int_equal(map_begin_rebuild(world->map), -EBUSY);
	assert_int_equal(map_begin_delta(world->map, &identity), -EBUSY);
	assert_int_equal(map_put(world->map, "", "b"), -EINVAL);
	assert_int_equal(map_put(world->map, "a", ""), -EINVAL);
	assert_int_equal(map_delete(world->map, ""), -EINVAL);
	assert_int_equal(map_put(world->map, "connect:10.0.0.0", "RELAY"), 0);
	assert_int_equal(map_commit(world->map, &identity), 0);
	assert_int_equal(map_commit(world->map, &identity), -EINVAL);
	assert_rows(world, 0, 1);
}

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
	assert_int_equal(map_commit(world->map, &identity), -EPERM);
	assert_string_equal(map_failed_step(world->map), "set mode");
	assert_rows(world, 0, 1);
	assert_int_equal(count_entries(world->directory), 1);
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
	assert_int_equal(map_commit(world->map, &identity), -EPERM);
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
			assert_int_equal(map_commit(world->map, &identity), 0);
		}
	}
	assert_int_equal(r, DB_NOTFOUND);
	assert_int_equal(count, 20000);
	cursor->close(cursor);
	db->close(db, 0);
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
		assert_int_equal(map_commit(world->map, &identity), 0);
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
			r = map_commit(world->map, &found);
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

static void *run_generations(void *argument)
{
	const char *path = argument;
	struct map_settings settings = {.type = MAP_HASH,
		.path = path,
		.mode = 0644,
		.group = (gid_t)-1,
		.trailing_nul = true};
	struct map_identity identity;
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
			r = map_commit(map, &identity);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(publishes_an_empty_map),
		TEST(a_rebuild_has_its_rows_only),
		TEST(a_delta_changes_its_rows_only),
		TEST(says_what_was_so_already),
		TEST(many_generations_of_clones_stay_sound),
		TEST(a_delta_needs_the_expected_file),
		TEST(an_abort_leaves_the_old_map),
		TEST(a_change_has_an_order),
		TEST(sets_mode_and_group),
		TEST(writes_both_styles_of_nul),
		TEST(a_scan_ends_when_told),
		TEST(says_no_foreign_numbers_and_prints_nothing),
		TEST(removes_leftovers_when_opened),
		TEST(follows_no_symbolic_link),
		TEST(is_choosy_about_its_settings),
		TEST(a_directory_that_became_unsafe_gets_no_map),
		TEST(publishes_into_a_directory_made_anew),
		TEST(a_reader_of_the_old_map_reads_it_whole),
		TEST(wakes_readers_if_asked_to),
		TEST(a_failed_write_leaves_the_old_map),
		TEST(publishes_nothing_from_the_heap),
		TEST(maps_in_several_threads_do_not_meet),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
