/* The state directory; what is done about it before the table may be trusted. */
#include "dracd/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/words.h"
#include "dracd/cleanup.h"
#include "dracd/file.h"
#include "dracd/log.h"
#include "dracd/store.h"

enum {
	MARKER_SIZE_MAX = 512,
	CHECK_SECONDS = 60,
	ASIDE_SIZE = 64,
	ASIDE_MAX = 1000,
	READERS_MAX = 126, /* LMDB's own default: loop, workers, and room */
};

static void format_id(const uint8_t id[16], char text[33])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

/* 1 if the machine stopped under a dracd that did not sync its commits, or what it left
 * is not understood; a negative errno if that cannot be told now. */
static int is_suspect(int directory, const uint8_t boot_id[16])
{
	_cleanup_(free_pointer) char *text = NULL;
	const char *problem, *durability, *boot;
	struct words words;
	char now[33];
	size_t length;
	int r;

	r = file_read(directory, STATE_MARKER, MARKER_SIZE_MAX, &text, &length);
	if (r == -ENOENT || r == -EFBIG)
		return r == -EFBIG;
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	format_id(boot_id, now);
	if (words_parse(text, strlen(text), &words, &problem) < 0)
		return 1;
	durability = words_get(&words, "durability");
	boot = words_get(&words, "boot");
	if (!durability || !boot)
		return 1;
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
	return file_replace(directory, STATE_MARKER, line.text, (size_t)length);
}

void state_mark_clean(int directory)
{
	if (unlinkat(directory, STATE_MARKER, 0) < 0 || fsync(directory) < 0)
		log_errno(LOG_WARNING, -errno, "cannot note a clean end, ignoring");
}

/* Renames table/ so that it can be looked at; the name tells when.  A machine without a
 * clock of its own may come here at the same second again. */
static int rename_aside(int directory, struct moment now, char ret_name[ASIDE_SIZE])
{
	const unsigned long long second = now.wall_usec / USEC_PER_SEC;

	snprintf(ret_name, ASIDE_SIZE, "table.aside-%llu", second);
	for (unsigned i = 2; renameat(directory, "table", directory, ret_name) < 0; i++) {
		if ((errno != ENOTEMPTY && errno != EEXIST) || i > ASIDE_MAX)
			return -1;
		snprintf(ret_name, ASIDE_SIZE, "table.aside-%llu.%u", second, i);
	}
	return fsync(directory);
}

static int move_aside(int directory, const char *why, struct moment now)
{
	char name[ASIDE_SIZE];

	if (rename_aside(directory, now, name) < 0)
		return log_errno(LOG_ERR, -errno, "table: cannot move it aside");
	log_message(LOG_ERR,
		"table: %s; moved aside as %s, starting with no lease (users log in again; "
		"remove it when you have looked at it)",
		why, name);
	return 0;
}

/* A dracd that died, or found no room, when it made the file has left it empty: that is
 * none yet. */
static bool table_exists(int directory)
{
	struct stat status;

	return fstatat(directory, "table/data.mdb", &status, 0) == 0 &&
	       status.st_size > 0;
}

/* *ret_found: there is a sound table, and *ret what was counted in it. */
static int check_table(int directory, const struct table_settings *settings,
	struct moment now, struct table_state *ret, bool *ret_found)
{
	int r;

	*ret_found = false;
	if (!table_exists(directory))
		return 0;
	r = is_suspect(directory, settings->boot_id);
	if (r < 0)
		return log_errno(LOG_ERR, r,
			"cannot read " STATE_MARKER
			" in the state directory, which tells whether the table is whole");
	if (r > 0)
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

/* What a dracd with durability = process has left in the kernel's memory: from here on
 * the marker says that the table survives the machine. */
static int sync_table(int directory)
{
	_cleanup_(close_fd) int file =
		openat(directory, "table/data.mdb", O_RDONLY | O_CLOEXEC);

	return file < 0 || fsync(file) < 0
		       ? log_errno(LOG_ERR, -errno, "table: cannot sync it")
		       : 0;
}

/* LMDB syncs what is in its file, but not that there is one: many file systems, but not
 * all, do that with it. */
static int sync_names(int directory)
{
	_cleanup_(close_fd) int table =
		openat(directory, "table", O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	return table < 0 || fsync(table) < 0 || fsync(directory) < 0 ? -errno : 0;
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
	struct table *table;
	bool is_counted;
	uint64_t dropped;
	int r;

	if (asprintf(&path, "%s/table", config->state_directory) < 0)
		return -ENOMEM;
	settings.directory = path;
	memcpy(settings.boot_id, boot_id, 16);
	r = check_table(directory, &settings, now, &counted, &is_counted);
	if (r == 0 && is_counted && config->durability != DURABILITY_PROCESS)
		r = sync_table(directory);
	if (r == 0)
		r = mark_running(directory, config, boot_id);
	if (r < 0)
		return r;
	r = table_open(&settings, is_counted ? &counted : NULL, now, &table, &dropped);
	if (r == -EUCLEAN) {
		r = move_aside(directory, "its format is unknown", now);
		if (r == 0)
			r = table_open(&settings, NULL, now, &table, &dropped);
	}
	if (r < 0)
		return log_errno(LOG_ERR, r, "table: cannot open %s", path);
	r = sync_names(directory);
	if (r < 0) {
		(void)table_close(table);
		return log_errno(LOG_ERR, r, "table: cannot sync the directory %s", path);
	}
	if (dropped > 0)
		log_message(LOG_INFO, "ended %llu leases reason=reboot",
			(unsigned long long)dropped);
	*ret = table;
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
