/* The daemon around the core: state, sockets, signals, manager; in which order they come
 * and go. */
#include "dracd/daemon_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "dracd/cleanup.h"
#include "dracd/log.h"
#include "dracd/state.h"

enum {
	READY_SECONDS = 10, /* ready then, even if a map is not yet published */
};

/* ---- sockets ---- */

/* The socket of a unit is the one, whatever drac.conf says; who has changed only one of
 * the two would wonder where the logins are. */
static int take_report_socket(struct daemon *daemon, int fd)
{
	const char *path = daemon->started->report.path;

	if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
		log_message(LOG_ERR,
			"the report socket from systemd is no listening unix stream "
			"socket: ListenStream=%s",
			path);
		return -EINVAL;
	}
	if (sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) <= 0)
		log_message(LOG_WARNING,
			"systemd passes another report socket than report_socket = %s, "
			"which is not used: see ListenStream= in dracd-report.socket",
			path);
	daemon->report_fd = fd;
	return 0;
}

/* Made outside the sandbox, it tells of the host's addresses inside it. */
static int take_netlink(struct daemon *daemon, int fd)
{
	if (sd_is_socket(fd, AF_NETLINK, SOCK_RAW, -1) <= 0) {
		log_message(LOG_ERR, "the socket \"addresses\" from systemd is of "
				     "another kind: ListenNetlink=route");
		return -EINVAL;
	}
	daemon->core.netlink = fd;
	return 0;
}

static int take_socket(struct daemon *daemon, const char *name, int fd)
{
	if (strcmp(name, "report") == 0)
		return take_report_socket(daemon, fd);
	if (strcmp(name, "addresses") == 0)
		return take_netlink(daemon, fd);
	log_message(LOG_ERR,
		"socket \"%s\" from systemd is unknown; name it with "
		"FileDescriptorName=report",
		name);
	return -EINVAL;
}

/* Some sockets may come from systemd by their names; any other is a mistake. */
static int take_inherited(struct daemon *daemon)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names), r = 0;

	for (int i = 0; i < count; i++) {
		if (take_socket(daemon, names[i], SD_LISTEN_FDS_START + i) < 0)
			r = -EINVAL;
		free(names[i]);
	}
	free(names);
	return count < 0 ? count : r;
}

/* ---- serving ---- */

static void log_problems(const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		log_message(problems->items[i].is_warning ? LOG_WARNING : LOG_ERR, "%s",
			problems->items[i].text);
}

/* The lookups come last: a listening socket promises an answer. */
static int open_all(struct daemon *daemon)
{
	struct problems problems = {0};
	struct lookup_set lookups;
	int r = daemon_open_sockets(daemon);

	if (r < 0)
		return r;
	r = daemon_prepare_lookups(daemon, daemon->core.config, &lookups, &problems);
	if (r >= 0)
		daemon_take_lookups(daemon, &lookups);
	log_problems(&problems);
	problems_done(&problems);
	return r;
}

/* The sockets have been there since the table could be asked: an MTA that asks, and a
 * mail login, need not wait for the maps.  Who reads maps waits for this. */
static void tell_ready(struct core *core)
{
	struct daemon *daemon = core->daemon;

	if (daemon->is_ready)
		return;
	daemon->is_ready = true;
	log_message(LOG_INFO, "started version=%s leases=%llu lookups=%zu maps=%zu",
		DRACD_VERSION, (unsigned long long)(core->state.ipv4 + core->state.ipv6),
		daemon->lookups.count, publisher_map_count(core->publisher));
	(void)sd_notify(0, "READY=1\nSTATUS=serving");
}

static int on_ready_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source;
	(void)usec;
	if (!daemon->is_ready) {
		log_message(LOG_WARNING,
			"a map was not published within %d s; ready without it",
			READY_SECONDS);
		tell_ready(&daemon->core);
	}
	return 0;
}

/* ---- signals ---- */

/* sd_notify(3): what Type=notify-reload needs, and Type=notify does not mind. */
static void notify_reloading(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)now.tv_sec * USEC_PER_SEC +
			(unsigned long long)now.tv_nsec / 1000);
}

