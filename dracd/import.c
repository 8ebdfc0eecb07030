#include "dracd/import.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/drac_row.h"

/* Who has reported the login, in log and table. */
#define REPORTER "import-drac"

enum {
	/* Rows in the store at a time: one commit's worth, so that a sync is shared by
	 * many of them, and a login of someone else waits for one such commit at most. */
	FLYING_MAX = 256,
	READ_SIZE = 4096, /* of the pipe, per turn of the loop: some 100 rows */
};

struct import {
	struct import_settings settings; /* done NULL: it was cancelled */
	struct map_child_rows rows;
	int output; /* of the child; -1: closed */
	sd_event_source *readable;
	sd_event_source *child; /* owns the process */
	sd_event_source *turn;
	int read_result; /* of map_child_read() */
	int status;      /* of the child, as wait(2) tells it */
	bool is_read, has_ended;
	unsigned flying; /* rows that the core has */
	struct import_end end;
	char text[MAP_CHILD_TEXT_SIZE];
};

/* A row on its way through the core. */
struct flight {
	struct import *import;
	uint64_t row;
	char key[DRAC_ROW_TEXT_SIZE];
};

/* The child is killed, if it lives. */
static void stop_reading(struct import *import)
{
	import->readable = sd_event_source_disable_unref(import->readable);
	import->child = sd_event_source_disable_unref(import->child);
	if (import->output >= 0)
		close(import->output);
	import->output = -1;
	import->is_read = import->has_ended = true;
}

static void import_free(struct import *import)
{
	stop_reading(import);
	sd_event_source_disable_unref(import->turn);
	map_child_rows_done(&import->rows);
	free(import);
}

void import_cancel(struct import *import)
{
	stop_reading(import);
	import->turn = sd_event_source_disable_unref(import->turn);
	import->settings.done = NULL;
	if (import->flying == 0)
		import_free(import);
}

static void fail(struct import *import, const char *error, const char *text)
{
	if (import->end.error)
		return;
	import->end.error = error;
	import->end.text = text;
}

/* ---- rows ---- */

static void tell_left(struct import *import, const struct import_left *left)
{
	if (import->settings.done)
		import->settings.left(left, import->settings.context);
}

static void note_outcome(struct flight *flight, const struct outcome *outcome)
{
	struct import *import = flight->import;
	struct import_counts *counts = &import->end.counts;

	if (outcome->error < 0) {
		fail(import, "temporary", "a lease could not be stored; see dracd's log");
		stop_reading(import);
	} else if (outcome->reason != REASON_OK) {
		counts->refused[outcome->reason]++;
		tell_left(import, &(struct import_left){flight->row, flight->key,
					  .reason = outcome->reason});
	} else {
		++*(outcome->is_new ? &counts->granted : &counts->renewed);
	}
}

static void done_login(const struct outcome *outcome, void *context)
{
	struct flight *flight = context;
	struct import *import = flight->import;

	note_outcome(flight, outcome);
	free(flight);
	import->flying--;
	if (import->turn)
		(void)sd_event_source_set_enabled(import->turn, SD_EVENT_ONESHOT);
	else if (import->flying == 0)
		import_free(import);
}

static void grant(struct import *import, const struct map_child_row *row,
	const struct drac_row *decoded)
{
	struct flight *flight = calloc(1, sizeof(*flight));
	struct login login = {
		.address = decoded->address,
		.ttl_usec = decoded->left_usec,
		.reporter = REPORTER,
	};

	if (!flight) {
		fail(import, "temporary", "out of memory");
		return;
	}
	flight->import = import;
	flight->row = import->end.counts.rows;
	(void)drac_row_key_text(row, flight->key);
	import->flying++;
	core_login(import->settings.core, &login, false,
		&(struct login_reply){.done = done_login, .context = flight});
}

static void visit_row(const struct map_child_row *row, void *context)
{
	struct import *import = context;
	struct import_counts *counts = &import->end.counts;
	struct import_left left = {.row = ++counts->rows};
	char key[DRAC_ROW_TEXT_SIZE];
	struct drac_row decoded;
	int r;

	if (import->end.error)
		return;
	r = drac_row_decode(row, clock_now().wall_usec, &decoded, &left.problem);
	if (r == 0) {
		grant(import, row, &decoded);
	} else if (r == DRAC_ROW_EXPIRED) {
		counts->expired++;
	} else {
		counts->malformed++;
		left.key = drac_row_key_text(row, key);
		tell_left(import, &left);
	}
}

