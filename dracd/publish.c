/* The publisher: workers, their reports, and the files they depend on. */
#include "dracd/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>

#include "dracd/cleanup.h"
#include "dracd/log.h"

struct watched {
	struct publisher *publisher;
	const struct map_config *map;
	struct map_worker *worker;
	struct map_report report;
	bool has_reported;
	sd_event_source *static_watch;
};

struct publisher {
	struct publisher_settings settings;
	struct config *started; /* the maps are this configuration's, for life */
	struct config *config;
	struct blocks *blocks;
	int reported_fd; /* eventfd: some worker has reported */
	sd_event_source *source;
	size_t count;
	struct watched *maps;
};

/* ---- what workers report ---- */

static void log_failure(const struct watched *map)
{
	const struct map_report *report = &map->report;
	time_t when = (time_t)(report->published_wall_usec / USEC_PER_SEC);
	char good[16] = "never";
	struct tm local;

	if (report->published_wall_usec)
		strftime(good, sizeof(good), "%H:%M:%S", localtime_r(&when, &local));
	log_message(LOG_ERR, "map %s: cannot %s %s: %s; retrying, last good %s%s",
		map->map->name, report->step ? report->step : "publish", map->map->path,
		strerror(-report->error), good,
		report->is_withdrawn ? "; all its leases are withdrawn until then" : "");
}

static void log_static_failure(const struct watched *map)
{
	const struct map_report *report = &map->report;
	const char *then =
		report->has_static
			? "the rows of its last good state stay"
			: "it has never been read, so the map has neither its rows nor any lease";

	if (report->static_problem)
		log_message(LOG_ERR, "map %s: %s:%u: %s; %s", map->map->name,
			map->map->static_path, report->static_line,
			report->static_problem, then);
	else
		log_message(LOG_ERR, "map %s: cannot read %s: %s; %s", map->map->name,
			map->map->static_path, strerror(-report->static_error), then);
}

static void done_trim(struct store_op *op)
{
	store_op_free(op);
}

/* The feed is needed from where the map furthest behind has come. */
static uint64_t oldest_sequence(const struct publisher *publisher)
{
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; i < publisher->count; i++)
		if (publisher->maps[i].report.sequence < oldest)
			oldest = publisher->maps[i].report.sequence;
	return oldest;
}

static void trim_feed(struct publisher *publisher)
{
	struct store_op *op = store_op_new(STORE_TRIM, done_trim, NULL);

	if (!op)
		return;
	op->trim = oldest_sequence(publisher);
	store_submit(publisher->settings.store, op);
}

static void take_report(struct watched *map)
{
	struct map_report old = map->report;

	map->report = map_worker_report(map->worker);
	if (map->report.error && (map->report.error != old.error ||
					 map->report.is_withdrawn != old.is_withdrawn))
		log_failure(map);
	else if (!map->report.error && old.error)
		log_message(LOG_INFO, "map %s: published again", map->map->name);
	if (map->report.static_error && map->report.static_error != old.static_error)
		log_static_failure(map);
	else if (!map->report.static_error && old.static_error)
		log_message(LOG_INFO, "map %s: %s is read again", map->map->name,
			map->map->static_path);
	if (map->report.unexpressed && !old.unexpressed)
		log_message(LOG_WARNING,
			"map %s: %llu leases of prefixes cannot be written with keys = %s; a "
			"lookup can answer for them",
			map->map->name, (unsigned long long)map->report.unexpressed,
			key_form_name(map->map->keys));
	if (!map->report.error && map->report.sequence != old.sequence)
		trim_feed(map->publisher);
}

static int on_reported(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct publisher *publisher = userdata;
	uint64_t count;

	(void)source;
	(void)events;
	(void)!read(fd, &count, sizeof(count));
	for (size_t i = 0; i < publisher->count; i++) {
		take_report(&publisher->maps[i]);
		if (publisher->maps[i].report.error ||
			publisher->maps[i].report.has_published)
			publisher->maps[i].has_reported = true;
	}
	publisher->settings.progressed(publisher->settings.context);
	return 0;
}

/* On a worker's thread. */
static void tell_loop(void *context)
{
	const struct publisher *publisher = context;
	uint64_t one = 1;

	(void)!write(publisher->reported_fd, &one, sizeof(one));
}

/* ---- static files ---- */

static int on_static_change(
	sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct watched *map = userdata;
	const char *name = strrchr(map->map->static_path, '/') + 1;

	(void)source;
	if (event->len == 0 || strcmp(event->name, name) == 0)
		map_worker_wake(map->worker, WAKE_CHANGES, map->publisher->config,
			map->publisher->blocks);
	return 0;
}

