/* Text files, a row a line: Exim's iplsearch and lsearch, Postfix' cidr: and texthash:,
 * and the pair of lists that cPanel made known.
 *
 * No reader takes a lock, and each reads from the beginning; so a change writes the whole
 * file.  A file is never empty, as an empty one looks like one that was lost: its first
 * line is a comment, which all readers skip. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maps/delta.h"
#include "maps/format.h"

#define FIRST_LINE "# kept by dracd: what is changed here by hand is lost\n"

/* struct map_format's variant: how a line looks. */
enum {
	LINE_KEY,        /* KEY */
	LINE_COLON,      /* KEY: VALUE */
	LINE_BLANK,      /* KEY VALUE */
	LINE_SHAPE = 3,  /* mask of these */
	LINE_QUOTES = 4, /* a key with a colon in it stands in double quotes */
};

struct text_writer {
	const struct map_format *format;
	FILE *file;
	int published; /* borrowed; -1: a rebuild */
	struct delta delta;
};

static int text_open(
	const struct map_format *format, const struct map_work *work, void **ret_writer)
{
	struct text_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return -ENOMEM;
	writer->format = format;
	writer->published = work->is_delta ? work->published : -1;
	writer->file = fopen(work->path, "we");
	if (!writer->file) {
		free(writer);
		return -errno;
	}
	/* no other thread has it */
	(void)__fsetlocking(writer->file, FSETLOCKING_BYCALLER);
	*ret_writer = writer;
	return 0;
}

static int text_put(void *pointer, struct map_bytes key, struct map_bytes value)
{
	struct text_writer *writer = pointer;

	if (writer->format->has_no_values)
		value.size = 0;
	return delta_add(&writer->delta, key, &value);
}

static int text_remove(void *pointer, struct map_bytes key)
{
	struct text_writer *writer = pointer;

	return delta_add(&writer->delta, key, NULL);
}

/* ---- lines ---- */

static int write_row(struct map_bytes key, struct map_bytes value, void *context)
{
	struct text_writer *writer = context;
	const int variant = writer->format->variant;
	const bool quoted = variant & LINE_QUOTES && memchr(key.data, ':', key.size);
	FILE *file = writer->file;

	/* stdio keeps the error until the file is closed */
	if (quoted)
		(void)fputc('"', file);
	(void)fwrite(key.data, 1, key.size, file);
	if (quoted)
		(void)fputc('"', file);
	if ((variant & LINE_SHAPE) != LINE_KEY) {
		(void)fputs((variant & LINE_SHAPE) == LINE_COLON ? ": " : " ", file);
		(void)fwrite(value.data, 1, value.size, file);
	}
	return fputc('\n', file) == EOF ? -errno : 0;
}

/* Ours are addresses. */
static bool is_key(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

/* Takes apart a line of ours, which ends with its newline. */
static int parse_line(const struct map_format *format, char *line, size_t length,
	struct map_bytes *ret_key, struct map_bytes *ret_value)
{
	static const char *const ends[] = {
		[LINE_KEY] = "\n", [LINE_COLON] = ": ", [LINE_BLANK] = " "};

	const char *end = ends[format->variant & LINE_SHAPE];
	const bool quoted = line[0] == '"';
	char *key = line + quoted, *after, *value;

	if (memchr(line, '\0', length) || line[length - 1] != '\n')
		return -EBADMSG;
	after = quoted ? strchr(key, '"') : strstr(key, end);
	if (!after || after == key || !is_key(key, (size_t)(after - key)))
		return -EBADMSG;
	value = after + quoted;
	if (strncmp(value, end, strlen(end)) != 0)
		return -EBADMSG;
	value += strlen(end);
	*ret_key = (struct map_bytes){key, (size_t)(after - key)};
	*ret_value = (struct map_bytes){"", 0};
	if (format->has_no_values)
		return 0;
	if (value + 1 >= line + length)
		return -EBADMSG;
	*ret_value = (struct map_bytes){value, (size_t)(line + length - 1 - value)};
	return 0;
}

static int text_scan(const struct map_format *format, const char *path,
	map_row_visit *visit, void *context)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int r = 0;

	if (!file)
		return -errno;
	(void)__fsetlocking(file, FSETLOCKING_BYCALLER);
	errno = 0;
	while (r == 0 && (length = getline(&line, &room, file)) > 0) {
		struct map_bytes key, value;

		if (line[0] == '#' || line[0] == '\n')
			continue;
		r = parse_line(format, line, (size_t)length, &key, &value);
		if (r == 0)
			r = visit(key, value, context);
	}
	if (r == 0 && !feof(file))
		r = errno ? -errno : -EIO;
	free(line);
	fclose(file);
	return r;
}

/* ---- the whole ---- */

static int write_file(struct text_writer *writer, struct map_counts *ret)
{
	struct delta_merge merge = {
		.delta = &writer->delta, .emit = write_row, .context = writer};
	char path[32];
	int r = 0;

	delta_sort(&writer->delta);
	(void)fputs(FIRST_LINE, writer->file);
	if (writer->published >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", writer->published);
		r = text_scan(writer->format, path, delta_pass, &merge);
	}
	if (r == 0)
		r = delta_rest(&merge);
	if (r == 0)
		*ret = merge.counts;
	return r;
}

static int close_writer(struct text_writer *writer)
{
	int failed = ferror(writer->file), r;

	errno = 0;
	r = fclose(writer->file) == EOF || failed ? (errno ? -errno : -EIO) : 0;
	delta_done(&writer->delta);
	free(writer);
	return r;
}

static int text_finish(void *pointer, struct map_counts *ret)
{
	struct text_writer *writer = pointer;
	struct map_counts counts = {0};
	int r = write_file(writer, &counts);
	int closed = close_writer(writer);

	if (r == 0 && closed == 0)
		*ret = counts;
	return r < 0 ? r : closed;
}

static void text_discard(void *pointer)
{
	(void)close_writer(pointer);
}

#define TEXT_FORMAT(line)                                                                \
	{                                                                                \
		.variant = (line), .style = MAP_REWRITES, .is_text = true,               \
		.first_line = FIRST_LINE,                                                \
		.has_no_values = ((line)&LINE_SHAPE) == LINE_KEY, .open = text_open,     \
		.put = text_put, .remove = text_remove, .finish = text_finish,           \
		.discard = text_discard, .scan = text_scan,                              \
	}

const struct map_format map_format_iplsearch = TEXT_FORMAT(LINE_KEY | LINE_QUOTES);
const struct map_format map_format_lsearch = TEXT_FORMAT(LINE_COLON);
const struct map_format map_format_cidr = TEXT_FORMAT(LINE_BLANK);
const struct map_format map_format_texthash = TEXT_FORMAT(LINE_BLANK);
const struct map_format map_format_relayhosts = TEXT_FORMAT(LINE_KEY | LINE_QUOTES);
const struct map_format map_format_relayhostsusers =
	TEXT_FORMAT(LINE_COLON | LINE_QUOTES);
