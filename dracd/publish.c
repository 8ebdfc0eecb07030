/* The publisher: workers that come and go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "dracd/cleanup.h"
#include "dracd/log.h"
#include "dracd/publish_internal.h"

/* ---- maps that come and go ---- */

static struct watched *free_watched(struct watched *map)
{
	if (!map)
		return NULL;
	publisher_unwatch(map);
	map_worker_stop(map->worker);
	config_unref(map->config);
	free(map);
	return NULL;
}

static struct watched *new_watched(
	struct publisher *publisher, struct config *config, size_t index)
{
	struct watched *map = calloc(1, sizeof(*map));

	if (!map)
		return NULL;
	map->publisher = publisher;
	map->config = config_ref(config);
	map->map = &config->maps[index];
	return map;
}

/* The map that still has the file; two workers must not write one. */
static const struct watched *find_leaving(
	const struct publisher *publisher, const struct map_config *map)
{
	for (const struct watched *at = publisher->leaving; at; at = at->next)
		if (strcmp(at->map->file, map->file) == 0)
			return at;
	return NULL;
}

/* On a worker's thread. */
static void tell_loop(void *context)
{
	const struct publisher *publisher = context;
	uint64_t one = 1;

	(void)!write(publisher->reported_fd, &one, sizeof(one));
}

static int start_worker(struct watched *map, bool leaves)
{
	struct publisher *publisher = map->publisher;
	struct map_worker_settings settings = {
		.map = map->map,
		.table = publisher->settings.table,
		.reported = tell_loop,
		.context = publisher,
		.leaves = leaves,
	};
	int r = map_worker_start(
		&settings, publisher->config, publisher->blocks, &map->worker);

	if (r == 0 && !leaves)
		publisher_watch(map);
	return r;
}

static void start_if_free(struct watched *map)
{
	const struct watched *before = find_leaving(map->publisher, map->map);
	int r;

	if (before) {
		map->report.error = before->report.error;
		map->report.step = "withdraw what was before it at";
		return;
	}
	r = start_worker(map, false);
	if (r < 0 && r != map->report.error)
		log_errno(LOG_ERR, r, "map %s: cannot start its thread; retrying",
			map->map->name);
	map->report.error = r;
	map->report.step = "start the thread of";
}

/* Starts what could not be before; what fails is tried again at the next wake. */
static void start_workers(struct publisher *publisher)
{
	for (size_t i = 0; i < publisher->count; i++)
		if (!publisher->maps[i]->worker)
			start_if_free(publisher->maps[i]);
}

/* Frees the maps that have been withdrawn; then the next may have their paths. */
static void see_off(struct publisher *publisher)
{
	struct watched **at = &publisher->leaving;

	while (*at) {
		struct watched *map = *at;

		publisher_take_report(map);
		if (!map_worker_has_withdrawn(map->worker)) {
			at = &map->next;
			continue;
		}
		log_message(LOG_INFO,
			"map %s: withdrawn, as drac.conf no longer has it so",
			map->map->name);
		*at = map->next;
		free_watched(map);
		publisher->leaving_count--;
	}
	start_workers(publisher);
}

static void add_leaving(struct publisher *publisher, struct watched *map)
{
	map->next = publisher->leaving;
	publisher->leaving = map;
	publisher->leaving_count++;
}

/* Withdraws a map that the configuration no longer has. */
static void send_off(struct publisher *publisher, struct watched *map)
{
	publisher_unwatch(map);
	if (!map->worker) {
		free_watched(map);
		return;
	}
	add_leaving(publisher, map);
	map_worker_wake(map->worker, WAKE_LEAVE, UINT64_MAX, publisher->config,
		publisher->blocks);
}

/* Takes the map out of those that are there, if it is exactly as before. */
static struct watched *take_same(
	struct publisher *publisher, const struct map_config *wanted)
{
	for (size_t i = 0; i < publisher->count; i++) {
		struct watched *map = publisher->maps[i];

		if (map && config_same_map(map->map, wanted)) {
			publisher->maps[i] = NULL;
			return map;
		}
	}
	return NULL;
}

