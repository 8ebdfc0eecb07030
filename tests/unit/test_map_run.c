/* What stands in a map when a run of its worker fails: who has to be shut out is, by the
 * spare if need be, and nobody else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "dracd/map_worker_internal.h"
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

static void set_limit(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct address lease_of(unsigned number)
{
	char text[16];

	snprintf(text, sizeof(text), "10.0.%u.%u", number >> 8, number & 255);
	return address_of(text);
}

static void grant_all(struct world *world)
{
	struct table_grant grant;
	struct login login = {0};

	assert_int_equal(table_begin(world->table, at(0)), 0);
	for (unsigned i = 0; i < LEASES; i++) {
		struct address key = lease_of(i);

		snprintf(login.user, sizeof(login.user), "user%u", i);
		assert_int_equal(
			table_login(world->table, &key, &login, 10 * YEAR * USEC_PER_SEC,
				at(0), PER_USER, &grant),
			0);
	}
	assert_int_equal(table_commit(world->table, false), 0);
}

static void end_lease(struct run *run, unsigned number)
{
	struct address key = lease_of(number);
	struct table_ended ended;

	assert_int_equal(table_begin(run->world->table, at(0)), 0);
	assert_int_equal(table_end_prefix(run->world->table, &key, &ended), 0);
	assert_int_equal(ended.leases, 1);
	assert_int_equal(table_commit(run->world->table, false), 0);
}

static int count_row(const char *key, const char *value, void *context)
{
	(void)key;
	(void)value;
	++*(unsigned *)context;
	return 0;
}

static unsigned rows_in_map(const struct run *run)
{
	const struct map_settings settings = {.type = run->map.type, .path = run->path};
	unsigned rows = 0;

	assert_int_equal(map_scan(&settings, count_row, &rows), 0);
	return rows;
}

/* One run of the worker on a disk where no file can grow beyond that size. */
static int run_within(struct run *run, rlim_t size, unsigned why)
{
	int r;

	set_limit(size);
	r = map_run(&run->worker, why, &run->config, run->blocks);
	set_limit(RLIM_INFINITY);
	return r;
}

static int setup_run(void **state)
{
	struct run *run = calloc(1, sizeof(*run));
	struct world *world;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setup(state), 0);
	run->world = world = *state;
	assert_int_equal(table_close(world->table), 0);
	world->settings.max_leases = LEASES;
	open_table(world, at(0), 0);
	grant_all(world);
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

static int teardown_run(void **state)
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_run, teardown_run)
	const struct CMUnitTest tests[] = {
		TEST(half_a_rebuild_is_no_withdrawal),
		TEST(a_withdrawal_is_no_reason_for_another),
		TEST(a_spare_that_is_gone_is_made_again),
		TEST(a_table_that_cannot_be_read_keeps_nobody_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
