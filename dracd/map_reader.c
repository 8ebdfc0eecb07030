#include "dracd/map_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/cleanup.h"
#include "dracd/clock.h"
#include "maps/mapread.h"

#define STEP_MSEC 50

enum {
	HEAD_SIZE = 2 * sizeof(uint32_t),
	/* the longest row, and as much again to read in larger pieces */
	BUFFER_SIZE = 2 * (HEAD_SIZE + 2 * MAPREAD_SIZE_MAX),
};

struct stream {
	const struct map_reader *reader;
	int from;
	char *data; /* BUFFER_SIZE */
	size_t length;
	char *key, *value; /* MAPREAD_SIZE_MAX + 1 each */
	bool has_end;
	uint32_t end; /* errno value of the child */
};

/* ---- the child ---- */

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

/* With nothing of our environment. */
static int spawn(const struct map_reader *reader, const char *path, int to, pid_t *ret)
{
	char name[] = MAPREAD_PROGRAM, type[32], *none[] = {NULL};
	char *arguments[] = {name, type, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	snprintf(type, sizeof(type), "%s", map_type_name(reader->type));
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = set_files(&actions, reader->file, to);
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

static int wait_child(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* ---- its output ---- */

static void visit(const struct stream *stream, const uint32_t sizes[2], const char *data)
{
	const struct map_reader_row row = {
		stream->key, stream->value, sizes[0], sizes[1]};

	memcpy(stream->key, data, sizes[0]);
	stream->key[sizes[0]] = '\0';
	memcpy(stream->value, data + sizes[0], sizes[1]);
	stream->value[sizes[1]] = '\0';
	stream->reader->visit(&row, stream->reader->context);
}

/* Takes the whole rows that are there.  -EPROTO: that is no such output. */
static int take_rows(struct stream *stream)
{
	size_t at = 0;

	while (stream->length - at >= HEAD_SIZE) {
		const char *data = stream->data + at + HEAD_SIZE;
		uint32_t sizes[2];

		memcpy(sizes, stream->data + at, HEAD_SIZE);
		if (stream->has_end)
			return -EPROTO;
		if (sizes[0] == MAPREAD_END) {
			stream->has_end = true;
			stream->end = sizes[1];
			at += HEAD_SIZE;
			continue;
		}
		if (sizes[0] > MAPREAD_SIZE_MAX || sizes[1] > MAPREAD_SIZE_MAX)
			return -EPROTO;
		if (stream->length - at - HEAD_SIZE < (size_t)sizes[0] + sizes[1])
			break;
		visit(stream, sizes, data);
		at += HEAD_SIZE + sizes[0] + sizes[1];
	}
	memmove(stream->data, stream->data + at, stream->length - at);
	stream->length -= at;
	return 0;
}

/* 0 at the end of the output, whole or not. */
static int read_all(struct stream *stream)
{
	const struct map_reader *reader = stream->reader;
	uint64_t until = clock_add(clock_now().boot_usec, reader->time_usec);
	struct pollfd output = {.fd = stream->from, .events = POLLIN};

	for (;;) {
		ssize_t got;
		int r;

		if (!reader->is_wanted(reader->context))
			return -ECANCELED;
		if (clock_now().boot_usec >= until)
			return -ETIMEDOUT;
		if (poll(&output, 1, STEP_MSEC) <= 0)
			continue;
		got = read(stream->from, stream->data + stream->length,
			BUFFER_SIZE - stream->length);
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		stream->length += (size_t)got;
		r = take_rows(stream);
		if (r < 0)
			return r;
	}
}

/* ---- the whole ---- */

static enum map_reader_end judge(const struct stream *stream, int r, int status,
	char text[static MAP_READER_TEXT_SIZE])
{
	if (r == -ECANCELED) {
		snprintf(text, MAP_READER_TEXT_SIZE, "something more urgent came");
		return MAP_READER_STOPPED;
	}
	if (r == -ETIMEDOUT)
		snprintf(text, MAP_READER_TEXT_SIZE, "the reader took longer than %d s",
			(int)(stream->reader->time_usec / USEC_PER_SEC));
	else if (r == 0 && stream->has_end && stream->length == 0 && stream->end == 0 &&
		 status == 0)
		return MAP_READER_WHOLE;
	else if (r == 0 && stream->has_end && stream->end > 0)
		snprintf(text, MAP_READER_TEXT_SIZE, "%s", strerror((int)stream->end));
	else if (WIFSIGNALED(status) && r == 0)
		snprintf(text, MAP_READER_TEXT_SIZE, "the reader died of signal %d",
			WTERMSIG(status));
	else
		snprintf(text, MAP_READER_TEXT_SIZE,
			"the reader said what is not understood");
	return MAP_READER_FAILED;
}

static const char *find_program(char path[static PATH_MAX])
{
	const char *directory = getenv("DRACD_LIBEXECDIR");

	snprintf(path, PATH_MAX, "%s/%s", directory ? directory : DRACD_LIBEXECDIR,
		MAPREAD_PROGRAM);
	return path;
}

static enum map_reader_end run(
	struct stream *stream, int ends[2], char text[static MAP_READER_TEXT_SIZE])
{
	char path[PATH_MAX];
	pid_t child;
	int r = spawn(stream->reader, find_program(path), ends[1], &child);

	close(ends[1]);
	ends[1] = -1;
	if (r < 0) {
		snprintf(text, MAP_READER_TEXT_SIZE, "%.100s: %s", path, strerror(-r));
		return MAP_READER_ABSENT;
	}
	r = read_all(stream);
	if (r < 0)
		(void)kill(child, SIGKILL);
	return judge(stream, r, wait_child(child), text);
}

enum map_reader_end map_reader_run(
	const struct map_reader *reader, char text[static MAP_READER_TEXT_SIZE])
{
	_cleanup_(free_pointer) char *data =
		malloc(BUFFER_SIZE + 2 * (MAPREAD_SIZE_MAX + 1));
	struct stream stream = {.reader = reader, .data = data};
	enum map_reader_end end;
	int ends[2];

	if (!data || pipe2(ends, O_CLOEXEC) < 0) {
		snprintf(text, MAP_READER_TEXT_SIZE, "%s", strerror(errno));
		return MAP_READER_ABSENT;
	}
	stream.key = data + BUFFER_SIZE;
	stream.value = stream.key + MAPREAD_SIZE_MAX + 1;
	stream.from = ends[0];
	end = run(&stream, ends, text);
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	return end;
}
