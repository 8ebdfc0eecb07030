/* What a map worker's run does when something fails: on the real map, of a table that the
 * test makes up. */
#include "tests/unit/map_world.h"
#include "tests/unit/unit.h"

#include <errno.h>

#include "dracd/guard.h"
#include "dracd/map_users.h"
#include "dracd/map_verify.h"
#include "dracd/map_worker_internal.h"

/* ---- the table ---- */

static unsigned leases; /* from 10.0.0.0 on */
static int read_error;

static struct lease lease_number(unsigned number)
{
	char text[32];

	snprintf(text, sizeof(text), "10.0.0.%u", number);
	return (struct lease){.address = address_of(text)};
}

int table_reader_begin(struct table_reader *reader)
{
	(void)reader;
	return 0;
}

void table_reader_end(struct table_reader *reader)
{
	(void)reader;
}

int table_read_position(
	struct table_reader *reader, uint64_t *ret_sequence, uint64_t *ret_tail)
{
	(void)reader;
	*ret_sequence = *ret_tail = 0;
	return 0;
}

int table_each_lease(struct table_reader *reader,
	int (*visit)(const struct lease *lease, void *context), void *context)
{
	int r = read_error;

	(void)reader;
	for (unsigned i = 0; i < leases && r == 0; i++) {
		const struct lease lease = lease_number(i);

		r = visit(&lease, context);
	}
	return r;
}

int table_each_change(struct table_reader *reader, uint64_t sequence,
	int (*visit)(const struct address *key, void *context), void *context)
{
	const struct address newest = lease_number(leases - 1).address;

	(void)reader;
	(void)sequence;
	return read_error ? read_error : visit(&newest, context);
}

int table_each_expiry(struct table_reader *reader, const struct expiry *after,
	int (*visit)(const struct expiry *row, void *context), void *context)
{
	(void)reader;
	(void)after;
	(void)visit;
	(void)context;
	return 0;
}

int table_read_lease(
	struct table_reader *reader, const struct address *key, struct lease *ret)
{
	(void)reader;
	*ret = (struct lease){.address = *key};
	return 0;
}

enum reason guard_admit(const struct rules *rules, const struct address *address,
	const struct lease *lease, struct moment now)
{
	(void)rules;
	(void)address;
	(void)lease;
	(void)now;
	return REASON_OK;
}

bool map_shows_users(const struct map_config *map)
{
	(void)map;
	return false;
}

/* ---- not of these tests ---- */

int map_users_add(struct table_reader *reader, const struct lease *lease,
	uint64_t boot_usec, struct text *text)
{
	(void)reader;
	(void)lease;
	(void)boot_usec;
	(void)text;
	abort();
}

int map_verify_run(struct map_worker *worker, struct config *config,
	struct blocks *blocks, bool rebuild)
{
	(void)worker;
	(void)config;
	(void)blocks;
	(void)rebuild;
	abort();
}

/* ---- the worker ---- */

static char path[64];
static struct config config = {.mode = MODE_ENFORCE};
static struct map_config map_config = {.name = path,
	.type = MAP_RELAYHOSTS,
	.keys = KEY_PLAIN,
	.nul = NUL_NO,
	.path = path,
	.group = (gid_t)-1,
	.mode = 0644};
static struct map_worker worker;

static int setup_worker(void **state)
{
	int r = setup_type(state, MAP_RELAYHOSTS);
	struct world *world = *state;

	world->map = map_close(world->map); /* the worker has its own */
	snprintf(path, sizeof(path), "%s", world->path);
	worker = (struct map_worker){.settings.map = &map_config};
	leases = 0;
	read_error = 0;
	return r;
}

static int teardown_worker(void **state)
{
	worker.map = map_close(worker.map);
	return teardown(state);
}

static int run(unsigned why)
{
	return map_run(&worker, why, &config, NULL);
}

static int count_row(const char *key, const char *value, void *context)
{
	unsigned *count = context;

	(void)key;
	(void)value;
	++*count;
	return 0;
}

static unsigned rows_in_place(const struct world *world)
{
	unsigned count = 0;

	assert_int_equal(map_scan(&world->settings, count_row, &count), 0);
	return count;
}

static void publish(const struct world *world, unsigned count)
{
	leases = count;
	assert_int_equal(run(WAKE_REPEAT), 0);
	assert_int_equal(rows_in_place(world), count);
	assert_false(worker.now.is_withdrawn);
}

/* ---- the tests ---- */

static void a_login_that_cannot_be_read_costs_nobody_his_place(void **state)
{
	publish(*state, 3);
	leases = 4;
	read_error = -ENOMEM;
	assert_int_equal(run(WAKE_CHANGES), -ENOMEM);
	assert_int_equal(run(WAKE_CHANGES | WAKE_REPEAT), -ENOMEM);
	assert_int_equal(rows_in_place(*state), 3);
	read_error = 0;
	assert_int_equal(run(WAKE_CHANGES), 0);
	assert_int_equal(rows_in_place(*state), 4);
}

/* An end is an end, whatever kept us from reading which. */
static void an_end_that_cannot_be_read_withdraws(void **state)
{
	static const unsigned ends[] = {WAKE_ENDS, WAKE_REVOKED, WAKE_REBUILD};

	for (size_t i = 0; i < COUNT(ends); i++) {
		publish(*state, 3);
		read_error = -ENOMEM;
		assert_int_equal(run(ends[i]), -ENOMEM);
		assert_int_equal(worker.now.table_error, -ENOMEM);
		assert_int_equal(rows_in_place(*state), 0);
		assert_true(worker.now.is_withdrawn);
		read_error = 0;
	}
	publish(*state, 3);
}

/* Whoever took it away, or whatever failed when it was used: the next run makes another.
 */
static void a_spare_that_is_lost_is_made_again(void **state)
{
	const struct world *world = *state;
	char spare[80];

	snprintf(spare, sizeof(spare), "%s/.m.spare", world->directory);
	publish(world, 3);
	assert_int_equal(unlink(spare), 0);
	assert_int_equal(chmod(world->directory, 0775), 0);
	assert_int_equal(run(WAKE_REVOKED), -EPERM);
	assert_int_equal(rows_in_place(world), 3); /* there was no help */
	assert_int_equal(chmod(world->directory, 0755), 0);
	publish(world, 3);
	assert_int_equal(chmod(world->directory, 0775), 0);
	assert_int_equal(run(WAKE_REVOKED), -EPERM);
	assert_int_equal(rows_in_place(world), 0);
	assert_int_equal(chmod(world->directory, 0755), 0);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_worker, teardown_worker)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_login_that_cannot_be_read_costs_nobody_his_place),
		TEST(an_end_that_cannot_be_read_withdraws),
		TEST(a_spare_that_is_lost_is_made_again),
	};

	return cmocka_run_group_tests_name("map_run", tests, NULL, NULL);
}