static void on_left(struct core *core)
{
	struct daemon *daemon = core->daemon;
	size_t leaving = publisher_leaving_count(core->publisher);
	/* Borrows everything, and copies no more than is asked for: threads count their
	 * references in the rest. */
	struct config guarded = {
		.lookups = core->config->lookups,
		.lookup_count = core->config->lookup_count,
		.map_count = core->config->map_count + leaving,
	};

	guarded.maps = calloc(guarded.map_count + 1, sizeof(*guarded.maps));
	if (!guarded.maps)
		return; /* it withdraws more than it needs to */
	for (size_t i = 0; i < leaving; i++)
		guarded.maps[i] = *publisher_leaving(core->publisher, i);
	for (size_t i = leaving; i < guarded.map_count; i++)
		guarded.maps[i] = core->config->maps[i - leaving];
	daemon_publish_only(daemon, &guarded);
	free(guarded.maps);
}

/* Everything that can fail comes first. */
static int apply_config(
	struct daemon *daemon, struct config *config, struct problems *problems)
{
	struct lookup_set lookups;
	int r = daemon_prepare_lookups(daemon, config, &lookups, problems);

	if (r < 0)
		return r;
	r = daemon_publish_also(daemon, config);
	if (r == 0)
		r = core_set_config(&daemon->core, config);
	if (r < 0) {
		daemon_drop_lookups(daemon, &lookups);
		on_left(&daemon->core);
	} else {
		daemon_take_lookups(daemon, &lookups);
	}
	return r;
}

static int load_and_apply(struct daemon *daemon, struct problems *problems)
{
	struct config *config;
	int r = config_load(daemon->config_file, &config, problems);

	if (r < 0)
		return r;
	config_compare(daemon->started, config, problems);
	r = apply_config(daemon, config, problems);
	config_unref(config);
	return r;
}

int daemon_reload(struct daemon *daemon, struct problems *problems)
{
	int r;

	if (daemon->is_ready)
		notify_reloading();
	r = load_and_apply(daemon, problems);
	log_problems(problems);
	if (r < 0)
		log_message(
			LOG_ERR, "reload failed; the old configuration stays in force");
	else
		log_message(LOG_INFO, "reloaded");
	if (daemon->is_ready) /* else the manager is told when the maps are there */
		(void)sd_notify(0, "READY=1");
	return r;
}

static int on_signal(
	sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct daemon *daemon = userdata;
	struct problems problems = {0};

	(void)source;
	if (info->ssi_signo != SIGHUP)
		return daemon_end(daemon);
	(void)!daemon_reload(daemon, &problems);
	problems_done(&problems);
	return 0;
}

static int add_signals(struct daemon *daemon)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int r = sd_event_add_signal(
			daemon->core.event, NULL, signals[i], on_signal, daemon);

		if (r < 0)
			return r;
	}
	return daemon_watch_guardian(daemon);
}

/* Before the first thread, so that all inherit it and only the loop gets signals.  But
 * SIGABRT ends a loop that hangs: the watchdog of systemd sends it, and would else wait
 * for TimeoutStopSec before it kills. */
static int block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGABRT);
	return sigprocmask(SIG_BLOCK, &all, NULL) < 0 ? -errno : 0;
}

/* ---- life ---- */

static int load_blocks(struct daemon *daemon, struct moment now)
{
	unsigned line;
	int r = blocks_load(daemon->directory, BLOCKS_FILE, daemon->boot_id, now,
		&daemon->core.blocks, &line);

	daemon->core.blocks_unsaved = r == BLOCKS_UNSAVED;
	if (r == BLOCKS_UNSAVED)
		return 0; /* tried again within a minute */
	if (r == -EBADMSG)
		log_message(LOG_ERR,
			"%s/%s:%u: damaged; it holds who is shut out, so dracd does not start "
			"without it. Mend the line or, to let all of them in, remove the file",
			daemon->started->state_directory, BLOCKS_FILE, line);
	else if (r < 0)
		log_errno(LOG_ERR, r, "cannot read %s/%s",
			daemon->started->state_directory, BLOCKS_FILE);
	return r;
}

