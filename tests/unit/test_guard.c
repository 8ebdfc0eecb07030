#include "tests/unit/guard_world.h"

static enum reason judge(const struct world *world, const char *address)
{
	struct login login = login_of(address, "bob@x.net", "imap");
	struct address key;
	uint64_t usec;

	return guard_judge(&world->rules, &login, false, at(0), &key, &usec);
}

static void test_special_ranges(void **state)
{
	static const struct {
		const char *address;
		enum reason reason;
		bool opens; /* by lease_special */
	} rows[] = {
		{"8.8.8.8", REASON_OK, true},
		{"2a00:1450::1", REASON_OK, true},
		{"0.0.0.0", REASON_UNSPECIFIED, false},
		{"0.1.2.3", REASON_UNSPECIFIED, false},
		{"255.255.255.255", REASON_BROADCAST, false},
		{"224.0.0.1", REASON_MULTICAST, false},
		{"239.255.255.255", REASON_MULTICAST, false},
		{"169.254.1.1", REASON_LINK_LOCAL, false},
		{"::", REASON_UNSPECIFIED, false},
		{"ff02::1", REASON_MULTICAST, false},
		{"fe80::1", REASON_LINK_LOCAL, false},
		{"febf::1", REASON_LINK_LOCAL, false},
		{"fec0::1", REASON_LINK_LOCAL, false},
		{"127.0.0.1", REASON_LOOPBACK, true},
		{"127.255.255.255", REASON_LOOPBACK, true},
		{"::ffff:127.0.0.1", REASON_LOOPBACK, true},
		{"::1", REASON_LOOPBACK, true},
		{"10.0.0.1", REASON_PRIVATE, true},
		{"172.16.0.1", REASON_PRIVATE, true},
		{"172.31.255.255", REASON_PRIVATE, true},
		{"172.32.0.1", REASON_OK, true},
		{"192.168.1.1", REASON_PRIVATE, true},
		{"fd00::1", REASON_PRIVATE, true},
		{"fc00::1", REASON_PRIVATE, true},
		{"100.64.0.1", REASON_SHARED, true},
		{"100.128.0.1", REASON_OK, true},
		{"192.0.2.1", REASON_DOCUMENTATION, true},
		{"198.51.100.1", REASON_DOCUMENTATION, true},
		{"203.0.113.1", REASON_DOCUMENTATION, true},
		{"2001:db8::1", REASON_DOCUMENTATION, true},
		{"3fff::1", REASON_DOCUMENTATION, true},
		{"240.0.0.1", REASON_RESERVED, true},
		{"198.18.0.1", REASON_RESERVED, true},
		{"198.20.0.1", REASON_OK, true},
		{"192.0.0.8", REASON_RESERVED, true},
		{"192.88.99.1", REASON_RESERVED, true},
		{"::1.2.3.4", REASON_RESERVED, true},
		{"64:ff9b::1.2.3.4", REASON_RESERVED, true},
		{"64:ff9b:1::1", REASON_RESERVED, true},
		{"2002:102:304::1", REASON_RESERVED, true},
		{"2001::1", REASON_RESERVED, true},
		{"2001:1ff::1", REASON_RESERVED, true},
		{"2001:200::1", REASON_OK, true},
		{"100::1", REASON_RESERVED, true},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(reason_name(judge(world, rows[i].address)),
			reason_name(rows[i].reason));
	add(&world->config.lease_special, "0.0.0.0/0");
	add(&world->config.lease_special, "::/0");
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(
			judge(world, rows[i].address) == REASON_OK, rows[i].opens);
}

static void test_own_and_local(void **state)
{
	struct world *world = *state;
	struct login login = login_of("8.8.8.8", "", "");
	struct address key;
	uint64_t usec;

	add(&world->own, "8.8.8.8");
	add(&world->config.lease_special, "0.0.0.0/0");
	assert_int_equal(judge(world, "8.8.8.8"), REASON_OWN_ADDRESS);
	assert_int_equal(judge(world, "8.8.8.9"), REASON_OK);
	login.address = login.local = address_of("9.9.9.9");
	login.has_local = true;
	assert_int_equal(guard_judge(&world->rules, &login, false, at(0), &key, &usec),
		REASON_CLIENT_IS_LOCAL);
	assert_int_equal(guard_judge(&world->rules, &login, true, at(0), &key, &usec),
		REASON_CLIENT_IS_LOCAL);
	login.local = address_of("9.9.9.8");
	assert_int_equal(
		guard_judge(&world->rules, &login, false, at(0), &key, &usec), REASON_OK);
}

static void test_routers(void **state)
{
	struct world *world = *state;
	struct login login = login_of("2a00:1450::2", "", "");
	struct address key;
	uint64_t usec;

	add(&world->routers, "192.168.1.1");
	add(&world->routers, "2a00:1450::1");
	add(&world->config.lease_special, "0.0.0.0/0");
	assert_int_equal(judge(world, "192.168.1.1"), REASON_ROUTER);
	assert_int_equal(judge(world, "::ffff:192.168.1.1"), REASON_ROUTER);
	assert_int_equal(judge(world, "192.168.1.2"), REASON_OK);
	assert_int_equal(judge(world, "2a00:1450::1"), REASON_ROUTER);
	/* nor by the lease of a neighbour, however wide, nor by an administrator's */
	world->config.ipv6_prefix = 64;
	assert_int_equal(
		guard_judge(&world->rules, &login, false, at(0), &key, &usec), REASON_OK);
	assert_int_equal(key.length, 128);
	login.address = address_of("192.168.0.0/16");
	assert_int_equal(guard_judge(&world->rules, &login, true, at(0), &key, &usec),
		REASON_ROUTER);
}

/* Blocks of the IANA registries "IPv4 Special-Purpose Address Space" and "IPv6
 * Special-Purpose Address Space", as of 2025, and those of the address space that are
 * nobody's: none of their addresses is opened without being named, and next to them all
 * are. */
static const char *const registries[] = {"0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8",
	"100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32",
	"192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
	"192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
	"240.0.0.0/4", "255.255.255.255/32", "::/128", "::1/128", "::/96",
	"::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
	"2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128",
	"2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28",
	"2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
	"5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"};

static bool is_registered(const struct address *address)
{
	for (size_t i = 0; i < COUNT(registries); i++) {
		struct address block = address_of(registries[i]);

		if (address_contains(&block, address))
			return true;
	}
	return false;
}

/* The host before the block (step -1) or after it (step 1); false if there is none of
 * its family. */
static bool neighbour(const struct address *block, int step, struct address *ret)
{
	const unsigned first = address_is_ipv4(block) ? 12 : 0;
	unsigned carry = 1;

	*ret = (struct address){.ip = block->ip, .length = 128};
	for (unsigned bit = block->length; step > 0 && bit < 128; bit++)
		ret->ip.s6_addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	for (unsigned i = 16; i-- > first && carry;) {
		ret->ip.s6_addr[i] = (uint8_t)(ret->ip.s6_addr[i] + step);
		carry = ret->ip.s6_addr[i] == (step > 0 ? 0 : 0xff);
	}
	return !carry;
}

static enum reason judge_of(struct world *world, const struct address *address)
{
	struct login login = {.address = *address};
	struct address key;
	uint64_t usec;

	return guard_judge(&world->rules, &login, false, at(0), &key, &usec);
}

static void test_registries(void **state)
{
	struct world *world = *state;
	unsigned neighbours = 0;

	for (size_t i = 0; i < COUNT(registries); i++) {
		struct address block = address_of(registries[i]);
		struct address host = {.ip = block.ip, .length = 128}, next, last;

		assert_int_not_equal(judge_of(world, &block), REASON_OK);
		assert_int_not_equal(judge_of(world, &host), REASON_OK);
		if (neighbour(&block, 1, &next) && neighbour(&next, -1, &last))
			assert_int_not_equal(judge_of(world, &last), REASON_OK);
		for (int step = -1; step <= 1; step += 2) {
			if (!neighbour(&block, step, &next) || is_registered(&next))
				continue;
			if (judge_of(world, &next) != REASON_OK)
				fail_msg("beside %s: %s", registries[i],
					reason_name(judge_of(world, &next)));
			neighbours++;
		}
	}
	assert_true(neighbours > 40);
}

static void test_lists(void **state)
{
	struct world *world = *state;

	add(&world->config.deny, "8.8.8.0/24");
	add(&world->config.never_lease, "9.9.9.9");
	assert_int_equal(judge(world, "8.8.8.8"), REASON_DENIED);
	assert_int_equal(judge(world, "9.9.9.9"), REASON_NEVER_LEASE);
	prefix_set_done(&world->config.lease_networks);
	add(&world->config.lease_networks, "5.0.0.0/8");
	assert_int_equal(judge(world, "5.1.2.3"), REASON_OK);
	assert_int_equal(judge(world, "6.1.2.3"), REASON_NOT_IN_NETWORKS);
	assert_int_equal(judge(world, "2a00:1450::1"), REASON_NOT_IN_NETWORKS);
}

static void test_users_and_services(void **state)
{
	static char pattern[] = "*@retired.example";
	struct world *world = *state;
	struct block block = {.is_user = true, .user = "eve"};
	struct blocks *blocks;
	struct address key;
	uint64_t usec;

	const struct {
		const char *user, *service;
		enum reason reason;
		uint64_t seconds;
	} rows[] = {
		{"bob", "imap", REASON_OK, 1800},
		{"bob", "pop3", REASON_OK, 60},
		{"bob", "", REASON_OK, 1800},
		{"bob", "submission", REASON_SERVICE, 0},
		{"bob", "smtp", REASON_SERVICE, 0},
		{"bob@retired.example", "imap", REASON_USER_NEVER, 0},
		{"eve", "imap", REASON_USER_REVOKED, 0},
		{"", "imap", REASON_OK, 1800},
	};

	world->never[0] = pattern;
	world->config.never_lease_users = (struct text_list){1, world->never};
	block.until_boot_usec = at(100).boot_usec;
	assert_int_equal(blocks_with(world->blocks, &block, at(0), &blocks), 0);
	world->rules.blocks = blocks;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct login login = login_of("8.8.8.8", rows[i].user, rows[i].service);

		assert_int_equal(
			guard_judge(&world->rules, &login, false, at(0), &key, &usec),
			rows[i].reason);
		if (rows[i].reason == REASON_OK)
			assert_int_equal(usec, rows[i].seconds * USEC_PER_SEC);
	}
	blocks_unref(blocks);
}

