#include "dracd/lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct login login_of(const char *user)
{
	struct login login = {.service = "imap", .reporter = "drac-login"};

	snprintf(login.user, sizeof(login.user), "%s", user);
	return login;
}

static void test_grant_and_renew(void **state)
{
	struct address address = address_of("203.0.113.9");
	struct login login = login_of("bob");
	struct lease lease = lease_grant(&address, &login, 60 * USEC_PER_SEC, at(0));

	(void)state;
	assert_int_equal(lease.deadline_boot_usec, at(60).boot_usec);
	assert_int_equal(lease.deadline_wall_usec, at(60).wall_usec);
	assert_int_equal(lease.logins, 1);
	lease_renew(&lease, &login, 60 * USEC_PER_SEC, at(30));
	assert_int_equal(lease.deadline_boot_usec, at(90).boot_usec);
	assert_int_equal(lease.granted_wall_usec, at(0).wall_usec);
	/* a shorter login does not shorten it */
	lease_renew(&lease, &login, USEC_PER_SEC, at(31));
	assert_int_equal(lease.deadline_boot_usec, at(90).boot_usec);
	assert_int_equal(lease.login_wall_usec, at(31).wall_usec);
	assert_int_equal(lease.logins, 3);
	/* nor does an extension, which is no login */
	lease_extend(&lease, USEC_PER_SEC, at(32));
	assert_int_equal(lease.deadline_boot_usec, at(90).boot_usec);
	lease_extend(&lease, 60 * USEC_PER_SEC, at(40));
	assert_int_equal(lease.deadline_boot_usec, at(100).boot_usec);
	assert_int_equal(lease.deadline_wall_usec, at(100).wall_usec);
	assert_int_equal(lease.login_wall_usec, at(31).wall_usec);
	assert_int_equal(lease.logins, 3);
}

static void test_shares(void **state)
{
	struct lease lease = {0};

	(void)state;
	for (unsigned i = 1; i <= LEASE_SHARES_MAX; i++)
		assert_int_equal(lease_add_share(&lease, i), 0);
	assert_int_equal(lease_add_share(&lease, 1), 0); /* the latest again */
	assert_int_equal(
		lease_add_share(&lease, 100), 2); /* 2 is now the longest without */
	assert_int_equal(lease.share_count, LEASE_SHARES_MAX);
	assert_int_equal(lease.shares[LEASE_SHARES_MAX - 1], 100);
	lease_drop_share(&lease, 100);
	lease_drop_share(&lease, 4242);
	assert_int_equal(lease.share_count, LEASE_SHARES_MAX - 1);
}

static void test_user_count(void **state)
{
	struct lease lease = {0};
	char user[32];

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		snprintf(user, sizeof(user), "user%u@x.net", i);
		lease_add_share(&lease, user_hash(user));
	}
	assert_int_equal(lease_user_count(&lease), 10);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 40; i++) {
			snprintf(user, sizeof(user), "user%u@x.net", i);
			lease_add_share(&lease, user_hash(user));
		}
	assert_in_range(lease_user_count(&lease), 30, 50);
}

static void test_rebase(void **state)
{
	struct address address = address_of("203.0.113.9");
	struct login login = login_of("bob");
	struct lease fresh = lease_grant(&address, &login, 60 * USEC_PER_SEC, at(0));
	struct lease lease = fresh;
	/* the machine was down until 20 s after the login; its boot clock starts again */
	struct moment now = {
		.boot_usec = 5 * USEC_PER_SEC, .wall_usec = at(20).wall_usec};

	(void)state;
	assert_true(lease_rebase(&lease, at(10), now));
	assert_int_equal(lease.deadline_boot_usec, 45 * USEC_PER_SEC);
	assert_int_equal(lease.deadline_wall_usec, at(60).wall_usec);
	now.boot_usec = 44 * USEC_PER_SEC;
	assert_true(services_has(&lease.services, "imap", now));
	now.boot_usec = 45 * USEC_PER_SEC;
	assert_false(services_has(&lease.services, "imap", now));
	now.boot_usec = 5 * USEC_PER_SEC;
	lease = fresh;
	now.wall_usec = at(60).wall_usec;
	assert_false(lease_rebase(&lease, at(10), now));
}

