#include "dracd/map_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maps/mapread.h"

enum {
	HEAD_SIZE = 2 * sizeof(uint32_t),
	/* the longest row, and as much again to read in larger pieces */
	BUFFER_SIZE = 2 * (HEAD_SIZE + 2 * MAPREAD_SIZE_MAX),
};

/* ---- the start ---- */

static int set_files(posix_spawn_file_actions_t *actions, int file, int to)
{
	int r = posix_spawn_file_actions_adddup2(actions, file, STDIN_FILENO);

	return r ? r : posix_spawn_file_actions_adddup2(actions, to, STDOUT_FILENO);
}

/* Signals are blocked here in all threads. */
static int set_signals(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(
			attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return r;
}

/* ends: of the child, for reading and writing. */
static int spawn(const char *path, enum map_type map, int ends[2], pid_t *ret)
{
	char name[] = MAPREAD_PROGRAM, type[32], *none[] = {NULL};
	char *arguments[] = {name, type, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	snprintf(type, sizeof(type), "%s", map_type_name(map));
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = set_files(&actions, ends[0], ends[1]);
		if (r == 0)
			r = set_signals(&attributes);
		if (r == 0)
			r = posix_spawn(
				ret, path, &actions, &attributes, arguments, none);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static void find_program(char path[static PATH_MAX])
{
	const char *directory = getenv("DRACD_LIBEXECDIR");

	snprintf(path, PATH_MAX, "%s/%s", directory ? directory : DRACD_LIBEXECDIR,
		MAPREAD_PROGRAM);
}

int map_child_start(enum map_type type, int file, pid_t *ret_child, int *ret_output,
	char text[static MAP_CHILD_TEXT_SIZE])
{
	char path[PATH_MAX];
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		r = -errno;
		snprintf(text, MAP_CHILD_TEXT_SIZE, "%s", strerror(-r));
		return r;
	}
	find_program(path);
	r = spawn(path, type, (int[]){file, ends[1]}, ret_child);
	close(ends[1]);
	if (r < 0) {
		snprintf(text, MAP_CHILD_TEXT_SIZE, "%.100s: %s", path, strerror(-r));
		close(ends[0]);
		return r;
	}
	*ret_output = ends[0];
	return 0;
}

/* ---- its output ---- */

int map_child_rows_init(struct map_child_rows *rows)
{
	*rows = (struct map_child_rows){
		.data = malloc(BUFFER_SIZE + 2 * (MAPREAD_SIZE_MAX + 1))};
	if (!rows->data)
		return -ENOMEM;
	rows->key = rows->data + BUFFER_SIZE;
	rows->value = rows->key + MAPREAD_SIZE_MAX + 1;
	return 0;
}

void map_child_rows_done(struct map_child_rows *rows)
{
	free(rows->data);
	*rows = (struct map_child_rows){0};
}

static void visit_row(const struct map_child_rows *rows, const uint32_t sizes[2],
	const char *data, map_child_visit *visit, void *context)
{
	const struct map_child_row row = {rows->key, rows->value, sizes[0], sizes[1]};

	memcpy(rows->key, data, sizes[0]);
	rows->key[sizes[0]] = '\0';
	memcpy(rows->value, data + sizes[0], sizes[1]);
	rows->value[sizes[1]] = '\0';
	visit(&row, context);
}

/* Takes the whole rows that are there. */
static int take_rows(struct map_child_rows *rows, map_child_visit *visit, void *context)
{
	size_t at = 0;

	while (rows->length - at >= HEAD_SIZE) {
		const char *data = rows->data + at + HEAD_SIZE;
		uint32_t sizes[2];

		memcpy(sizes, rows->data + at, HEAD_SIZE);
		if (rows->has_end)
			return -EPROTO;
		if (sizes[0] == MAPREAD_END) {
			rows->has_end = true;
			rows->end = sizes[1];
			at += HEAD_SIZE;
			continue;
		}
		if (sizes[0] > MAPREAD_SIZE_MAX || sizes[1] > MAPREAD_SIZE_MAX)
			return -EPROTO;
		if (rows->length - at - HEAD_SIZE < (size_t)sizes[0] + sizes[1])
			break;
		visit_row(rows, sizes, data, visit, context);
		at += HEAD_SIZE + sizes[0] + sizes[1];
	}
	memmove(rows->data, rows->data + at, rows->length - at);
	rows->length -= at;
	return 0;
}

int map_child_read(struct map_child_rows *rows, int output, size_t size,
	map_child_visit *visit, void *context)
{
	size_t room = BUFFER_SIZE - rows->length;
	ssize_t got = read(output, rows->data + rows->length, size < room ? size : room);
	int r;

	if (got < 0)
		return -errno;
	rows->length += (size_t)got;
	r = take_rows(rows, visit, context);
	return r < 0 ? r : got > 0;
}

int map_child_judge(const struct map_child_rows *rows, int r, int status,
	char text[static MAP_CHILD_TEXT_SIZE])
{
	if (r == 0 && rows->has_end && rows->length == 0 && rows->end == 0 && status == 0)
		return 0;
	if (r == 0 && rows->has_end && rows->end > 0)
		snprintf(text, MAP_CHILD_TEXT_SIZE, "%s", strerror((int)rows->end));
	else if (r == 0 && WIFSIGNALED(status))
		snprintf(text, MAP_CHILD_TEXT_SIZE, "the reader died of signal %d",
			WTERMSIG(status));
	else
		snprintf(text, MAP_CHILD_TEXT_SIZE,
			"the reader said what is not understood");
	return -EBADMSG;
}
