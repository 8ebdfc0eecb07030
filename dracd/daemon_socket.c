/* The daemon's sockets: opened, and carried from one configuration to the next. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "dracd/control.h"
#include "dracd/daemon_internal.h"
#include "dracd/log.h"
#include "dracd/report.h"

enum {
	REPORT_CONNECTIONS_MAX = 1024,
	CONTROL_CONNECTIONS_MAX = 32,
	LOOKUP_CONNECTIONS_MAX = 8192,
	OTHER_DESCRIPTORS = 128, /* files, maps, timers, a guardian */
};

/* ---- limits ---- */

/* All sockets together keep within the descriptors we may have, so that a flood on one of
 * them cannot starve another. */
static unsigned report_connections_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
		limit.rlim_cur / 4 > REPORT_CONNECTIONS_MAX)
		return REPORT_CONNECTIONS_MAX;
	return (unsigned)limit.rlim_cur / 4;
}

static unsigned lookup_connections_max(size_t lookups)
{
	rlim_t taken =
		OTHER_DESCRIPTORS + CONTROL_CONNECTIONS_MAX + report_connections_max();
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < taken)
		return CONTROL_CONNECTIONS_MAX;
	limit.rlim_cur = (limit.rlim_cur - taken) / lookups;
	return limit.rlim_cur < LOOKUP_CONNECTIONS_MAX ? (unsigned)limit.rlim_cur
						       : LOOKUP_CONNECTIONS_MAX;
}

/* ---- report and control ---- */

/* A socket's group may be given to it by root and by members only; config.c has checked.
 */
static int open_server(struct daemon *daemon, const struct protocol *protocol,
	const struct socket_settings *socket, struct server_settings settings,
	struct server **ret)
{
	settings.protocol = protocol;
	settings.path = socket->path;
	settings.group = socket->group;
	settings.mode = socket->mode;
	return server_open(daemon->core.event, &settings, ret);
}

static int open_and_show(struct daemon *daemon, const struct protocol *protocol,
	const struct socket_settings *socket, struct server_settings settings,
	struct server **ret)
{
	int r = open_server(daemon, protocol, socket, settings, ret);

	if (r >= 0)
		r = server_appear(*ret);
	if (r < 0)
		log_errno(LOG_ERR, r, "cannot open socket %s", socket->path);
	return r;
}

int daemon_open_sockets(struct daemon *daemon)
{
	const struct config *config = daemon->started;
	int r;

	r = open_and_show(daemon, &report_protocol, &config->report,
		(struct server_settings){
			.inherited_fd = daemon->report_fd,
			.connections_max = report_connections_max(),
			.context = &daemon->core,
		},
		&daemon->report);
	if (r < 0)
		return r;
	return open_and_show(daemon, &control_protocol, &config->control,
		(struct server_settings){
			.inherited_fd = -1,
			.connections_max = CONTROL_CONNECTIONS_MAX,
			.context = daemon,
		},
		&daemon->control);
}

/* ---- lookups ---- */

static int ask_core(const struct address *address, void *context)
{
	const struct daemon_lookup *lookup = context;

	return core_ask(lookup->core, &lookup->settings->view, address);
}

static struct daemon_lookup *free_lookup(struct daemon_lookup *lookup)
{
	if (!lookup)
		return NULL;
	server_close(lookup->server);
	config_unref(lookup->config);
	free(lookup);
	return NULL;
}

static const struct protocol *const protocols[] = {
	[LOOKUP_POLICY] = &policy_protocol,
	[LOOKUP_SOCKETMAP] = &socketmap_protocol,
	[LOOKUP_PLAIN] = &plain_protocol,
};

static int new_lookup(struct daemon *daemon, struct config *config, size_t index,
	struct daemon_lookup **ret)
{
	const struct lookup_settings *settings = &config->lookups[index];
	struct daemon_lookup *lookup = calloc(1, sizeof(*lookup));
	int r;

	if (!lookup)
		return -ENOMEM;
	lookup->core = &daemon->core;
	lookup->config = config_ref(config);
	lookup->settings = settings;
	lookup->protocol = protocols[settings->protocol];
	lookup->lookup.ask = ask_core;
	lookup->lookup.context = lookup;
	r = open_server(daemon, lookup->protocol, &settings->socket,
		(struct server_settings){
			.inherited_fd = -1,
			.connections_max = lookup_connections_max(config->lookup_count),
			.context = &lookup->lookup,
		},
		&lookup->server);
	if (r < 0)
		free_lookup(lookup);
	else
		*ret = lookup;
	return r;
}

static bool holds(const struct lookup_set *set, const struct daemon_lookup *lookup)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i] == lookup)
			return true;
	return false;
}

static struct daemon_lookup *find_same(
	const struct lookup_set *set, const struct lookup_settings *wanted)
{
	for (size_t i = 0; i < set->count; i++)
		if (config_same_lookup(set->items[i]->settings, wanted))
			return set->items[i];
	return NULL;
}

/* What would fail at the rename, or take the name of a socket that is in use. */
static int check_path(const struct daemon *daemon, const char *path)
{
	struct stat status;

	if (strcmp(path, daemon->started->report.path) == 0 ||
		strcmp(path, daemon->started->control.path) == 0)
		return -EADDRINUSE;
	if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return -ENOTSOCK;
	return 0;
}

int daemon_prepare_lookups(struct daemon *daemon, struct config *config,
	struct lookup_set *ret, struct problems *problems)
{
	*ret = (struct lookup_set){
		.items = calloc(config->lookup_count + 1, sizeof(struct daemon_lookup *)),
	};
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < config->lookup_count; i++) {
		const struct lookup_settings *settings = &config->lookups[i];
		struct daemon_lookup *lookup = find_same(&daemon->lookups, settings);
		int r = lookup ? 0 : check_path(daemon, settings->socket.path);

		if (!lookup && r == 0)
			r = new_lookup(daemon, config, i, &lookup);

		if (r < 0) {
			problems_add(problems, false,
				"lookup %s: cannot open socket %s: %s", settings->name,
				settings->socket.path, strerror(-r));
			daemon_drop_lookups(daemon, ret);
			return r;
		}
		ret->items[ret->count++] = lookup;
	}
	return 0;
}

void daemon_drop_lookups(struct daemon *daemon, struct lookup_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!holds(&daemon->lookups, set->items[i]))
			free_lookup(set->items[i]);
	free(set->items);
	*set = (struct lookup_set){0};
}

/* Gives a new lookup its name, which one that goes may have now. */
static void show(struct lookup_set *old, struct daemon_lookup *lookup)
{
	const char *path = lookup->settings->socket.path;
	int r = server_appear(lookup->server);

	if (r < 0) {
		log_errno(LOG_ERR, r, "cannot open socket %s", path);
		return;
	}
	for (size_t i = 0; i < old->count; i++)
		if (strcmp(old->items[i]->settings->socket.path, path) == 0)
			server_replaced(old->items[i]->server);
}

void daemon_take_lookups(struct daemon *daemon, struct lookup_set *set)
{
	struct lookup_set old = daemon->lookups;

	for (size_t i = 0; i < set->count; i++)
		if (!server_has_appeared(set->items[i]->server))
			show(&old, set->items[i]);
	daemon->lookups = *set;
	for (size_t i = 0; i < old.count; i++)
		if (!holds(&daemon->lookups, old.items[i]))
			free_lookup(old.items[i]);
	free(old.items);
	for (size_t i = 0; i < daemon->lookups.count; i++)
		server_set_limit(daemon->lookups.items[i]->server,
			lookup_connections_max(daemon->lookups.count));
	*set = (struct lookup_set){0};
}