/* Setting the wall clock back, at whatever time, gives nobody more than he had left. */
static void test_rebase_after_clock_steps(void **state)
{
	struct address address = address_of("203.0.113.9");
	struct login login = login_of("bob");
	struct lease lease = lease_grant(&address, &login, 60 * USEC_PER_SEC, at(0)),
		     copy;
	struct moment back = at(10), now = {.boot_usec = 5 * USEC_PER_SEC};

	(void)state;
	back.wall_usec -= 86400 * USEC_PER_SEC; /* and then the last commit */
	now.wall_usec = back.wall_usec + 20 * USEC_PER_SEC;
	copy = lease;
	assert_true(lease_rebase(&copy, back, now));
	assert_int_equal(copy.deadline_boot_usec, (5 + 60 - 10 - 20) * USEC_PER_SEC);
	/* a shorter login, or a renewal, by the new wall clock */
	copy = lease;
	lease_renew(&copy, &login, 10 * USEC_PER_SEC, back);
	assert_true(lease_rebase(&copy, back, now));
	assert_int_equal(copy.deadline_boot_usec, (5 + 60 - 10 - 20) * USEC_PER_SEC);
	copy = lease;
	lease_extend(&copy, 90 * USEC_PER_SEC, back);
	assert_true(lease_rebase(&copy, back, now));
	assert_int_equal(copy.deadline_boot_usec, (5 + 90 - 20) * USEC_PER_SEC);
	/* it was over at the last commit */
	now.wall_usec = back.wall_usec;
	back.boot_usec = at(60).boot_usec;
	assert_false(lease_rebase(&lease, back, now));
}

/* Who logs in after the wall clock was set forward has a lease after a reboot, too. */
static void test_rebase_after_clock_was_behind(void **state)
{
	struct address address = address_of("203.0.113.9");
	struct login login = login_of("bob");
	struct lease lease = lease_grant(&address, &login, 60 * USEC_PER_SEC, at(0));
	struct moment ahead = at(10), now = {.boot_usec = 5 * USEC_PER_SEC};

	(void)state;
	ahead.wall_usec += 86400 * USEC_PER_SEC;
	lease_renew(&lease, &login, 30 * USEC_PER_SEC, ahead);
	now.wall_usec = ahead.wall_usec + 20 * USEC_PER_SEC;
	assert_true(lease_rebase(&lease, ahead, now));
	assert_int_equal(lease.deadline_boot_usec, (5 + 60 - 10 - 20) * USEC_PER_SEC);
}

/* As many as there may be, with the longest names, each with an end of its own. */
static void fill_services(struct services *services)
{
	char name[SERVICE_SIZE] = {0};

	memset(name, 'x', sizeof(name) - 1);
	for (uint64_t i = 0; i < LEASE_SERVICES_MAX; i++) {
		name[0] = (char)('a' + i);
		services_add(services, name, at(9).boot_usec - (i << 2 * i), at(0));
	}
	assert_int_equal(services->count, LEASE_SERVICES_MAX);
}

static void assert_same_services(const struct services *a, const struct services *b)
{
	assert_int_equal(a->count, b->count);
	for (unsigned i = 0; i < a->count; i++) {
		assert_string_equal(a->items[i].name, b->items[i].name);
		assert_int_equal(
			a->items[i].deadline_boot_usec, b->items[i].deadline_boot_usec);
	}
}

static void test_services(void **state)
{
	struct services services = {0};
	char name[8];

	(void)state;
	services_add(&services, "", at(50).boot_usec, at(0));
	assert_int_equal(services.count, 0);
	services_add(&services, "imap", at(50).boot_usec, at(0));
	services_add(&services, "imap", at(20).boot_usec, at(1)); /* shortens nothing */
	services_add(&services, "pop3", at(30).boot_usec, at(2));
	assert_true(services_has(&services, "imap", at(49)));
	assert_false(services_has(&services, "imap", at(50)));
	assert_false(services_has(&services, "IMAP", at(3)));
	services_extend(&services, "pop3", at(60).boot_usec, at(29));
	assert_true(services_has(&services, "pop3", at(59)));
	/* what is over is not extended, nor is what there was not */
	services_extend(&services, "pop3", at(90).boot_usec, at(60));
	services_extend(&services, "smtp", at(90).boot_usec, at(60));
	assert_false(services_has(&services, "pop3", at(60)));
	assert_false(services_has(&services, "smtp", at(60)));
	services_move(&services, at(60).boot_usec, at(5).boot_usec);
	assert_true(services_has(&services, "pop3", at(4)));
	assert_false(services_has(&services, "pop3", at(5)));
	assert_false(services_has(&services, "imap", at(0)));
	/* what is over makes room; then what ends first gives way */
	for (unsigned i = 0; i <= LEASE_SERVICES_MAX; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		services_add(&services, name, at(20 + (i ^ 1)).boot_usec, at(10));
	}
	assert_int_equal(services.count, LEASE_SERVICES_MAX);
	for (unsigned i = 0; i <= LEASE_SERVICES_MAX; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(services_has(&services, name, at(11)), i != 1);
	}
	/* or it is the new one that does */
	services_add(&services, "short", at(12).boot_usec, at(11));
	assert_false(services_has(&services, "short", at(11)));
	assert_int_equal(services.count, LEASE_SERVICES_MAX);
}