/* ---- steps ---- */

static void finish(struct import *import)
{
	struct import_settings settings = import->settings;
	struct import_end *end = &import->end;

	if (!end->error && map_child_judge(&import->rows, import->read_result,
				   import->status, import->text) < 0)
		fail(import, "file", import->text);
	settings.done(end, settings.context);
	import_free(import);
}

/* The loop's turn after something has come to an end. */
static int on_turn(sd_event_source *source, void *userdata)
{
	struct import *import = userdata;

	(void)source;
	if (import->is_read && import->has_ended && import->flying == 0)
		finish(import);
	else if (!import->is_read && import->flying < FLYING_MAX)
		(void)sd_event_source_set_enabled(import->readable, SD_EVENT_ON);
	return 0;
}

static void end_output(struct import *import, int r)
{
	import->is_read = true;
	import->read_result = r;
	if (r < 0 || import->end.error)
		stop_reading(import);
	else
		(void)sd_event_source_set_enabled(import->readable, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(import->turn, SD_EVENT_ONESHOT);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct import *import = userdata;
	int r;

	(void)events;
	r = map_child_read(&import->rows, fd, READ_SIZE, visit_row, import);
	if (r <= 0 || import->end.error)
		end_output(import, r);
	else if (import->flying >= FLYING_MAX)
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

static int on_ended(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	struct import *import = userdata;

	(void)source;
	import->has_ended = true;
	import->status = info->si_code == CLD_EXITED ? W_EXITCODE(info->si_status, 0)
						     : W_EXITCODE(0, info->si_status);
	(void)sd_event_source_set_enabled(import->turn, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- the start ---- */

/* NULL, or what is wrong with it. */
static const char *check_file(int file)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int seals = fcntl(file, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || (seals & wanted) != wanted || fstat(file, &status) < 0)
		return "the file must be handed over as sealed memory";
	return status.st_size > IMPORT_SIZE_MAX ? "the file has more than 256 MiB" : NULL;
}

static int find_type(int file, enum map_type *ret, char text[static MAP_CHILD_TEXT_SIZE])
{
	const char *problem = check_file(file);
	int r = problem ? -EINVAL : map_type_find(file, ret);

	if (r == -EOPNOTSUPP)
		problem = "this dracd was built without Berkeley DB";
	else if (!problem && r < 0)
		problem = "not a btree or hash file of Berkeley DB 2 or later";
	if (problem)
		snprintf(text, MAP_CHILD_TEXT_SIZE, "%s", problem);
	return r;
}

static int watch(struct import *import, pid_t child)
{
	sd_event *event = import->settings.core->event;
	int r = sd_event_add_child(
		event, &import->child, child, WEXITED, on_ended, import);

	if (r < 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
		return r;
	}
	r = sd_event_source_set_child_process_own(import->child, true);
	if (r >= 0)
		r = sd_event_add_io(event, &import->readable, import->output, EPOLLIN,
			on_readable, import);
	if (r >= 0)
		r = sd_event_add_defer(event, &import->turn, on_turn, import);
	if (r >= 0)
		r = sd_event_source_set_enabled(import->turn, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

static int run(struct import *import, char text[static MAP_CHILD_TEXT_SIZE])
{
	enum map_type type = MAP_BTREE;
	pid_t child;
	int r = find_type(import->settings.file, &type, text);

	if (r < 0)
		return r;
	r = map_child_start(type, import->settings.file, &child, &import->output, text);
	if (r < 0)
		return r;
	r = watch(import, child);
	if (r < 0)
		snprintf(text, MAP_CHILD_TEXT_SIZE, "%s", strerror(-r));
	return r;
}

int import_start(const struct import_settings *settings, struct import **ret,
	char text[static MAP_CHILD_TEXT_SIZE])
{
	struct import *import = calloc(1, sizeof(*import));
	int r;

	if (!import || map_child_rows_init(&import->rows) < 0) {
		free(import);
		snprintf(text, MAP_CHILD_TEXT_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	import->settings = *settings;
	import->output = -1;
	r = run(import, text);
	if (r < 0)
		import_free(import);
	else
		*ret = import;
	return r;
}
