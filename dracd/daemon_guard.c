/*
 * Who withdraws what the daemon has published, if it does not do so itself.
 *
 * The file is written before anything in it is published, and the guardian told; it
 * forgets what is gone when that is withdrawn: then the path may be somebody else's.
 */
#include <errno.h>
#include <systemd/sd-daemon.h>

#include "dracd/cleanup.h"
#include "dracd/daemon_internal.h"
#include "dracd/log.h"
#include "dracd/published.h"
#include "dracd/state.h"
#include "dracd/withdraw.h"

enum {
	WATCHDOG_TURNS = 5, /* signs of life in the watchdog's time */
};

static int save(struct daemon *daemon, struct config *published, bool is_synced)
{
	int r = published_save(daemon->directory, published, is_synced);

	if (r < 0) {
		config_unref(published);
		return log_errno(LOG_ERR, r, "cannot write %s/%s",
			daemon->started->state_directory, PUBLISHED_FILE);
	}
	config_unref(daemon->published);
	daemon->published = published;
	return 0;
}

/* What may be open, in *ret, NULL for nothing: what is noted; and what is configured, if
 * that is damaged or cannot be read, or nobody has noted anything although a dracd has
 * died. */
static int find_left_open(struct daemon *daemon, struct config **ret)
{
	const char *path = daemon->started->state_directory;
	unsigned line;
	int r = published_load(daemon->directory, ret, &line);

	if (r == 0 || (r == -ENOENT && !state_is_marked(daemon->directory)))
		return 0;
	if (r == -EBADMSG)
		log_message(LOG_ERR, "%s/%s:%u: damaged; withdrawing what drac.conf has",
			path, PUBLISHED_FILE, line);
	else if (r != -ENOENT)
		log_errno(LOG_ERR, r, "cannot read %s/%s; withdrawing what drac.conf has",
			path, PUBLISHED_FILE);
	if (!*ret)
		*ret = published_new(NULL);
	return *ret ? published_add(*ret, daemon->started) : -ENOMEM;
}

/* What neither the one before us nor its guardian has withdrawn.  It goes now: who is in
 * it may be over, and the table may be long in being checked, or cannot be opened. */
static int withdraw_left_open(struct daemon *daemon)
{
	int r = find_left_open(daemon, &daemon->left);

	if (r < 0 || !daemon->left ||
		daemon->left->lookup_count + daemon->left->map_count == 0)
		return r;
	log_message(LOG_WARNING,
		"nobody has withdrawn the leases of a dracd that died; withdrawing them "
		"from %zu lookups and %zu maps",
		daemon->left->lookup_count, daemon->left->map_count);
	(void)withdraw_all(daemon->left); /* the others are in our care as well */
	return 0;
}

/* config, and what is left open from before us; NULL without memory. */
static struct config *with_left(const struct daemon *daemon, const struct config *config)
{
	struct config *published = published_new(daemon->left);

	if (published && published_add(published, config) < 0)
		return config_unref(published);
	return published;
}

int daemon_take_left(struct daemon *daemon)
{
	struct config *left = daemon->left;
	struct config lookups = {0};
	int r;

	if (!left || left->map_count == 0)
		return 0;
	lookups.lookups = left->lookups;
	lookups.lookup_count = left->lookup_count;
	daemon->left = published_new(&lookups);
	if (!daemon->left) {
		daemon->left = left;
		return -ENOMEM;
	}
	r = publisher_take_left(daemon->core.publisher, left);
	if (r < 0) { /* or what it has not taken would be forgotten */
		config_unref(daemon->left);
		daemon->left = left;
		return r;
	}
	config_unref(left);
	return 0;
}

static uint64_t watchdog_usec(const struct daemon *daemon)
{
	/* systemd does it */
	return sd_watchdog_enabled(0, NULL) > 0 ? 0 : daemon->started->watchdog_usec;
}

