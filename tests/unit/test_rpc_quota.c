/* The gateway's own limits, and calls that come again; the clock is set. */
#include "rpc/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h> /* needs those before it */

#include "rpc/duplicates.h"

#define SECOND UINT64_C(1000000)

static struct in6_addr address_of(uint32_t number)
{
	struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	memcpy(address.s6_addr + 12, &number, sizeof(number));
	return address;
}

static struct quota *new_quota(unsigned max_leases, unsigned max_rate)
{
	struct quota *quota = quota_new();

	assert_non_null(quota);
	assert_int_equal(quota_set_limits(quota, max_leases, max_rate), 0);
	return quota;
}

/* A login of that address whose lease lasts so long, if it may be made. */
static enum quota_answer grant_for(
	struct quota *quota, uint32_t number, uint64_t now, uint64_t left)
{
	struct in6_addr address = address_of(number);
	bool is_new;
	enum quota_answer answer = quota_take(quota, &address, now, &is_new);

	if (answer == QUOTA_OK)
		quota_settle(quota, &address, is_new, now, left);
	return answer;
}

/* A minute. */
static enum quota_answer grant(struct quota *quota, uint32_t number, uint64_t now)
{
	return grant_for(quota, number, now, 60 * SECOND);
}

static void so_many_leases_at_a_time(void **state)
{
	struct quota *quota = new_quota(1000, 1000000);

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(grant(quota, i, SECOND + i), QUOTA_OK);
	assert_int_equal(grant(quota, 1000, 2 * SECOND), QUOTA_LEASES);
	/* who has one may renew it */
	assert_int_equal(grant(quota, 0, 2 * SECOND), QUOTA_OK);
	/* the second ends before the first, which was renewed */
	assert_int_equal(grant(quota, 1000, 61 * SECOND), QUOTA_LEASES);
	assert_int_equal(grant(quota, 1000, 61 * SECOND + 1), QUOTA_OK);
	assert_int_equal(grant(quota, 1001, 61 * SECOND + 1), QUOTA_LEASES);
	assert_int_equal(grant(quota, 0, 61 * SECOND + 1), QUOTA_OK);
	/* all have ended */
	for (uint32_t i = 2000; i < 3000; i++)
		assert_int_equal(grant(quota, i, 200 * SECOND), QUOTA_OK);
	assert_int_equal(grant(quota, 0, 200 * SECOND), QUOTA_LEASES);
	quota_free(quota);
}

static void a_longer_lease_keeps_no_other_in_the_count(void **state)
{
	struct quota *quota = new_quota(3, 1000000);

	(void)state;
	/* an administrator's, of a day; it was reported first */
	assert_int_equal(grant_for(quota, 1, SECOND, 86400 * SECOND), QUOTA_OK);
	assert_int_equal(grant(quota, 2, SECOND), QUOTA_OK);
	assert_int_equal(grant(quota, 3, 2 * SECOND), QUOTA_OK);
	assert_int_equal(grant(quota, 4, 61 * SECOND - 1), QUOTA_LEASES);
	assert_int_equal(grant(quota, 4, 61 * SECOND), QUOTA_OK);
	assert_int_equal(grant(quota, 5, 61 * SECOND), QUOTA_LEASES);
	/* it is cut, as by a revocation and a new login */
	assert_int_equal(grant_for(quota, 1, 61 * SECOND, SECOND / 2), QUOTA_OK);
	assert_int_equal(grant(quota, 5, 62 * SECOND - 1), QUOTA_OK);
	assert_int_equal(grant(quota, 6, 62 * SECOND - 1), QUOTA_LEASES);
	quota_free(quota);
}

/* Against a count by looking at all. */
static void whatever_order_they_end_in(void **state)
{
	enum {
		ADDRESSES = 300,
		LIMIT = 100
	};
	struct quota *quota = new_quota(LIMIT, 1000000);
	uint64_t ends[ADDRESSES] = {0}, now = SECOND;
	unsigned refused = 0;

	(void)state;
	srand(5);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned number = (unsigned)rand() % ADDRESSES, count = 0;
		uint64_t left = 1 + (uint64_t)rand() % 300000;
		bool fits;

		now += (uint64_t)rand() % 2000;
		for (unsigned i = 0; i < ADDRESSES; i++)
			count += ends[i] > now;
		fits = ends[number] > now || count < LIMIT;
		assert_int_equal(grant_for(quota, number, now, left),
			fits ? QUOTA_OK : QUOTA_LEASES);
		if (fits)
			ends[number] = now + left;
		refused += !fits;
	}
	assert_in_range(refused, 1000, 19000);
	quota_free(quota);
}

/* A network whose addresses shared a chain would take some seconds. */
static void neighbours_are_found_as_quickly_as_others(void **state)
{
	enum {
		NEIGHBOURS = 65536
	};
	struct quota *quota = new_quota(NEIGHBOURS, 1000000);
	const clock_t begun = clock();

	(void)state;
	for (uint32_t i = 0; i < NEIGHBOURS; i++)
		assert_int_equal(
			grant(quota, htonl(0xc6120000 + i), SECOND + i), QUOTA_OK);
	assert_in_range(clock() - begun, 0, 2 * CLOCKS_PER_SEC);
	quota_free(quota);
}

static void what_is_under_way_counts_until_it_is_refused(void **state)
{
	struct quota *quota = new_quota(1, 1000000);
	struct in6_addr first = address_of(1);
	bool is_new;

	(void)state;
	assert_int_equal(quota_take(quota, &first, SECOND, &is_new), QUOTA_OK);
	assert_true(is_new);
	assert_int_equal(grant(quota, 2, SECOND), QUOTA_LEASES);
	quota_settle(quota, &first, is_new, SECOND, 0);
	assert_int_equal(grant(quota, 2, SECOND), QUOTA_OK);
	quota_free(quota);
}

