/* When a map's worker runs again after a failure. */
#include <semaphore.h>

#include "tests/unit/map_run_world.h"

enum {
	FAILURES = 3, /* after so many the next try is 4 s later */
	AT_ONCE_USEC = 1000000,
	SOON_USEC = 2500000,
};

struct thread {
	struct run *run;
	struct map_worker *worker;
	sem_t reported;
};

static void on_reported(void *context)
{
	struct thread *thread = context;

	assert_int_equal(sem_post(&thread->reported), 0);
}

static struct map_report next_report(struct thread *thread)
{
	assert_int_equal(sem_wait(&thread->reported), 0);
	return map_worker_report(thread->worker);
}

static void wake(struct thread *thread, unsigned why)
{
	map_worker_wake(thread->worker, why, UINT64_MAX, &thread->run->config,
		thread->run->blocks);
}

/* A disk that is full, and a login that cannot be written to it, again and again. */
static void begin(struct thread *thread, struct run *run)
{
	const struct map_worker_settings settings = {
		.map = &run->map,
		.table = run->world->table,
		.reported = on_reported,
		.context = thread,
	};

	*thread = (struct thread){.run = run};
	assert_int_equal(sem_init(&thread->reported, 0, 0), 0);
	assert_int_equal(
		map_worker_start(&settings, &run->config, run->blocks, &thread->worker),
		0);
	assert_int_equal(next_report(thread).error, 0);
	grant_more(run->world, LEASES, LEASES + 1);
	set_limit(ROOM_FOR_NONE);
	wake(thread, WAKE_CHANGES);
	for (unsigned i = 0; i < FAILURES; i++) {
		struct map_report report = next_report(thread);

		assert_true(report.error < 0);
		assert_false(report.is_withdrawn);
	}
	assert_int_equal(rows_in_map(run), LEASES);
}

static void end(struct thread *thread)
{
	set_limit(RLIM_INFINITY);
	wake(thread, WAKE_RETRY);
	assert_int_equal(next_report(thread).error, 0);
	map_worker_stop(thread->worker);
	sem_destroy(&thread->reported);
}

/* The next run comes within that time, and shuts out. */
static void assert_withdrawn_within(struct thread *thread, unsigned why, uint64_t usec)
{
	uint64_t since = clock_now().boot_usec;

	wake(thread, why);
	assert_true(next_report(thread).is_withdrawn);
	assert_in_range(clock_now().boot_usec - since, 0, usec);
	assert_int_equal(rows_in_map(thread->run), 0);
}

static void a_revocation_waits_for_no_retry(void **state)
{
	struct thread thread;

	begin(&thread, *state);
	set_limit(RLIM_INFINITY);
	end_lease(thread.run, 0);
	set_limit(ROOM_FOR_NONE);
	assert_withdrawn_within(&thread, WAKE_CHANGES | WAKE_REVOKED, AT_ONCE_USEC);
	end(&thread);
	assert_int_equal(rows_in_map(thread.run), LEASES);
}

/* Once nobody is in the map nobody can be shut out, and no try is brought forward. */
static void an_end_waits_for_a_retry_soon(void **state)
{
	struct timespec until;
	struct thread thread;

	begin(&thread, *state);
	assert_withdrawn_within(&thread, WAKE_ENDS, SOON_USEC);
	wake(&thread, WAKE_ENDS);
	wake(&thread, WAKE_CHANGES | WAKE_REVOKED);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	assert_int_equal(sem_timedwait(&thread.reported, &until), -1);
	end(&thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_revocation_waits_for_no_retry),
		TEST(an_end_waits_for_a_retry_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
