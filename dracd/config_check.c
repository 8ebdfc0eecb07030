/* What a configuration has without being told, what must hold between its options, and
 * how two of them differ. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dracd/clock.h"
#include "dracd/config_internal.h"
#include "dracd/option.h"

/* ---- what is there without being written ---- */

/* Services that drac.conf does not name. */
static int add_default_services(struct config *config)
{
	static const struct {
		const char *name;
		bool lease;
	} defaults[] = {
		{"pop3", true}, {"imap", true},
		{"submission", false},  /* it has authenticated already */
		{"managesieve", false}, /* no mail client */
	};

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		struct service_settings *grown;

		if (config_service(config, defaults[i].name))
			continue;
		grown = reallocarray(
			config->services, config->service_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		config->services = grown;
		grown[config->service_count] = (struct service_settings){
			.name = strdup(defaults[i].name),
			.lease = defaults[i].lease,
		};
		if (!grown[config->service_count++].name)
			return -ENOMEM;
	}
	return 0;
}

/* Without a single lookup section: one for Postfix and one for Sendmail, each only where
 * its group and its directory exist, so that one drac.conf fits every host. */
static int add_default_lookups(struct config *config, struct problems *problems)
{
	static const struct {
		const char *name, *directory, *path, *group;
		enum lookup_protocol protocol;
	} defaults[] = {
		{"postfix", "/var/spool/postfix/dracd", "/var/spool/postfix/dracd/policy",
			"postfix", LOOKUP_POLICY},
		{"sendmail", "/run/dracd", "/run/dracd/socketmap", "smmsp",
			LOOKUP_SOCKETMAP},
	};

	if (config->lookup_count > 0)
		return 0;
	free(config->lookups);
	config->lookups = calloc(2, sizeof(*config->lookups));
	if (!config->lookups)
		return -ENOMEM;
	for (size_t i = 0; i < 2; i++) {
		const struct group *group = getgrnam(defaults[i].group);
		struct lookup_settings *lookup = &config->lookups[config->lookup_count];
		struct stat status;

		if (!group || stat(defaults[i].directory, &status) < 0)
			continue;
		if (!group_is_ours(group->gr_gid)) {
			problems_add(problems, true,
				"lookup %s is not offered: this account is not a member of group %s",
				defaults[i].name, defaults[i].group);
			continue;
		}
		config->lookup_count++;
		lookup->name = strdup(defaults[i].name);
		lookup->protocol = defaults[i].protocol;
		lookup->socket.path = strdup(defaults[i].path);
		lookup->socket.group = group->gr_gid;
		lookup->socket.mode = 0660;
		if (!lookup->name || !lookup->socket.path)
			return -ENOMEM;
	}
	return 0;
}

int config_add_defaults(struct config *config, struct problems *problems)
{
	int r = add_default_services(config);

	return r == 0 ? add_default_lookups(config, problems) : r;
}

/* ---- what must hold between options ---- */

static void check_map(
	const struct config *config, struct map_config *map, struct problems *problems)
{
	struct address sample = {.length = (uint8_t)config->ipv6_prefix};
	/* each replacement of a Postfix hash makes every smtpd process start anew */
	uint64_t automatic =
		map->keys == KEY_POSTFIX ? USEC_PER_SEC : 250 * USEC_PER_MSEC;
	struct keys keys;

	if (map->interval_usec == INTERVAL_AUTO)
		map->interval_usec = 250 * USEC_PER_MSEC;
	if (map->end_interval_usec == INTERVAL_AUTO)
		map->end_interval_usec = automatic;
	if (map->mode & (S_IWGRP | S_IWOTH))
		problems_add(problems, false,
			"map %s: mode = 0%o: whoever may write the file may open the relay; "
			"use 0644",
			map->name, (unsigned)map->mode);
	if (map->static_path && map->keys != KEY_ACCESS)
		problems_add(problems, false,
			"map %s: static: only a map with keys = access "
			"merges a static file",
			map->name);
	sample.ip.s6_addr[0] = 0x20;
	sample.ip.s6_addr[3] = sample.ip.s6_addr[5] = sample.ip.s6_addr[7] = 1;
	if (key_format(map->keys, &sample.ip, sample.length, &keys) < 0)
		problems_add(problems, false,
			"map %s: ipv6_prefix = %u cannot be expressed in "
			"a map with keys = %s; use ipv6_prefix = 128, or a lookup instead of "
			"the map",
			map->name, config->ipv6_prefix, key_form_name(map->keys));
}