static void limits_may_change_while_leases_last(void **state)
{
	struct quota *quota = new_quota(10, 1000000);

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(grant(quota, i, SECOND), QUOTA_OK);
	assert_int_equal(quota_set_limits(quota, 5, 1000000), 0);
	assert_int_equal(grant(quota, 10, SECOND), QUOTA_LEASES);
	assert_int_equal(grant(quota, 9, SECOND), QUOTA_OK);
	assert_int_equal(quota_set_limits(quota, 100000, 1000000), 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(grant(quota, i, SECOND), QUOTA_OK);
	for (uint32_t i = 10; i < 100000; i++)
		assert_int_equal(grant(quota, i, SECOND + i), QUOTA_OK);
	assert_int_equal(grant(quota, 100000, SECOND), QUOTA_LEASES);
	quota_free(quota);
}

static void so_many_logins_a_second(void **state)
{
	struct quota *quota = new_quota(10, 5);
	uint64_t now = 100 * SECOND;
	unsigned granted = 0;

	(void)state;
	/* what was not used before is one second's worth, not more */
	for (unsigned i = 0; i < 20; i++)
		granted += grant(quota, 1, now) == QUOTA_OK;
	assert_int_equal(granted, 5);
	assert_int_equal(grant(quota, 1, now + SECOND / 5 - 1), QUOTA_RATE);
	assert_int_equal(grant(quota, 1, now + SECOND / 5), QUOTA_OK);
	assert_int_equal(grant(quota, 1, now + SECOND / 5), QUOTA_RATE);
	granted = 0;
	for (unsigned i = 0; i < 10000; i++)
		granted +=
			grant(quota, 1, now + SECOND / 5 + i * SECOND / 1000) == QUOTA_OK;
	assert_in_range(granted, 49, 50);
	quota_free(quota);
}

static struct duplicate_key key_of(uint32_t xid)
{
	return (struct duplicate_key){
		.caller = address_of(1),
		.address = address_of(2),
		.xid = xid,
		.version = 1,
		.port = 1234,
	};
}

static void a_call_that_comes_again_is_known(void **state)
{
	struct duplicates *duplicates = calloc(1, sizeof(*duplicates));
	struct duplicate_key key = key_of(1), other;
	enum call_status status;

	(void)state;
	assert_non_null(duplicates);
	assert_int_equal(
		duplicates_find(duplicates, &key, SECOND, &status), DUPLICATES_NEW);
	assert_int_equal(
		duplicates_find(duplicates, &key, SECOND, &status), DUPLICATES_PENDING);
	duplicates_answered(duplicates, &key, CALL_STATUS_PERM);
	assert_int_equal(duplicates_find(duplicates, &key, 2 * SECOND, &status),
		DUPLICATES_ANSWERED);
	assert_int_equal(status, CALL_STATUS_PERM);
	/* each part of the key tells calls apart */
	for (size_t i = 0; i < sizeof(key); i++) {
		struct duplicates none = {0};

		duplicates_find(&none, &key, SECOND, &status);
		other = key;
		((unsigned char *)&other)[i] ^= 1;
		assert_int_equal(
			duplicates_find(&none, &other, SECOND, &status), DUPLICATES_NEW);
	}
	/* not for ever: an xid may come to be used again */
	assert_int_equal(
		duplicates_find(duplicates, &key, 32 * SECOND, &status), DUPLICATES_NEW);
	free(duplicates);
}

static void a_failure_is_tried_again(void **state)
{
	struct duplicates *duplicates = calloc(1, sizeof(*duplicates));
	struct duplicate_key key = key_of(1);
	enum call_status status;

	(void)state;
	assert_non_null(duplicates);
	assert_int_equal(
		duplicates_find(duplicates, &key, SECOND, &status), DUPLICATES_NEW);
	duplicates_answered(duplicates, &key, CALL_STATUS_SYSERR);
	assert_int_equal(
		duplicates_find(duplicates, &key, SECOND, &status), DUPLICATES_NEW);
	free(duplicates);
}

static void a_call_that_was_displaced_is_let_be(void **state)
{
	struct duplicates *duplicates = calloc(1, sizeof(*duplicates));
	enum call_status status;
	struct duplicate_key key;
	unsigned found = 0;

	(void)state;
	assert_non_null(duplicates);
	for (uint32_t xid = 0; xid < 4 * DUPLICATES_MAX; xid++) {
		key = key_of(xid);
		duplicates_find(duplicates, &key, SECOND, &status);
	}
	for (uint32_t xid = 0; xid < 4 * DUPLICATES_MAX; xid++) {
		key = key_of(xid);
		duplicates_answered(duplicates, &key, CALL_STATUS_SUCCESS);
	}
	for (uint32_t xid = 4 * DUPLICATES_MAX; xid-- > 0;) {
		key = key_of(xid);
		found += duplicates_find(duplicates, &key, SECOND, &status) ==
			 DUPLICATES_ANSWERED;
	}
	assert_in_range(found, DUPLICATES_MAX / 2, DUPLICATES_MAX);
	free(duplicates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_leases_at_a_time),
		cmocka_unit_test(a_longer_lease_keeps_no_other_in_the_count),
		cmocka_unit_test(whatever_order_they_end_in),
		cmocka_unit_test(neighbours_are_found_as_quickly_as_others),
		cmocka_unit_test(what_is_under_way_counts_until_it_is_refused),
		cmocka_unit_test(limits_may_change_while_leases_last),
		cmocka_unit_test(so_many_logins_a_second),
		cmocka_unit_test(a_call_that_comes_again_is_known),
		cmocka_unit_test(a_failure_is_tried_again),
		cmocka_unit_test(a_call_that_was_displaced_is_let_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
