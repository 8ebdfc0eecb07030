#include "dracd/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* A configuration as drac.conf's defaults make it, put together by hand. */
struct world {
	struct config config;
	struct service_settings services[3];
	struct blocks *blocks;
	struct prefix_set own;
	char *never[1];
	struct rules rules;
};

static void add(struct prefix_set *set, const char *text)
{
	struct address prefix = address_of(text);

	assert_int_equal(prefix_set_add(set, &prefix), 0);
}

static int setup(void **state)
{
	static char imap[] = "imap", pop3[] = "pop3", submission[] = "submission";
	struct world *world = calloc(1, sizeof(*world));

	world->services[0] = (struct service_settings){.name = imap, .lease = true};
	world->services[1] = (struct service_settings){
		.name = pop3, .lease = true, .lease_time_usec = 60 * USEC_PER_SEC};
	world->services[2] = (struct service_settings){.name = submission};
	world->config.services = world->services;
	world->config.service_count = 3;
	world->config.ipv6_prefix = 128;
	world->config.lease_time_usec = 1800 * USEC_PER_SEC;
	world->config.lease_time_max_usec = 4 * 3600 * USEC_PER_SEC;
	add(&world->config.lease_networks, "0.0.0.0/0");
	add(&world->config.lease_networks, "::/0");
	world->blocks = blocks_new();
	world->rules = (struct rules){&world->config, world->blocks, &world->own};
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	prefix_set_done(&world->config.lease_networks);
	prefix_set_done(&world->config.lease_special);
	prefix_set_done(&world->config.never_lease);
	prefix_set_done(&world->config.deny);
	prefix_set_done(&world->own);
	blocks_unref(world->blocks);
	free(world);
	return 0;
}

/* config_service() comes with config.c, which needs libconfuse; this is all it does. */
const struct service_settings *config_service(
	const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (strcmp(config->services[i].name, name) == 0)
			return &config->services[i];
	return NULL;
}

static struct login login_of(const char *address, const char *user, const char *service)
{
	struct login login = {.address = address_of(address)};

	snprintf(login.user, sizeof(login.user), "%s", user);
	snprintf(login.service, sizeof(login.service), "%s", service);
	return login;
}

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