/* True if name stands among the count names before item; size is that of one item. */
static bool is_repeated(const void *items, size_t count, size_t size, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(*(char *const *)((const char *)items + i * size), name) == 0)
			return true;
	return false;
}

static void check_lookup(
	const struct config *config, size_t index, struct problems *problems)
{
	const struct lookup_settings *lookup = &config->lookups[index];

	if (strcmp(lookup->socket.path, config->report.path) == 0 ||
		strcmp(lookup->socket.path, config->control.path) == 0)
		problems_add(problems, false,
			"lookup %s: path is that of the report or control socket",
			lookup->name);
	for (size_t i = 0; i < index; i++)
		if (strcmp(lookup->socket.path, config->lookups[i].socket.path) == 0)
			problems_add(problems, false,
				"lookup %s: path is that of lookup %s", lookup->name,
				config->lookups[i].name);
}

void config_check(struct config *config, struct problems *problems)
{
	if (config->lease_time_usec > config->lease_time_max_usec)
		problems_add(problems, false, "lease_time is longer than lease_time_max");
	for (size_t i = 0; i < config->lookup_count; i++)
		check_lookup(config, i, problems);
	for (size_t i = 0; i < config->map_count; i++) {
		check_map(config, &config->maps[i], problems);
		for (size_t j = 0; j < i; j++)
			if (strcmp(config->maps[i].path, config->maps[j].path) == 0)
				problems_add(problems, false,
					"map %s: path is that of map %s",
					config->maps[i].name, config->maps[j].name);
	}
	for (size_t i = 0; i < config->service_count; i++)
		if (is_repeated(config->services, i, sizeof(*config->services),
			    config->services[i].name))
			problems_add(problems, false, "service %s is there twice",
				config->services[i].name);
}

/* ---- differences ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_socket(const struct socket_settings *a, const struct socket_settings *b)
{
	return same_text(a->path, b->path) && a->group == b->group && a->mode == b->mode;
}

static bool same_lookups(const struct config *a, const struct config *b)
{
	if (a->lookup_count != b->lookup_count)
		return false;
	for (size_t i = 0; i < a->lookup_count; i++)
		if (!same_text(a->lookups[i].name, b->lookups[i].name) ||
			a->lookups[i].protocol != b->lookups[i].protocol ||
			!same_socket(&a->lookups[i].socket, &b->lookups[i].socket))
			return false;
	return true;
}

static bool same_maps(const struct config *a, const struct config *b)
{
	if (a->map_count != b->map_count)
		return false;
	for (size_t i = 0; i < a->map_count; i++) {
		const struct map_config *x = &a->maps[i], *y = &b->maps[i];

		if (!same_text(x->name, y->name) || x->type != y->type ||
			x->keys != y->keys || !same_text(x->path, y->path) ||
			x->group != y->group || x->mode != y->mode ||
			x->interval_usec != y->interval_usec ||
			x->end_interval_usec != y->end_interval_usec ||
			!same_text(x->static_path, y->static_path))
			return false;
	}
	return true;
}

void config_compare(
	const struct config *old, const struct config *new, struct problems *problems)
{
	const struct {
		bool same;
		const char *what;
	} parts[] = {
		{old->durability == new->durability, "durability"},
		{old->max_leases == new->max_leases, "max_leases"},
		{same_text(old->state_directory, new->state_directory),
			"state_directory"},
		{same_socket(&old->report, &new->report), "report_socket"},
		{same_socket(&old->control, &new->control), "control_socket"},
		{same_lookups(old, new), "lookup"},
		{same_maps(old, new), "map"},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!parts[i].same)
			problems_add(problems, true,
				"%s: the change takes effect at the next "
				"restart of dracd",
				parts[i].what);
}