static void test_record_round_trip(void **state)
{
	struct address address = address_of("2001:db8::/64"), decoded_key;
	struct login login = login_of("bob@x.net");
	struct lease lease = lease_grant(&address, &login, 60 * USEC_PER_SEC, at(0)),
		     decoded;
	uint8_t record[LEASE_RECORD_MAX], key[LEASE_KEY_SIZE];
	size_t length;

	(void)state;
	for (uint64_t i = 1; i <= LEASE_SHARES_MAX; i++)
		lease_add_share(&lease, i << 40);
	fill_services(&lease.services);
	memcpy(lease.service, lease.services.items[3].name, sizeof(lease.service));
	memset(lease.reporter, 'y', sizeof(lease.reporter) - 1);
	length = lease_encode(&lease, record);
	assert_in_range(length, 1, LEASE_RECORD_MAX);
	decoded.address = address;
	assert_int_equal(lease_decode(record, length, &decoded), 0);
	assert_same_services(&decoded.services, &lease.services);
	assert_int_equal(decoded.deadline_boot_usec, lease.deadline_boot_usec);
	assert_int_equal(decoded.granted_wall_usec, lease.granted_wall_usec);
	assert_string_equal(decoded.service, lease.service);
	assert_string_equal(decoded.reporter, lease.reporter);
	assert_memory_equal(decoded.shares, lease.shares, sizeof(lease.shares));
	/* every shorter record, and one octet more, is refused */
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(lease_decode(record, cut, &decoded), -EBADMSG);
	assert_int_equal(lease_decode(record, length + 1, &decoded), -EBADMSG);
	lease_key_encode(&address, key);
	assert_int_equal(lease_key_decode(key, sizeof(key), &decoded_key), 0);
	assert_int_equal(address_compare(&decoded_key, &address), 0);
	key[15] = 1; /* a bit after the prefix length */
	assert_int_equal(lease_key_decode(key, sizeof(key), &decoded_key), -EBADMSG);
	key[16] = 129;
	assert_int_equal(lease_key_decode(key, sizeof(key), &decoded_key), -EBADMSG);
	assert_int_equal(lease_key_decode(key, 16, &decoded_key), -EBADMSG);
}

static void test_share_round_trip(void **state)
{
	struct share share = {.granted_wall_usec = at(0).wall_usec,
			     .deadline_boot_usec = at(9).boot_usec},
		     decoded;
	uint8_t record[SHARE_RECORD_MAX];
	size_t length;

	(void)state;
	memset(share.user, 'u', sizeof(share.user) - 1);
	fill_services(&share.services);
	length = share_encode(&share, record);
	assert_in_range(length, 1, SHARE_RECORD_MAX);
	assert_int_equal(share_decode(record, length, &decoded), 0);
	assert_string_equal(decoded.user, share.user);
	assert_same_services(&decoded.services, &share.services);
	assert_int_equal(decoded.deadline_boot_usec, share.deadline_boot_usec);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(share_decode(record, cut, &decoded), -EBADMSG);
}

/* Random octets are refused or decoded, and never read past their end (sanitizers watch).
 */
static void test_random_records(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t length = (size_t)rand_r(&seed) % LEASE_RECORD_MAX;
		uint8_t *record = malloc(length + 1);
		struct lease lease = {0};
		struct share share;

		for (size_t i = 0; i < length; i++)
			record[i] = (uint8_t)(i ? rand_r(&seed) : 2);
		(void)!lease_decode(record, length, &lease);
		(void)!share_decode(record, length, &share);
		free(record);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grant_and_renew),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_user_count),
		cmocka_unit_test(test_rebase),
		cmocka_unit_test(test_rebase_after_clock_steps),
		cmocka_unit_test(test_rebase_after_clock_was_behind),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_record_round_trip),
		cmocka_unit_test(test_share_round_trip),
		cmocka_unit_test(test_random_records),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
