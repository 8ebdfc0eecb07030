/* What a configuration has without being told, what must hold between its options, and
 * how two of them differ. */
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dracd/cleanup.h"
#include "dracd/clock.h"
#include "dracd/config_internal.h"

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

/* The gateway is the reporter that strangers can speak to.  It has limits of its own, of
 * half as much: these are for a gateway that is no longer what it was. */
static int add_default_limits(struct config *config)
{
	static const struct reporter_settings defaults = {
		.max_leases = 20000,
		.max_rate = 4000,
	};
	static const char gateway[] = "drac-rpcd";
	struct reporter_settings *grown, *limits;

	if (!config_reporter_limits(config, gateway)) {
		grown = reallocarray(config->reporter_limits, config->reporter_count + 1,
			sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		config->reporter_limits = grown;
		grown[config->reporter_count] =
			(struct reporter_settings){.name = strdup(gateway)};
		if (!grown[config->reporter_count++].name)
			return -ENOMEM;
	}
	for (size_t i = 0; i < config->reporter_count; i++) {
		limits = &config->reporter_limits[i];
		if (strcmp(limits->name, gateway) != 0)
			continue;
		if (limits->max_leases == 0)
			limits->max_leases = defaults.max_leases;
		if (limits->max_rate == 0)
			limits->max_rate = defaults.max_rate;
	}
	return 0;
}

int config_add_defaults(struct config *config, struct problems *problems)
{
	int r = add_default_services(config);

	if (r == 0)
		r = add_default_limits(config);
	return r == 0 ? add_default_lookups(config, problems) : r;
}

/* ---- what must hold between options ---- */

void config_complain(const struct check *check, enum option_scope scope, const char *name,
	bool is_warning, const char *format, ...)
{
	const char *kind = option_scope_name(scope);
	_cleanup_(free_pointer) char *text = NULL;
	char place[PLACE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	problems_add(check->problems, is_warning, "%s%s%s%s: %s",
		source_place(check->source, scope, name, place), kind ? kind : "",
		kind ? " " : "", name, text ? text : "out of memory");
}

/* A service that nobody can log in by would make the view an empty one. */
static void check_view(const struct check *check, const struct lookup_settings *lookup)
{
	const struct text_list *services = &lookup->view.services;

	if (!check->sections_known)
		return;
	for (size_t i = 0; i < services->count; i++)
		if (!config_service(check->config, services->items[i]))
			config_complain(check, SCOPE_LOOKUP, lookup->name, false,
				"services: %.100s is no service; to make it one: service %.100s "
				"{ lease = yes }",
				services->items[i], services->items[i]);
}

/* A misspelt name would be no limit. */
static void check_limits(const struct check *check)
{
	const struct account_list *reporters = &check->config->reporters;

	if (!check->sections_known)
		return;
	for (size_t i = 0; i < check->config->reporter_count; i++) {
		const char *name = check->config->reporter_limits[i].name;
		/* these may be there before their accounts are */
		bool found =
			strcmp(name, "drac-rpcd") == 0 || strcmp(name, "drac-login") == 0;

		for (size_t j = 0; j < reporters->count; j++)
			found = found || strcmp(reporters->items[j].name, name) == 0;
		if (i == REPORTERS_MAX)
			config_complain(check, SCOPE_REPORTER, name, false,
				"so many sections of this kind cannot be; at most %d",
				REPORTERS_MAX);
		if (!found)
			config_complain(check, SCOPE_REPORTER, name, false,
				"is not among the reporters, where it is to be written the same");
	}
}

/* NULL: none; without memory for its text an option may have none, too. */
static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void check_lookups(const struct check *check)
{
	const struct config *config = check->config;

	for (size_t i = 0; i < config->lookup_count; i++) {
		const struct lookup_settings *lookup = &config->lookups[i];

		check_view(check, lookup);
		if (same_text(lookup->socket.path, config->report.path) ||
			same_text(lookup->socket.path, config->control.path))
			config_complain(check, SCOPE_LOOKUP, lookup->name, false,
				"path is that of the report or control socket");
		for (size_t j = 0; j < i; j++)
			if (strcmp(lookup->socket.path, config->lookups[j].socket.path) ==
				0)
				config_complain(check, SCOPE_LOOKUP, lookup->name, false,
					"path is that of lookup %s",
					config->lookups[j].name);
	}
}

void config_check(struct config *config, const struct source *source, bool global_ok,
	struct problems *problems)
{
	struct check check = {
		.config = config,
		.source = source,
		.problems = problems,
		.sections_known = problems->errors == 0,
	};

	if (global_ok && config->lease_time_usec > config->lease_time_max_usec)
		config_complain(&check, SCOPE_GLOBAL, "lease_time", false,
			"is longer than lease_time_max");
	if (global_ok && config->watchdog_usec > 0 &&
		config->watchdog_usec < USEC_PER_SEC)
		config_complain(&check, SCOPE_GLOBAL, "watchdog", false,
			"must be 0, for none, or at least 1s");
	check_limits(&check);
	check_lookups(&check);
	config_check_maps(config, &check);
}

/* ---- differences ---- */

static bool same_socket(const struct socket_settings *a, const struct socket_settings *b)
{
	return same_text(a->path, b->path) && a->group == b->group && a->mode == b->mode;
}

static bool same_texts(const struct text_list *a, const struct text_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool same_view(const struct view *a, const struct view *b)
{
	return same_texts(&a->services, &b->services) &&
	       prefix_set_equal(&a->networks, &b->networks);
}

bool config_same_lookup(const struct lookup_settings *a, const struct lookup_settings *b)
{
	return same_text(a->name, b->name) && a->protocol == b->protocol &&
	       same_socket(&a->socket, &b->socket) && same_view(&a->view, &b->view);
}

bool config_same_map(const struct map_config *a, const struct map_config *b)
{
	return same_text(a->name, b->name) && a->type == b->type && a->keys == b->keys &&
	       a->nul == b->nul && same_text(a->value, b->value) &&
	       a->page_size == b->page_size && same_text(a->path, b->path) &&
	       a->group == b->group && a->mode == b->mode &&
	       a->interval_usec == b->interval_usec &&
	       a->end_interval_usec == b->end_interval_usec &&
	       same_text(a->static_path, b->static_path);
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
		{old->watchdog_usec == new->watchdog_usec, "watchdog"},
		{same_text(old->state_directory, new->state_directory),
			"state_directory"},
		{same_socket(&old->report, &new->report), "report_socket"},
		{same_socket(&old->control, &new->control), "control_socket"},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!parts[i].same)
			problems_add(problems, true,
				"%s: the change takes effect at the next restart of dracd",
				parts[i].what);
}
