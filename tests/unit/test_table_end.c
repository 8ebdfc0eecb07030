/* Which leases a revoked prefix ends, compared with what an oracle says of each. */
#include "dracd/table_internal.h"
#include "tests/unit/table_world.h"

enum {
	ROUNDS = 300,
	ROWS = 24,
};

/* So few different bits that prefixes often contain each other. */
static struct address random_address(void)
{
	static const char *const bases[] = {"203.0.113.0", "203.0.112.192",
		"2001:db8::", "2001:db8:0:1::", "::", "8000::", "64:ff9b::"};
	static const uint8_t lengths_ipv4[] = {96, 97, 118, 119, 120, 121, 127, 128};
	static const uint8_t lengths_ipv6[] = {0, 1, 2, 32, 63, 64, 65, 127, 128};
	struct address address = address_of(bases[(size_t)random() % 7]);
	unsigned length = address_is_ipv4(&address) ? lengths_ipv4[(size_t)random() % 8]
						    : lengths_ipv6[(size_t)random() % 9];

	address.ip.s6_addr[15] |= (uint8_t)(random() % 4);
	if (!address_is_ipv4(&address))
		address.ip.s6_addr[7] |= (uint8_t)(random() % 4);
	return address_network(&address, length);
}

struct survivors {
	struct address prefix;
	struct address items[ROWS];
	unsigned count;
};

static int collect(const struct lease *lease, void *context)
{
	struct survivors *left = context;

	left->items[left->count++] = lease->address;
	return 0;
}

static int collect_untouched(const struct lease *lease, void *context)
{
	struct survivors *left = context;

	if (address_contains(&left->prefix, &lease->address) ||
		address_contains(&lease->address, &left->prefix))
		return 0;
	return collect(lease, context);
}

static void each_lease(struct world *world,
	int (*visit)(const struct lease *lease, void *context), struct survivors *into)
{
	struct table_reader *reader = reader_of(world);

	assert_int_equal(table_each_lease(reader, visit, into), 0);
	table_reader_close(reader);
}

static void log_in_random(struct world *world)
{
	struct login one = {.user = "", .service = "imap", .reporter = "unit"};
	struct table_grant grant;

	assert_int_equal(table_begin(world->table, at(0)), 0);
	for (unsigned i = 0; i < ROWS; i++) {
		struct address key = random_address();

		assert_int_equal(table_login(world->table, &key, &one, 60 * USEC_PER_SEC,
					 at(0), PER_USER, &grant),
			0);
	}
	assert_int_equal(table_commit(world->table, false), 0);
}

static void test_prefix_by_oracle(void **state)
{
	struct world *world = *state;
	unsigned ended_in_all = 0, left_in_all = 0;

	srandom(4);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct survivors expected = {.prefix = random_address()}, left = {0};
		struct survivors before = {0};
		struct table_ended ended;

		log_in_random(world);
		each_lease(world, collect, &before);
		each_lease(world, collect_untouched, &expected);
		assert_int_equal(table_begin(world->table, at(1)), 0);
		assert_int_equal(
			table_end_prefix(world->table, &expected.prefix, &ended), 0);
		assert_int_equal(table_commit(world->table, false), 0);
		each_lease(world, collect, &left);
		assert_int_equal(left.count, expected.count);
		for (unsigned n = 0; n < left.count; n++)
			assert_int_equal(
				address_compare(&left.items[n], &expected.items[n]), 0);
		assert_int_equal(ended.leases, before.count - left.count);
		ended_in_all += (unsigned)ended.leases;
		left_in_all += left.count;
		assert_int_equal(table_begin(world->table, at(1)), 0);
		assert_int_equal(table_end_all(world->table, &ended), 0);
		assert_int_equal(table_commit(world->table, false), 0);
	}
	/* it was about something */
	assert_in_range(ended_in_all, ROUNDS, ROUNDS * ROWS);
	assert_in_range(left_in_all, ROUNDS, ROUNDS * ROWS);
}

/* Who was one of too many users of a lease and is revoked leaves it no time of his. */
static void test_one_of_many_users_is_revoked(void **state)
{
	struct world *world = *state;
	struct table_grant grant;
	struct table_ended ended;
	struct lease lease;
	char user[16];

	assert_int_equal(login(world, "203.0.113.9", "eve", 0, 3600, &grant), 0);
	for (unsigned i = 0; i < 2 * LEASE_SHARES_MAX; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		assert_int_equal(login(world, "203.0.113.9", user, 1, 60, &grant), 0);
	}
	assert_int_equal(grant.lease.share_count, LEASE_SHARES_MAX);
	assert_int_equal(table_begin(world->table, at(2)), 0);
	assert_int_equal(table_end_user(world->table, "eve", &ended), 0);
	assert_int_equal(table_commit(world->table, false), 0);
	assert_int_equal(find(world, "203.0.113.9", &lease), 0);
	assert_int_equal(lease.deadline_boot_usec, at(61).boot_usec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_prefix_by_oracle, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_one_of_many_users_is_revoked, setup, teardown),
	};

	return cmocka_run_group_tests_name("table_end", tests, NULL, NULL);
}