static void test_ipv6_prefix(void **state)
{
	struct world *world = *state;
	struct login login = login_of("2a00:1450:1:2::77", "bob", "imap");
	struct address key;
	uint64_t usec;

	world->config.ipv6_prefix = 64;
	assert_int_equal(
		guard_judge(&world->rules, &login, false, at(0), &key, &usec), REASON_OK);
	assert_int_equal(key.length, 64);
	/* someone in the prefix is kept out: the host alone */
	add(&world->config.never_lease, "2a00:1450:1:2::1");
	assert_int_equal(
		guard_judge(&world->rules, &login, false, at(0), &key, &usec), REASON_OK);
	assert_int_equal(key.length, 128);
	login.address = address_of("8.8.8.8");
	assert_int_equal(
		guard_judge(&world->rules, &login, false, at(0), &key, &usec), REASON_OK);
	assert_int_equal(key.length, 128);
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

static void test_views(void **state)
{
	static const struct {
		const char *services[2], *network, *service, *address;
		enum reason reason;
	} rows[] = {
		{{NULL}, NULL, "imap", "8.8.8.8", REASON_OK},
		{{NULL}, NULL, "", "8.8.8.8", REASON_OK},
		{{"imap"}, NULL, "imap", "8.8.8.8", REASON_OK},
		{{"pop3", "imap"}, NULL, "imap", "8.8.8.8", REASON_OK},
		{{"pop3"}, NULL, "imap", "8.8.8.8", REASON_SERVICE},
		{{"pop3"}, NULL, "pop", "8.8.8.8", REASON_SERVICE},
		{{"pop3"}, NULL, "POP3", "8.8.8.8", REASON_SERVICE},
		{{"pop3"}, NULL, "", "8.8.8.8", REASON_SERVICE},
		{{NULL}, "8.8.0.0/16", "imap", "8.8.8.8", REASON_OK},
		{{NULL}, "8.8.0.0/16", "imap", "::ffff:8.8.8.8", REASON_OK},
		{{NULL}, "8.9.0.0/16", "imap", "8.8.8.8", REASON_NOT_IN_NETWORKS},
		{{NULL}, "::/0", "imap", "8.8.8.8", REASON_NOT_IN_NETWORKS},
		{{NULL}, "0.0.0.0/0", "imap", "2001:4860::8", REASON_NOT_IN_NETWORKS},
		{{NULL}, "2001:4860::/32", "imap", "2001:4860::8", REASON_OK},
		{{"imap"}, "8.8.0.0/16", "imap", "8.8.8.8", REASON_OK},
		{{"imap"}, "8.9.0.0/16", "imap", "8.8.8.8", REASON_NOT_IN_NETWORKS},
		{{"pop3"}, "8.8.0.0/16", "imap", "8.8.8.8", REASON_SERVICE},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct view view = {0};
		struct address address = address_of(rows[i].address);
		/* of a prefix around it: the address is what has to be inside */
		struct lease lease = {
			.address = address_network(&address, 112),
			.deadline_boot_usec = at(10).boot_usec,
		};
		char *services[2];

		for (size_t n = 0; n < 2 && rows[i].services[n]; n++)
			services[view.services.count++] = strdup(rows[i].services[n]);
		view.services.items = services;
		if (rows[i].network)
			add(&view.networks, rows[i].network);
		services_add(&lease.services, rows[i].service, at(10).boot_usec, at(0));
		assert_int_equal(
			guard_admit_view(&world->rules, &view, &address, &lease, at(9)),
			rows[i].reason);
		/* never more than without it */
		assert_int_equal(
			guard_admit_view(&world->rules, &view, &address, &lease, at(10)),
			REASON_NO_LEASE);
		assert_int_equal(
			guard_admit_view(&world->rules, &view, &address, NULL, at(0)),
			REASON_NO_LEASE);
		for (size_t n = 0; n < view.services.count; n++)
			free(services[n]);
		prefix_set_done(&view.networks);
	}
}

/* Each service until its own end, whatever the others are, and the latest is. */
static void test_view_of_several_services(void **state)
{
	struct world *world = *state;
	char imap[] = "imap", pop3[] = "pop3", *both[] = {imap, pop3};

	const struct {
		struct view view;
		uint64_t end;
	} views[] = {
		{{.services = {.items = &both[0], .count = 1}}, 4},
		{{.services = {.items = &both[1], .count = 1}}, 60},
		{{.services = {.items = both, .count = 2}}, 60},
		{{.services = {0}}, 90},
	};
	struct lease lease = {
		.address = address_of("8.8.8.8"), .deadline_boot_usec = at(90).boot_usec};

	services_add(&lease.services, "pop3", at(60).boot_usec, at(0));
	services_add(&lease.services, "imap", at(4).boot_usec, at(0));
	for (size_t i = 0; i < COUNT(views); i++)
		for (uint64_t second = 0; second < 100; second++)
			assert_int_equal(guard_admit_view(&world->rules, &views[i].view,
						 &lease.address, &lease, at(second)),
				second < views[i].end ? REASON_OK
				: second < 90         ? REASON_SERVICE
						      : REASON_NO_LEASE);
}

static void test_view_does_not_open_what_is_denied(void **state)
{
	struct world *world = *state;
	struct address address = address_of("8.8.8.8");
	struct lease lease = {.address = address, .deadline_boot_usec = at(10).boot_usec};
	struct view view = {0};

	add(&view.networks, "8.8.8.8");
	assert_int_equal(guard_admit_view(&world->rules, &view, &address, &lease, at(9)),
		REASON_OK);
	add(&world->config.deny, "8.0.0.0/8");
	assert_int_equal(guard_admit_view(&world->rules, &view, &address, &lease, at(9)),
		REASON_DENIED);
	prefix_set_done(&view.networks);
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
		TEST(test_lists),
		TEST(test_users_and_services),
		TEST(test_how_long),
		TEST(test_ipv6_prefix),
		TEST(test_admission),
		TEST(test_views),
		TEST(test_view_of_several_services),
		TEST(test_view_does_not_open_what_is_denied),
		TEST(test_every_reason_has_a_word),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