static void test_how_long(void **state)
{
	struct world *world = *state;
	struct login login = login_of("8.8.8.8", "bob", "imap");
	struct address key;
	uint64_t usec;

	login.ttl_usec = 90 * USEC_PER_SEC;
	(void)guard_judge(&world->rules, &login, false, at(0), &key, &usec);
	assert_int_equal(usec, 90 * USEC_PER_SEC);
	login.ttl_usec = 86400 * USEC_PER_SEC;
	(void)guard_judge(&world->rules, &login, false, at(0), &key, &usec);
	assert_int_equal(usec, 4 * 3600 * USEC_PER_SEC);
	(void)guard_judge(&world->rules, &login, true, at(0), &key, &usec);
	assert_int_equal(usec, 86400 * USEC_PER_SEC);
	login.ttl_usec = 1;
	(void)guard_judge(&world->rules, &login, false, at(0), &key, &usec);
	assert_int_equal(usec, USEC_PER_SEC);
}

static void test_how_long_by_a_reporter(void **state)
{
	static char name[] = "drac-rpcd";
	struct reporter_settings limits = {
		.name = name, .lease_time_max_usec = 120 * USEC_PER_SEC};
	struct world *world = *state;
	struct login login = login_of("8.8.8.8", "bob", "imap");
	struct address key;
	uint64_t usec;

	world->config.reporter_limits = &limits;
	world->config.reporter_count = 1;
	(void)guard_judge(&world->rules, &login, false, at(0), &key, &usec);
	assert_int_equal(usec, 1800 * USEC_PER_SEC);
	memcpy(login.reporter, name, sizeof(name));
	(void)guard_judge(&world->rules, &login, false, at(0), &key, &usec);
	assert_int_equal(usec, 120 * USEC_PER_SEC);
	login.ttl_usec = 60 * USEC_PER_SEC;
	(void)guard_judge(&world->rules, &login, false, at(0), &key, &usec);
	assert_int_equal(usec, 60 * USEC_PER_SEC);
	login.ttl_usec = 3600 * USEC_PER_SEC;
	(void)guard_judge(&world->rules, &login, true, at(0), &key, &usec);
	assert_int_equal(usec, 3600 * USEC_PER_SEC);
}

