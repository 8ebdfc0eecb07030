/* The state directory; what is done about it before the table may be trusted. */
#include "dracd/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/words.h"
#include "dracd/cleanup.h"
#include "dracd/file.h"
#include "dracd/log.h"
#include "dracd/store.h"

#define MARKER "running"

enum {
	MARKER_SIZE_MAX = 512,
	CHECK_SECONDS = 60,
	LOCK_TRIES =
		100, /* the guardian of a dracd that died may be at work: at most 5 s */
	LOCK_WAIT_USEC = 50000,
	READERS_MAX = 126, /* LMDB's own default: loop, workers, and room */
};

int state_open(const char *path, int *ret_directory, int *ret_lock)
{
	_cleanup_(close_fd) int directory = open(path, O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_fd) int lock = -1;

	if (directory < 0)
		return -errno;
	lock = openat(directory, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0)
		return -errno;
	for (unsigned tries = LOCK_TRIES; flock(lock, LOCK_EX | LOCK_NB) < 0; tries--) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (tries == 0)
			return -EBUSY;
		usleep(LOCK_WAIT_USEC);
	}
	file_sweep(directory, MARKER);
	file_sweep(directory, BLOCKS_FILE);
	*ret_directory = take_fd(&directory);
	*ret_lock = take_fd(&lock);
	return 0;
}

static void format_id(const uint8_t id[16], char text[33])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

/* True if the machine stopped under a dracd that did not sync its commits. */
static bool is_suspect(int directory, const uint8_t boot_id[16])
{
	_cleanup_(free_pointer) char *text = NULL;
	const char *problem, *durability, *boot;
	struct words words;
	char now[33];
	size_t length;
	int r;

	r = file_read(directory, MARKER, MARKER_SIZE_MAX, &text, &length);
	if (r < 0)
		return r != -ENOENT;
	text[strcspn(text, "\n")] = '\0';
	format_id(boot_id, now);
	if (words_parse(text, strlen(text), &words, &problem) < 0)
		return true;
	durability = words_get(&words, "durability");
	boot = words_get(&words, "boot");
	if (!durability || !boot)
		return true;
	return strcmp(durability, "process") == 0 && strcmp(boot, now) != 0;
}

static int mark_running(
	int directory, const struct config *config, const uint8_t boot_id[16])
{
	static const char *const names[] = {
		[DURABILITY_FULL] = "full",
		[DURABILITY_BATCH] = "batch",
		[DURABILITY_PROCESS] = "process",
	};
	struct line line;
	char boot[33];
	int length;

	format_id(boot_id, boot);
	line_init(&line, "running");
	line_add(&line, "durability", names[config->durability]);
	line_add(&line, "boot", boot);
	length = line_finish(&line);
	if (length < 0)
		return length;
	return file_replace(directory, MARKER, line.text, (size_t)length);
}

void state_mark_clean(int directory)
{
	if (unlinkat(directory, MARKER, 0) < 0 || fsync(directory) < 0)
		log_errno(LOG_WARNING, -errno, "cannot note a clean end, ignoring");
}

/* Renames table/ so that it can be looked at; the name tells when. */
static int move_aside(int directory, const char *why, struct moment now)
{
	char name[64];

	snprintf(name, sizeof(name), "table.aside-%llu",
		(unsigned long long)(now.wall_usec / USEC_PER_SEC));
	if (renameat(directory, "table", directory, name) < 0 || fsync(directory) < 0)
		return log_errno(LOG_ERR, -errno, "table: cannot move it aside");
	log_message(LOG_ERR,
		"table: %s; moved aside as %s, starting with no lease (users log in again; "
		"remove it when you have looked at it)",
		why, name);
	return 0;
}

static bool table_exists(int directory)
{
	return faccessat(directory, "table/data.mdb", F_OK, 0) == 0;
}

/* *ret_found: there is a sound table, and *ret what was counted in it. */
static int check_table(int directory, const struct table_settings *settings,
	struct moment now, struct table_state *ret, bool *ret_found)
{
	int r;

	*ret_found = false;
	if (!table_exists(directory))
		return 0;
	if (is_suspect(directory, settings->boot_id))
		return move_aside(directory,
			"the machine stopped while commits were not synced "
			"(durability = process)",
			now);
	r = table_check(settings, CHECK_SECONDS, ret);
	*ret_found = r == 0;
	if (r == -EUCLEAN)
		return move_aside(directory, "it is damaged", now);
	if (r < 0)
		log_errno(LOG_ERR, r, "table: cannot read it");
	return r;
}

int state_open_table(int directory, const struct config *config,
	const uint8_t boot_id[16], struct moment now, struct table **ret)
{
	_cleanup_(free_pointer) char *path = NULL;
	struct table_settings settings = {
		.durability = config->durability,
		.max_leases = config->max_leases,
		.max_readers = READERS_MAX,
		.feed_changes = config->map_count > 0,
		.feed_users = config_shows_users(config),
	};
	struct table_state counted;
	bool is_counted;
	uint64_t dropped;
	int r;

	if (asprintf(&path, "%s/table", config->state_directory) < 0)
		return -ENOMEM;
	settings.directory = path;
	memcpy(settings.boot_id, boot_id, 16);
	r = check_table(directory, &settings, now, &counted, &is_counted);
	if (r == 0)
		r = mark_running(directory, config, boot_id);
	if (r < 0)
		return r;
	r = table_open(&settings, is_counted ? &counted : NULL, now, ret, &dropped);
	if (r == -EUCLEAN) {
		r = move_aside(directory, "its format is unknown", now);
		if (r == 0)
			r = table_open(&settings, NULL, now, ret, &dropped);
	}
	if (r < 0)
		return log_errno(LOG_ERR, r, "table: cannot open %s", path);
	if (dropped > 0)
		log_message(LOG_INFO, "ended %llu leases reason=reboot",
			(unsigned long long)dropped);
	return 0;
}

int state_apply_blocks(
	struct table *table, const struct blocks *blocks, struct moment now)
{
	int r;

	if (blocks->count == 0)
		return 0;
	r = table_begin(table, now);
	for (size_t i = 0; i < blocks->count && r == 0; i++) {
		const struct block *block = &blocks->items[i];
		struct table_ended ended;

		if (block->until_boot_usec <= now.boot_usec)
			continue;
		r = block->is_user ? table_end_user(table, block->user, &ended)
				   : table_end_prefix(table, &block->address, &ended);
	}
	if (r == 0)
		return table_commit(table, true);
	table_abort(table);
	return log_errno(LOG_ERR, r, "table: cannot end the leases that are blocked");
}