int daemon_guard(struct daemon *daemon)
{
	struct config *published;
	int r = withdraw_left_open(daemon);

	if (r < 0)
		return r;
	if (getpid() == 1)
		log_message(LOG_WARNING,
			"process 1 of a container: if it is killed, so is the guardian; then "
			"run dracd-withdraw -f, or start dracd again");
	published = with_left(daemon, daemon->started);
	if (!published)
		return log_errno(LOG_ERR, -ENOMEM, "cannot start");
	r = save(daemon, published, true);
	if (r < 0)
		return r;
	r = guardian_start(daemon->published, daemon->directory, watchdog_usec(daemon),
		&daemon->guardian);
	if (r < 0)
		return log_errno(LOG_ERR, r, "cannot start the guardian");
	log_use_journal(); /* should that hang, the guardian does not */
	return 0;
}

static void tell(const struct daemon *daemon)
{
	int r = guardian_tell_published(&daemon->guardian);

	if (r < 0)
		log_errno(LOG_ERR, r, "the guardian does not follow");
}

/* Not synced, as lookups wait meanwhile: the process may die, and the file is there;
 * after the end of the machine all of drac.conf is withdrawn, whatever is in the file. */
int daemon_publish_also(struct daemon *daemon, const struct config *config)
{
	struct config *both = published_new(daemon->published);
	int r = both ? published_add(both, config) : -ENOMEM;

	if (r < 0) {
		config_unref(both);
		return log_errno(LOG_ERR, r, "cannot note what is published");
	}
	r = save(daemon, both, false);
	if (r == 0)
		tell(daemon);
	return r;
}

/* If it cannot be noted, more is withdrawn than need be. */
void daemon_publish_only(struct daemon *daemon, const struct config *config)
{
	struct config *published = with_left(daemon, config);

	if (published && save(daemon, published, false) == 0)
		tell(daemon);
}

/* ---- the guardian's life, and ours ---- */

/* It cannot be started again: there are threads by now. */
static int on_guardian_end(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)info;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	daemon->guardian.pid = 0;
	close_fd(&daemon->guardian.pipe);
	daemon->guardian.pipe = -1;
	log_message(LOG_ERR,
		"the guardian has ended: if dracd is killed, its maps stay as they are "
		"until it is started, or dracd-withdraw; restart dracd");
	return 0;
}

static int on_alive(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct daemon *daemon = userdata;
	int r;

	(void)usec;
	guardian_tell_alive(&daemon->guardian);
	r = sd_event_source_set_time_relative(
		source, watchdog_usec(daemon) / WATCHDOG_TURNS);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* By default sd-event looks once when it hears of the end.  Of a child that somebody
 * traces there is nothing to be seen until he has looked. */
static int watch_end(struct daemon *daemon)
{
	sd_event_source *source;
	int r = sd_event_add_child(daemon->core.event, &source, daemon->guardian.pid,
		WEXITED, on_guardian_end, daemon);

	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_enabled(source, SD_EVENT_ON);
	if (r >= 0)
		r = sd_event_source_set_floating(source, 1);
	sd_event_source_unref(source);
	return r;
}

int daemon_watch_guardian(struct daemon *daemon)
{
	sd_event *event = daemon->core.event;
	int r = watch_end(daemon);

	if (r < 0 || watchdog_usec(daemon) == 0)
		return r;
	return sd_event_add_time_relative(
		event, NULL, CLOCK_MONOTONIC, 0, 0, on_alive, daemon);
}

void daemon_unguard(struct daemon *daemon, bool withdrawn)
{
	const struct config *left = daemon->left;

	/* the guardian tries that again */
	withdrawn = withdrawn && !(left && left->lookup_count + left->map_count > 0);
	if (withdrawn && daemon->published)
		published_clear(daemon->directory);
	guardian_stop(&daemon->guardian, withdrawn);
	daemon->published = config_unref(daemon->published);
	daemon->left = config_unref(daemon->left);
}