/* Of the lease that the login gets. */
static unsigned length_of_key(const struct world *world, struct login login)
{
	struct address key;
	uint64_t usec;

	assert_int_equal(
		guard_judge(&world->rules, &login, false, at(0), &key, &usec), REASON_OK);
	return key.length;
}

static void test_ipv6_prefix(void **state)
{
	struct world *world = *state;
	struct login login = login_of("2a00:1450:1:2::77", "bob", "imap");
	struct prefix_set *const sets[] = {&world->config.deny,
		&world->config.never_lease, &world->own, &world->routers};
	struct block block = {.address = address_of("2a00:1450:1:2::1")};
	struct blocks *blocks;

	world->config.ipv6_prefix = 64;
	assert_int_equal(length_of_key(world, login), 64);
	/* someone in the prefix is kept out, whichever way: the host alone */
	for (size_t i = 0; i < COUNT(sets); i++) {
		add(sets[i], "2a00:1450:1:2::1");
		assert_int_equal(length_of_key(world, login), 128);
		prefix_set_done(sets[i]);
		*sets[i] = (struct prefix_set){0};
	}
	assert_int_equal(length_of_key(world, login), 64);
	block.until_boot_usec = at(100).boot_usec;
	assert_int_equal(blocks_with(world->blocks, &block, at(0), &blocks), 0);
	world->rules.blocks = blocks;
	assert_int_equal(length_of_key(world, login), 128);
	world->rules.blocks = world->blocks;
	blocks_unref(blocks);
	login.address = address_of("8.8.8.8");
	assert_int_equal(length_of_key(world, login), 128);
}