/* The directory is watched, as editors replace a file rather than write it. */
static void watch_static(struct watched *map)
{
	_cleanup_(free_pointer) char *directory = NULL;
	char *slash;
	int r;

	if (!map->map->static_path)
		return;
	directory = strdup(map->map->static_path);
	if (!directory)
		return;
	slash = strrchr(directory, '/');
	slash[slash == directory] = '\0';
	r = sd_event_add_inotify(map->publisher->settings.event, &map->static_watch,
		directory,
		IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_ONLYDIR,
		on_static_change, map);
	if (r < 0)
		log_errno(LOG_WARNING, r,
			"map %s: cannot watch %s: changes of the static file are seen at the "
			"next reload only",
			map->map->name, directory);
}

/* ---- life ---- */

static int start_worker(struct publisher *publisher, struct watched *map)
{
	struct map_worker_settings settings = {
		.map = map->map,
		.table = publisher->settings.table,
		.reported = tell_loop,
		.context = publisher,
	};
	int r = map_worker_start(
		&settings, publisher->config, publisher->blocks, &map->worker);

	if (r == 0)
		watch_static(map);
	return r;
}

static void free_publisher(struct publisher *publisher)
{
	sd_event_source_disable_unref(publisher->source);
	for (size_t i = 0; i < publisher->count; i++) {
		sd_event_source_disable_unref(publisher->maps[i].static_watch);
		map_worker_stop(publisher->maps[i].worker);
	}
	close_fd(&publisher->reported_fd);
	config_unref(publisher->started);
	config_unref(publisher->config);
	blocks_unref(publisher->blocks);
	free(publisher->maps);
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
	publisher->started = config_ref(config);
	publisher->config = config_ref(config);
	publisher->blocks = blocks_ref(blocks);
	publisher->reported_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	publisher->maps = calloc(config->map_count + 1, sizeof(*publisher->maps));
	if (publisher->reported_fd < 0 || !publisher->maps)
		r = -ENOMEM;
	if (r == 0)
		r = sd_event_add_io(settings->event, &publisher->source,
			publisher->reported_fd, EPOLLIN, on_reported, publisher);
	for (size_t i = 0; i < config->map_count && r >= 0; i++) {
		publisher->maps[i].publisher = publisher;
		publisher->maps[i].map = &config->maps[i];
		publisher->count++;
		r = start_worker(publisher, &publisher->maps[i]);
	}
	if (r < 0) {
		free_publisher(publisher);
		return r;
	}
	*ret = publisher;
	return 0;
}

void publisher_set_rules(struct publisher *publisher, struct config *config,
	struct blocks *blocks, bool rebuild)
{
	config_ref(config);
	blocks_ref(blocks);
	config_unref(publisher->config);
	blocks_unref(publisher->blocks);
	publisher->config = config;
	publisher->blocks = blocks;
	publisher_wake(publisher, rebuild ? WAKE_REBUILD : 0);
}

void publisher_wake(struct publisher *publisher, unsigned why)
{
	if (!publisher)
		return;
	for (size_t i = 0; i < publisher->count; i++)
		map_worker_wake(publisher->maps[i].worker, why, publisher->config,
			publisher->blocks);
}

bool publisher_is_ready(const struct publisher *publisher)
{
	for (size_t i = 0; i < publisher->count; i++)
		if (!publisher->maps[i].has_reported)
			return false;
	return true;
}

size_t publisher_map_count(const struct publisher *publisher)
{
	return publisher->count;
}

const struct map_config *publisher_map(const struct publisher *publisher, size_t index)
{
	return publisher->maps[index].map;
}

const struct map_report *publisher_report(const struct publisher *publisher, size_t index)
{
	return &publisher->maps[index].report;
}

unsigned publisher_late(
	const struct publisher *publisher, uint64_t sequence, unsigned *ret_failed)
{
	unsigned late = 0, failed = 0;

	for (size_t i = 0; i < publisher->count; i++) {
		const struct map_report *report = &publisher->maps[i].report;

		if (report->error)
			failed++;
		else if (report->sequence < sequence || !report->has_published)
			late++;
	}
	*ret_failed = failed;
	return late;
}

uint64_t publisher_ends_through(const struct publisher *publisher)
{
	uint64_t through = UINT64_MAX;

	for (size_t i = 0; i < publisher->count; i++) {
		const struct map_report *report = &publisher->maps[i].report;

		/* also of a map in error: the rebuild by which it recovers is of a
		 * snapshot that may be older than an end */
		if (report->ends_through < through)
			through = report->ends_through;
	}
	return through;
}

bool publisher_stop(struct publisher *publisher)
{
	bool withdrawn = true;

	if (!publisher)
		return false;
	publisher_wake(publisher, WAKE_WITHDRAW);
	for (size_t i = 0; i < publisher->count; i++) {
		struct watched *map = &publisher->maps[i];

		sd_event_source_disable_unref(map->static_watch);
		map->static_watch = NULL;
		if (!map_worker_withdraw(map->worker, &map->report)) {
			log_failure(map);
			withdrawn = false;
		}
		map->worker = map_worker_stop(map->worker);
	}
	free_publisher(publisher);
	return withdrawn;
}