static void free_maps(struct watched **maps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free_watched(maps[i]);
	free(maps);
}

/* One for each map of the configuration, none started. */
static struct watched **new_maps(struct publisher *publisher, struct config *config)
{
	struct watched **maps = calloc(config->map_count + 1, sizeof(struct watched *));

	for (size_t i = 0; maps && i < config->map_count; i++) {
		maps[i] = new_watched(publisher, config, i);
		if (!maps[i]) {
			free_maps(maps, i);
			return NULL;
		}
	}
	return maps;
}

/* Those as before go on, those that are gone or different leave, new ones start. */
static void replace_maps(struct publisher *publisher, struct watched **maps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* all count of them are there, or there is no maps */
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		struct watched *same = take_same(publisher, maps[i]->map);

		if (!same)
			continue;
		free_watched(maps[i]);
		maps[i] = same;
	}
	for (size_t i = 0; i < publisher->count; i++)
		if (publisher->maps[i])
			send_off(publisher, publisher->maps[i]);
	free(publisher->maps);
	publisher->maps = maps;
	publisher->count = count;
	(void)!publisher_arm_check(publisher); /* without it there are the events */
	start_workers(publisher);
}

static int on_reported(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct publisher *publisher = userdata;
	uint64_t count;

	(void)source;
	(void)events;
	(void)!read(fd, &count, sizeof(count));
	for (size_t i = 0; i < publisher->count; i++) {
		struct watched *map = publisher->maps[i];

		publisher_take_report(map);
		if (map->report.error || map->report.has_published)
			map->has_reported = true;
	}
	if (publisher->leaving)
		see_off(publisher);
	publisher->settings.progressed(publisher->settings.context);
	return 0;
}

/* ---- life ---- */

static void free_publisher(struct publisher *publisher)
{
	struct watched *next;

	sd_event_source_disable_unref(publisher->source);
	sd_event_source_disable_unref(publisher->check);
	free_maps(publisher->maps, publisher->count);
	for (struct watched *at = publisher->leaving; at; at = next) {
		next = at->next;
		free_watched(at);
	}
	config_unref(publisher->config);
	blocks_unref(publisher->blocks);
	if (publisher->hung)
		return;
	close_fd(&publisher->reported_fd);
	free(publisher);
}

int publisher_start(const struct publisher_settings *settings, struct config *config,
	struct blocks *blocks, struct publisher **ret)
{
	struct publisher *publisher = calloc(1, sizeof(*publisher));
	int r = 0;

	if (!publisher)
		return -ENOMEM;
	publisher->settings = *settings;
	publisher->config = config_ref(config);
	publisher->blocks = blocks_ref(blocks);
	publisher->reported_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	publisher->maps = new_maps(publisher, config);
	if (publisher->reported_fd < 0 || !publisher->maps)
		r = -ENOMEM;
	else
		publisher->count = config->map_count;
	if (r == 0)
		r = sd_event_add_io(settings->event, &publisher->source,
			publisher->reported_fd, EPOLLIN, on_reported, publisher);
	if (r >= 0)
		r = publisher_arm_check(publisher);
	for (size_t i = 0; i < publisher->count && r >= 0; i++)
		r = start_worker(publisher->maps[i], false);
	if (r < 0) {
		free_publisher(publisher);
		return r;
	}
	*ret = publisher;
	return 0;
}

int publisher_set_config(struct publisher *publisher, struct config *config, bool rebuild)
{
	struct watched **maps = new_maps(publisher, config);

	if (!maps)
		return -ENOMEM;
	config_ref(config);
	config_unref(publisher->config);
	publisher->config = config;
	replace_maps(publisher, maps, config->map_count);
	/* static files are looked at too; who has asked for the reload waits for that */
	return publisher_ask(publisher, NULL,
		WAKE_CHANGES | (rebuild ? WAKE_REBUILD | WAKE_REVOKED : 0U));
}

