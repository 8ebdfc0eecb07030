/*
 * What the publisher watches: static files, and the maps themselves.
 *
 * A map that someone else has deleted, replaced or edited is seen at once by the events
 * of its directory.  Events can be missing (no more watches to be had, a parent directory
 * renamed, a file edited by one who keeps it open), so all maps are looked at every few
 * seconds besides.  Both only wake the worker, which compares the file with what it has
 * published: one lstat(2), also after each publication of our own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "dracd/cleanup.h"
#include "dracd/log.h"
#include "dracd/publish_internal.h"

#define CHECK_USEC (5 * USEC_PER_SEC)
#define CHECK_ACCURACY_USEC USEC_PER_SEC /* it may share its wake-up with others */

/* The directory is watched, as editors replace a file rather than write it. */
static int watch_directory(struct watched *map, const char *path, uint32_t events,
	sd_event_inotify_handler_t seen, sd_event_source **ret)
{
	_cleanup_(free_pointer) char *directory = strdup(path);
	char *slash;

	if (!directory)
		return -ENOMEM;
	slash = strrchr(directory, '/');
	slash[slash == directory] = '\0';
	return sd_event_add_inotify(map->publisher->settings.event, ret, directory,
		events | IN_ONLYDIR, seen, map);
}

static void wake(struct watched *map, unsigned why)
{
	map_worker_wake(map->worker, why, UINT64_MAX, map->publisher->config,
		map->publisher->blocks);
}

/* ---- static files ---- */

static int on_static_change(
	sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct watched *map = userdata;
	const char *name = strrchr(map->map->static_path, '/') + 1;

	(void)source;
	if (event->len == 0 || strcmp(event->name, name) == 0)
		wake(map, WAKE_CHANGES);
	return 0;
}

static void watch_static(struct watched *map)
{
	const char *path = map->map->static_path;
	int r;

	if (!path)
		return;
	r = watch_directory(map, path,
		IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_ATTRIB, on_static_change,
		&map->static_watch);
	if (r < 0)
		log_errno(LOG_WARNING, r,
			"map %s: cannot watch the directory of %s: changes of the static "
			"file are seen at the next reload only",
			map->map->name, path);
}

/* ---- maps ---- */

static bool is_map(const struct watched *map, const char *name)
{
	return strcmp(name, strrchr(map->map->file, '/') + 1) == 0;
}

static int on_map_change(
	sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct watched *map = userdata;

	(void)source;
	if (event->len > 0 && !is_map(map, event->name))
		return 0;
	/* the path leads elsewhere now, or nowhere */
	if (event->mask & (IN_MOVE_SELF | IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT))
		map->map_watch = sd_event_source_disable_unref(map->map_watch);
	/* what our own writing raises too says nothing of what was in its way */
	wake(map,
		WAKE_CHECK |
			(event->mask & (IN_MOVED_TO | IN_CLOSE_WRITE) ? 0U : WAKE_RETRY));
	return 0;
}

/* Not IN_MODIFY: a rebuild of our own would raise one for each page. */
static void watch_map(struct watched *map)
{
	int r = watch_directory(map, map->map->path,
		IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
			IN_MOVE_SELF | IN_DELETE_SELF | IN_DONT_FOLLOW,
		on_map_change, &map->map_watch);

	/* what is wrong with the directory the worker tells */
	if (r == -ENOSPC || r == -EMFILE || r == -ENOMEM) {
		if (!map->watch_failed)
			log_errno(LOG_WARNING, r,
				"map %s: cannot watch its directory: what others do to it "
				"is seen within %d s only",
				map->map->name, (int)(CHECK_USEC / USEC_PER_SEC));
		map->watch_failed = true;
	}
}

void publisher_watch_again(struct watched *map)
{
	map->map_watch = sd_event_source_disable_unref(map->map_watch);
	watch_map(map);
}

void publisher_watch(struct watched *map)
{
	watch_static(map);
	watch_map(map);
}

void publisher_unwatch(struct watched *map)
{
	map->static_watch = sd_event_source_disable_unref(map->static_watch);
	map->map_watch = sd_event_source_disable_unref(map->map_watch);
}

/* ---- without events ---- */

static int on_check(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct publisher *publisher = userdata;

	(void)source;
	(void)usec;
	for (size_t i = 0; i < publisher->count; i++) {
		struct watched *map = publisher->maps[i];

		if (!map->worker)
			continue;
		if (!map->map_watch)
			watch_map(map);
		wake(map, WAKE_CHECK | WAKE_EMPTY);
	}
	return publisher_arm_check(publisher);
}

int publisher_arm_check(struct publisher *publisher)
{
	int r;

	if (publisher->count == 0)
		return 0; /* with the first map it begins again */
	if (!publisher->check)
		return sd_event_add_time_relative(publisher->settings.event,
			&publisher->check, CLOCK_MONOTONIC, CHECK_USEC,
			CHECK_ACCURACY_USEC, on_check, publisher);
	r = sd_event_source_set_time_relative(publisher->check, CHECK_USEC);
	return r < 0 ? r
		     : sd_event_source_set_enabled(publisher->check, SD_EVENT_ONESHOT);
}