static int open_state(struct daemon *daemon, struct moment now)
{
	const char *path = daemon->started->state_directory;
	int r;

	r = clock_boot_id(daemon->boot_id);
	if (r < 0)
		return log_errno(LOG_ERR, r,
			"cannot read the boot id (set DRACD_BOOT_ID where /proc is hidden)");
	r = state_open(path, &daemon->directory, &daemon->lock);
	if (r == -EBUSY)
		log_message(LOG_ERR, "%s: another dracd uses this directory", path);
	else if (r < 0)
		log_errno(LOG_ERR, r, "cannot use state_directory %s", path);
	/* before anything that can fail: a start that fails withdraws what an earlier end
	 * has left open */
	if (r == 0)
		r = daemon_guard(daemon);
	if (r == 0)
		r = load_blocks(daemon, now);
	if (r == 0)
		r = state_open_table(daemon->directory, daemon->started, daemon->boot_id,
			now, &daemon->core.table);
	if (r == 0)
		r = state_apply_blocks(daemon->core.table, daemon->core.blocks, now);
	return r;
}

/* From the table to a core that can judge, and whose loop we are on. */
static int start_core(struct daemon *daemon)
{
	struct core *core = &daemon->core;
	int r = core_refresh_own(core);

	if (r < 0)
		log_errno(LOG_WARNING, r,
			"cannot read the addresses of this host; a login is then refused as "
			"its own only where client and local address are equal");
	core->state = *table_get_state(core->table);
	r = sd_event_default(&core->event);
	if (r >= 0)
		r = add_signals(daemon);
	if (r >= 0)
		r = sd_event_set_watchdog(core->event, true);
	if (r >= 0)
		r = sd_event_add_time_relative(core->event, NULL, CLOCK_MONOTONIC,
			READY_SECONDS * USEC_PER_SEC, 0, on_ready_timeout, daemon);
	if (r >= 0)
		r = core_start(core, daemon->directory, daemon->boot_id);
	if (r >= 0)
		r = daemon_take_left(daemon);
	return r < 0 ? log_errno(LOG_ERR, r, "cannot start") : 0;
}

int daemon_start(struct daemon *daemon, const char *config_file, struct config *config)
{
	struct core *core = &daemon->core;
	struct moment now = clock_now();
	int r;

	*daemon = (struct daemon){
		.core.netlink = -1, .directory = -1, .lock = -1, .report_fd = -1};
	daemon->started = config_ref(config);
	core->config = config_ref(config);
	daemon->config_file = config_file;
	core->ready = tell_ready;
	core->left = on_left;
	core->daemon = daemon;
	umask(0077);
	if (geteuid() == 0)
		log_message(LOG_WARNING,
			"running as root, which dracd does not need: give it an account of its own");
	r = take_inherited(daemon);
	if (r >= 0)
		r = block_signals();
	if (r >= 0)
		r = open_state(daemon, now);
	if (r >= 0)
		r = start_core(daemon);
	if (r >= 0)
		r = open_all(daemon);
	if (r < 0)
		return r;
	(void)sd_notify(0, "STATUS=answering; the maps are being published");
	core_await_maps(core);
	return 0;
}

int daemon_run(struct daemon *daemon)
{
	return sd_event_loop(daemon->core.event);
}

void daemon_stop(struct daemon *daemon)
{
	bool withdrawn;
	int r = -ENOENT;

	(void)sd_notify(0, "STOPPING=1");
	daemon_take_lookups(daemon, &(struct lookup_set){0});
	server_close(daemon->control);
	server_close(daemon->report);
	guardian_tell_ending(&daemon->guardian);
	withdrawn = core_stop(&daemon->core);
	if (daemon->core.table)
		r = table_close(daemon->core.table);
	if (r == 0 && !daemon->core.has_failed)
		state_mark_clean(daemon->directory);
	daemon_unguard(daemon, withdrawn);
	sd_event_unref(daemon->core.event);
	config_unref(daemon->started);
	close_fd(&daemon->directory);
	close_fd(&daemon->lock);
	if (withdrawn)
		log_message(LOG_INFO,
			"stopped; leases are withdrawn from every lookup and map");
}