static bool has_file(const struct publisher *publisher, const struct map_config *map)
{
	for (size_t i = 0; i < publisher->count; i++)
		if (strcmp(publisher->maps[i]->map->file, map->file) == 0)
			return true;
	return find_leaving(publisher, map) != NULL;
}

int publisher_take_left(struct publisher *publisher, struct config *left)
{
	for (size_t i = 0; i < left->map_count; i++) {
		struct watched *map;
		int r;

		if (has_file(publisher, &left->maps[i]))
			continue;
		map = new_watched(publisher, left, i);
		if (!map)
			return -ENOMEM;
		r = start_worker(map, true);
		if (r < 0) {
			free_watched(map);
			return r;
		}
		add_leaving(publisher, map);
	}
	return 0;
}

void publisher_set_blocks(struct publisher *publisher, struct blocks *blocks)
{
	blocks_ref(blocks);
	blocks_unref(publisher->blocks);
	publisher->blocks = blocks;
	publisher_wake(publisher, 0);
}

void publisher_wake_by(struct publisher *publisher, unsigned why, uint64_t due)
{
	if (!publisher)
		return;
	start_workers(publisher);
	for (size_t i = 0; i < publisher->count; i++)
		if (publisher->maps[i]->worker)
			map_worker_wake(publisher->maps[i]->worker, why, due,
				publisher->config, publisher->blocks);
}

void publisher_wake(struct publisher *publisher, unsigned why)
{
	publisher_wake_by(publisher, why, UINT64_MAX);
}

int publisher_ask(struct publisher *publisher, const char *name, unsigned why)
{
	bool found = !name;

	start_workers(publisher);
	for (size_t i = 0; i < publisher->count; i++) {
		struct watched *map = publisher->maps[i];

		if (name && strcmp(map->map->name, name) != 0)
			continue;
		found = true;
		if (map->worker)
			map->asked = map_worker_ask(
				map->worker, why, publisher->config, publisher->blocks);
	}
	return found ? 0 : -ENOENT;
}

/* True if the map is withdrawn. */
static bool withdraw(struct watched *map)
{
	bool is_withdrawn;
	uint64_t before;

	if (!map->worker)
		return true;
	before = map->report.given_up_count;
	publisher_unwatch(map);
	is_withdrawn = map_worker_withdraw(map->worker, &map->report);
	publisher_log_given_up(map, before);
	if (is_withdrawn)
		return true;
	publisher_log_failure(map);
	return false;
}

/* Nobody waits for those that hang, and they end with the process; until then they may
 * report to us. */
static void abandon_hung(struct publisher *publisher)
{
	struct watched **at = &publisher->leaving;

	while (*at) {
		struct watched *map = *at;

		if (!map->map->does_hang || map_worker_has_withdrawn(map->worker)) {
			at = &map->next;
			continue;
		}
		log_message(LOG_ERR, "map %s: %s still does not answer", map->map->name,
			map->map->path);
		publisher_unwatch(map);
		*at = map->next;
		publisher->leaving_count--;
		map->next = publisher->hung;
		publisher->hung = map;
	}
}

bool publisher_stop(struct publisher *publisher)
{
	bool withdrawn = true;

	if (!publisher)
		return false;
	for (size_t i = 0; i < publisher->count; i++)
		if (publisher->maps[i]->worker)
			map_worker_wake(publisher->maps[i]->worker, WAKE_WITHDRAW,
				UINT64_MAX, publisher->config, publisher->blocks);
	abandon_hung(publisher);
	withdrawn = !publisher->hung;
	for (struct watched *at = publisher->leaving; at; at = at->next)
		map_worker_wake(at->worker, WAKE_WITHDRAW, UINT64_MAX, publisher->config,
			publisher->blocks);
	for (size_t i = 0; i < publisher->count; i++)
		withdrawn = withdraw(publisher->maps[i]) && withdrawn;
	for (struct watched *at = publisher->leaving; at; at = at->next)
		withdrawn = withdraw(at) && withdrawn;
	free_publisher(publisher);
	return withdrawn;
}
