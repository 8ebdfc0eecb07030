#include "dracd/map_reader.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/clock.h"

#define STEP_MSEC 50

enum {
	READ_SIZE = 128 * 1024,
};

/* 0 at the end of the output, whole or not. */
static int read_all(
	const struct map_reader *reader, struct map_child_rows *rows, int output)
{
	uint64_t until = clock_add(clock_now().boot_usec, reader->time_usec);
	struct pollfd wanted = {.fd = output, .events = POLLIN};

	for (;;) {
		int r;

		if (!reader->is_wanted(reader->context))
			return -ECANCELED;
		if (clock_now().boot_usec >= until)
			return -ETIMEDOUT;
		if (poll(&wanted, 1, STEP_MSEC) <= 0)
			continue;
		r = map_child_read(
			rows, output, READ_SIZE, reader->visit, reader->context);
		if (r <= 0)
			return r;
	}
}

static int wait_child(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static enum map_reader_end judge(const struct map_reader *reader,
	const struct map_child_rows *rows, int r, int status,
	char text[static MAP_CHILD_TEXT_SIZE])
{
	if (r == -ECANCELED) {
		snprintf(text, MAP_CHILD_TEXT_SIZE, "something more urgent came");
		return MAP_READER_STOPPED;
	}
	if (r == -ETIMEDOUT) {
		snprintf(text, MAP_CHILD_TEXT_SIZE, "the reader took longer than %d s",
			(int)(reader->time_usec / USEC_PER_SEC));
		return MAP_READER_FAILED;
	}
	return map_child_judge(rows, r, status, text) < 0 ? MAP_READER_FAILED
							  : MAP_READER_WHOLE;
}

static enum map_reader_end run(const struct map_reader *reader,
	struct map_child_rows *rows, char text[static MAP_CHILD_TEXT_SIZE])
{
	pid_t child;
	int output, r;

	r = map_child_start(reader->type, reader->file, &child, &output, text);
	if (r < 0)
		return MAP_READER_ABSENT;
	r = read_all(reader, rows, output);
	if (r < 0)
		(void)kill(child, SIGKILL);
	close(output);
	return judge(reader, rows, r, wait_child(child), text);
}

enum map_reader_end map_reader_run(
	const struct map_reader *reader, char text[static MAP_CHILD_TEXT_SIZE])
{
	struct map_child_rows rows;
	enum map_reader_end end;

	if (map_child_rows_init(&rows) < 0) {
		snprintf(text, MAP_CHILD_TEXT_SIZE, "%s", strerror(ENOMEM));
		return MAP_READER_ABSENT;
	}
	end = run(reader, &rows, text);
	map_child_rows_done(&rows);
	return end;
}
