/* Rules with a configuration as its tests want it. */
#ifndef TESTS_GUARD_WORLD_H
#define TESTS_GUARD_WORLD_H

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
	struct prefix_set own, routers;
	char *never[1];
	struct rules rules;
};

static inline void add(struct prefix_set *set, const char *text)
{
	struct address prefix = address_of(text);

	assert_int_equal(prefix_set_add(set, &prefix), 0);
}

static inline int setup(void **state)
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
	world->rules = (struct rules){
		&world->config, world->blocks, &world->own, &world->routers};
	*state = world;
	return 0;
}

static inline int teardown(void **state)
{
	struct world *world = *state;

	prefix_set_done(&world->config.lease_networks);
	prefix_set_done(&world->config.lease_special);
	prefix_set_done(&world->config.never_lease);
	prefix_set_done(&world->config.deny);
	prefix_set_done(&world->own);
	prefix_set_done(&world->routers);
	blocks_unref(world->blocks);
	free(world);
	return 0;
}

static inline struct login login_of(
	const char *address, const char *user, const char *service)
{
	struct login login = {.address = address_of(address)};

	snprintf(login.user, sizeof(login.user), "%s", user);
	snprintf(login.service, sizeof(login.service), "%s", service);
	return login;
}

#endif
