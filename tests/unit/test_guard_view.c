#include "tests/unit/guard_world.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_views),
		TEST(test_view_of_several_services),
		TEST(test_view_does_not_open_what_is_denied),
	};

	return cmocka_run_group_tests_name("guard_view", tests, NULL, NULL);
}
