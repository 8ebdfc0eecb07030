/* Which reason of a map's worker has its turn; what it does then is faked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>

#include "dracd/map_worker_internal.h"

enum {
	CHECKS = 1000 /* that somebody asks for who touches the file again and again */
};

static struct {
	struct map_worker *worker;
	sem_t reported;
	unsigned checks, checks_before_run;
} world;

static void wake(unsigned why)
{
	map_worker_wake(world.worker, why, UINT64_MAX, NULL, NULL);
}

/* ---- what the worker calls ---- */

bool map_check(struct map_worker *worker)
{
	(void)worker;
	if (++world.checks < CHECKS)
		wake(WAKE_CHECK);
	return false;
}

int map_run(struct map_worker *worker, unsigned why, struct config *config,
	struct blocks *blocks)
{
	(void)worker;
	(void)config;
	(void)blocks;
	assert_int_equal(why & (WAKE_CHECK | WAKE_EMPTY), 0);
	world.checks_before_run = world.checks;
	return 0;
}

void map_note_given_up(struct map_worker *worker)
{
	(void)worker;
}

bool map_empty_replaced(struct map *map, unsigned wait_msec)
{
	(void)map;
	(void)wait_msec;
	return true;
}

struct map *map_close(struct map *map)
{
	return map;
}

struct access *access_free(struct access *access)
{
	return access;
}

struct config *config_ref(struct config *config)
{
	return config;
}

struct config *config_unref(struct config *config)
{
	return config;
}

struct blocks *blocks_ref(struct blocks *blocks)
{
	return blocks;
}

struct blocks *blocks_unref(struct blocks *blocks)
{
	return blocks;
}

int table_reader_open(struct table *table, struct table_reader **ret)
{
	(void)table;
	*ret = NULL;
	return 0;
}

struct table_reader *table_reader_close(struct table_reader *reader)
{
	return reader;
}

static void on_reported(void *context)
{
	(void)context;
	assert_int_equal(sem_post(&world.reported), 0);
}

/* ---- the test ---- */

static void checks_without_end_keep_no_run_waiting(void **state)
{
	const struct map_config map = {.name = (char *)(uintptr_t) "m"};
	const struct map_worker_settings settings = {
		.map = &map, .reported = on_reported};

	(void)state;
	assert_int_equal(sem_init(&world.reported, 0, 0), 0);
	assert_int_equal(map_worker_start(&settings, NULL, NULL, &world.worker), 0);
	assert_int_equal(sem_wait(&world.reported), 0);
	assert_int_equal(world.checks, 0);
	wake(WAKE_CHECK | WAKE_CHANGES);
	assert_int_equal(sem_wait(&world.reported), 0);
	/* the one that goes first, as it may tell of what the run repairs */
	assert_int_equal(world.checks_before_run, 1);
	map_worker_stop(world.worker);
	assert_int_equal(sem_destroy(&world.reported), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_without_end_keep_no_run_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
