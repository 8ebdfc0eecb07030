/* What the tests of a map's worker have in common: a table with leases, and a map of it
 * on a disk that can be full. */
#ifndef TESTS_UNIT_MAP_RUN_WORLD_H
#define TESTS_UNIT_MAP_RUN_WORLD_H

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "dracd/map_worker_internal.h"
#include "tests/unit/map_scan.h"
#include "tests/unit/table_world.h"

enum {
	LEASES = 9000, /* an lmdb map takes the first 5000 at once */
	ROOM_FOR_5000 = 180 * 1024,
	ROOM_FOR_NONE = 16 * 1024, /* but for the spare */
	YEAR = 365 * 24 * 3600,
};

struct run {
	struct world *world;
	char directory[32], path[48], file[64], spare[64];
	struct map_config map;
	struct config config;
	struct blocks *blocks;
	struct map_worker worker;
};

static inline void set_limit(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline struct address lease_of(unsigned number)
{
	char text[24];

	snprintf(text, sizeof(text), "10.0.%u.%u", number >> 8, number & 255);
	return address_of(text);
}

static inline void grant_one(struct world *world, unsigned number)
{
	struct address key = lease_of(number);
	struct table_grant grant;
	struct login login = {0};

	snprintf(login.user, sizeof(login.user), "user%u", number);
	assert_int_equal(table_login(world->table, &key, &login, 10 * YEAR * USEC_PER_SEC,
				 at(0), PER_USER, &grant),
		0);
}

static inline void grant_more(struct world *world, unsigned first, unsigned last)
{
	assert_int_equal(table_begin(world->table, at(0)), 0);
	for (unsigned i = first; i < last; i++)
		grant_one(world, i);
	assert_int_equal(table_commit(world->table, false), 0);
}

static inline void end_lease(struct run *run, unsigned number)
{
	struct address key = lease_of(number);
	struct table_ended ended;

	assert_int_equal(table_begin(run->world->table, at(0)), 0);
	assert_int_equal(table_end_prefix(run->world->table, &key, &ended), 0);
	assert_int_equal(ended.leases, 1);
	assert_int_equal(table_commit(run->world->table, false), 0);
}

static inline int count_row(const char *key, const char *value, void *context)
{
	(void)key;
	(void)value;
	++*(unsigned *)context;
	return 0;
}

static inline unsigned rows_in_map(const struct run *run)
{
	const struct map_settings settings = {.type = run->map.type, .path = run->path};
	unsigned rows = 0;

	assert_int_equal(map_scan(&settings, count_row, &rows), 0);
	return rows;
}

/* One run of the worker on a disk where no file can grow beyond that size. */
static inline int run_within(struct run *run, rlim_t size, unsigned why)
{
	int r;

	set_limit(size);
	r = map_run(&run->worker, why, &run->config, run->blocks);
	set_limit(RLIM_INFINITY);
	return r;
}

static inline int setup_run(void **state)
{
	struct run *run = calloc(1, sizeof(*run));
	struct world *world;

	signal(SIGXFSZ, SIG_IGN);
	set_limit(RLIM_INFINITY); /* a test before may have failed */
	assert_int_equal(setup(state), 0);
	run->world = world = *state;
	assert_int_equal(table_close(world->table), 0);
	world->settings.max_leases = LEASES + 1;
	open_table(world, at(0), 0);
	grant_more(world, 0, LEASES);
	snprintf(run->directory, sizeof(run->directory), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(run->directory));
	assert_int_equal(chmod(run->directory, 0755), 0);
	snprintf(run->path, sizeof(run->path), "%s/m", run->directory);
	snprintf(run->file, sizeof(run->file), "%s/m.lmdb", run->directory);
	snprintf(run->spare, sizeof(run->spare), "%s/.m.lmdb.spare", run->directory);
	run->map = (struct map_config){
		.type = MAP_LMDB,
		.keys = KEY_POSTFIX,
		.nul = NUL_NO,
		.path = run->path,
		.file = run->file,
		.group = (gid_t)-1,
		.mode = 0644,
	};
	run->config = (struct config){.references = 1, .mode = MODE_ENFORCE};
	run->blocks = blocks_new();
	run->worker.settings.map = &run->map;
	assert_int_equal(table_reader_open(world->table, &run->worker.reader), 0);
	assert_int_equal(run_within(run, RLIM_INFINITY, WAKE_REBUILD), 0);
	assert_int_equal(rows_in_map(run), LEASES);
	*state = run;
	return 0;
}

static inline int teardown_run(void **state)
{
	struct run *run = *state;
	DIR *stream = opendir(run->directory);
	struct dirent *entry;

	map_close(run->worker.map);
	table_reader_close(run->worker.reader);
	blocks_unref(run->blocks);
	while ((entry = readdir(stream)))
		(void)unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
	assert_int_equal(rmdir(run->directory), 0);
	*state = run->world;
	free(run);
	return teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_run, teardown_run)

#endif