static void test_admission(void **state)
{
	struct world *world = *state;
	struct address address = address_of("8.8.8.8");
	struct lease lease = {.address = address, .deadline_boot_usec = at(10).boot_usec};
	struct block block = {.address = address_of("8.8.8.0/24")};
	struct blocks *blocks;

	assert_int_equal(
		guard_admit(&world->rules, &address, NULL, at(0)), REASON_NO_LEASE);
	assert_int_equal(guard_admit(&world->rules, &address, &lease, at(9)), REASON_OK);
	/* the deadline itself is over, and a row still there afterwards is nothing */
	assert_int_equal(
		guard_admit(&world->rules, &address, &lease, at(10)), REASON_NO_LEASE);
	assert_int_equal(
		guard_admit(&world->rules, &address, &lease, at(99)), REASON_NO_LEASE);
	block.until_boot_usec = at(5).boot_usec;
	assert_int_equal(blocks_with(world->blocks, &block, at(0), &blocks), 0);
	world->rules.blocks = blocks;
	assert_int_equal(
		guard_admit(&world->rules, &address, &lease, at(4)), REASON_REVOKED);
	assert_int_equal(guard_admit(&world->rules, &address, &lease, at(5)), REASON_OK);
	add(&world->config.never_lease, "8.8.8.8");
	assert_int_equal(
		guard_admit(&world->rules, &address, &lease, at(6)), REASON_NEVER_LEASE);
	add(&world->config.deny, "8.0.0.0/8");
	assert_int_equal(
		guard_admit(&world->rules, &address, &lease, at(6)), REASON_DENIED);
	blocks_unref(blocks);
}

static void test_every_reason_has_a_word(void **state)
{
	(void)state;
	for (unsigned reason = 0; reason < REASON_COUNT; reason++)
		assert_non_null(reason_name(reason));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_special_ranges),
		TEST(test_own_and_local),
		TEST(test_routers),
		TEST(test_registries),
		TEST(test_lists),
		TEST(test_users_and_services),
		TEST(test_how_long),
		TEST(test_how_long_by_a_reporter),
		TEST(test_ipv6_prefix),
		TEST(test_admission),
		TEST(test_every_reason_has_a_word),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
