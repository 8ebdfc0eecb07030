/* Reader of the administrator's access file, in makemap's language as makemap 8.17 was
 * seen to read it (makemap hash, no options):
 *
 *   - a line is at most 1022 octets; a longer one, comment or not, is an error;
 *   - an empty line and one that begins with '#' are skipped; any other line that begins
 *     with white space (space \t \n \v \f \r) is an error, so also one of blanks only,
 * and
 *     "\r" alone;
 *   - the key ends at the first white space; A-Z in it are lower-cased, octets above 127
 *     are neither changed nor white space; a key without a value is an error;
 *   - the value is all the rest of the line: inner and trailing blanks, a '\r', a '#',
 * quotes and backslashes belong to it, and there are no continuation lines;
 *   - a key that was there before is an error, even with the same value;
 *   - the last line needs no newline; an empty file is an empty map;
 *   - a NUL ends in "line too long", but is passed over in a last line without newline:
 * we refuse it everywhere. makemap goes on after an error and exits with 65, the map
 * lacking the line; we stop. */
#include "maps/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maps/refusals.h"

enum {
	FILE_SIZE_MAX = 64 << 20,
	LINE_LENGTH_MAX = 1022,
	ROWS_FIRST = 64,
};

struct row {
	const char *key; /* both point into access->text */
	const char *value;
	unsigned line;
};

struct access {
	char *text;       /* the file, cut into strings */
	struct row *rows; /* in the order of the file */
	size_t row_count;
	const struct row **by_key; /* the same rows, sorted */
	struct refusals *refusals;
};

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A file that changes while it is read may be half of what it shall be, without a trace
 * of that in its text: -EAGAIN. */
static int read_whole(int file, char **ret_text, size_t *ret_length)
{
	struct stat before, after;
	size_t length = 0;
	char *text;
	int r = 0;

	if (fstat(file, &before) < 0)
		return -errno;
	if (!S_ISREG(before.st_mode))
		return S_ISDIR(before.st_mode) ? -EISDIR : -EINVAL;
	if (before.st_size > FILE_SIZE_MAX)
		return -EFBIG;
	text = malloc((size_t)before.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (r == 0 && length < (size_t)before.st_size) {
		ssize_t n = read(file, text + length, (size_t)before.st_size - length);

		if (n > 0)
			length += (size_t)n;
		else if (n == 0)
			r = -EAGAIN;
		else if (errno != EINTR)
			r = -errno;
	}
	if (r == 0 && fstat(file, &after) < 0)
		r = -errno;
	if (r == 0 && (after.st_size != before.st_size ||
			      after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
			      after.st_mtim.tv_nsec != before.st_mtim.tv_nsec))
		r = -EAGAIN;
	if (r < 0) {
		free(text);
		return r;
	}
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

static int read_file(const char *path, char **ret_text, size_t *ret_length)
{
	/* O_NONBLOCK: a FIFO is refused, not waited for */
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (file < 0)
		return -errno;
	r = read_whole(file, ret_text, ret_length);
	close(file);
	return r;
}

/* Splits a line in place.  Returns NULL or what is wrong with it; a line without a row
 * leaves *ret->key NULL. */
static const char *parse_line(char *line, size_t length, struct row *ret)
{
	char *at = line;

	ret->key = NULL;
	if (memchr(line, '\0', length))
		return "NUL in the line";
	if (length > LINE_LENGTH_MAX)
		return "line longer than 1022 octets";
	if (*line == '\0' || *line == '#')
		return NULL;
	if (is_space(*line))
		return "white space before the key";
	for (; *at && !is_space(*at); at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	if (*at)
		*at++ = '\0';
	while (is_space(*at))
		at++;
	if (*at == '\0')
		return "key without a value";
	ret->key = line;
	ret->value = at;
	return NULL;
}

static int add_row(struct access *access, size_t *room, const struct row *row)
{
	if (access->row_count == *room) {
		size_t more = *room ? *room * 2 : ROWS_FIRST;
		struct row *rows = reallocarray(access->rows, more, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		access->rows = rows;
		*room = more;
	}
	access->rows[access->row_count++] = *row;
	return 0;
}

/* Stops at the first bad line, the rows before it being there. */
static int parse_text(
	struct access *access, size_t text_length, struct access_problem *ret_problem)
{
	char *next = access->text, *end = access->text + text_length;
	size_t room = 0;
	unsigned line = 0;

	while (next < end) {
		char *newline = memchr(next, '\n', (size_t)(end - next));
		char *stop = newline ? newline : end;
		struct row row = {0};
		const char *text;

		row.line = ++line;
		*stop = '\0';
		text = parse_line(next, (size_t)(stop - next), &row);
		if (text) {
			*ret_problem = (struct access_problem){line, text};
			return -EBADMSG;
		}
		if (row.key && add_row(access, &room, &row) < 0)
			return -ENOMEM;
		next = stop + 1;
	}
	return 0;
}

/* Equal keys in the order of their lines, so that the second of them is the duplicate. */
static int compare_rows(const void *a_pointer, const void *b_pointer)
{
	const struct row *a = *(const struct row *const *)a_pointer;
	const struct row *b = *(const struct row *const *)b_pointer;
	int order = strcmp(a->key, b->key);

	return order != 0 ? order : a->line < b->line ? -1 : a->line > b->line;
}

static int sort_rows(struct access *access)
{
	access->by_key = calloc(access->row_count + 1, sizeof(struct row *));
	if (!access->by_key)
		return -ENOMEM;
	for (size_t i = 0; i < access->row_count; i++)
		access->by_key[i] = &access->rows[i];
	qsort(access->by_key, access->row_count, sizeof(struct row *), compare_rows);
	return 0;
}

/* A duplicate counts if no other problem stands on an earlier line. */
static int find_duplicate(const struct access *access, struct access_problem *ret_problem)
{
	unsigned line = ret_problem->line;

	for (size_t i = 1; i < access->row_count; i++) {
		const struct row *row = access->by_key[i];

		if (strcmp(row->key, access->by_key[i - 1]->key) == 0 &&
			(line == 0 || row->line < line))
			line = row->line;
	}
	if (line == ret_problem->line)
		return 0;
	*ret_problem = (struct access_problem){line, "duplicate key"};
	return -EBADMSG;
}

static int parse(struct access *access, size_t length, struct access_problem *ret_problem)
{
	int parsed = parse_text(access, length, ret_problem);
	int r;

	if (parsed == -ENOMEM)
		return parsed;
	r = sort_rows(access);
	if (r == 0)
		r = find_duplicate(access, ret_problem);
	if (r == 0)
		r = parsed;
	if (r == 0)
		r = refusals_new(access, &access->refusals);
	return r;
}

int access_read(const char *path, struct access **ret, struct access_problem *ret_problem)
{
	struct access_problem problem = {0};
	struct access *access = calloc(1, sizeof(*access));
	size_t length = 0;
	int r;

	if (!access)
		return -ENOMEM;
	r = read_file(path, &access->text, &length);
	if (r == 0)
		r = parse(access, length, &problem);
	if (r == -EBADMSG)
		*ret_problem = problem;
	if (r < 0)
		access_free(access);
	else
		*ret = access;
	return r;
}

struct access *access_free(struct access *access)
{
	if (!access)
		return NULL;
	free(access->text);
	free(access->rows);
	free(access->by_key);
	refusals_free(access->refusals);
	free(access);
	return NULL;
}

size_t access_count(const struct access *access)
{
	return access->row_count;
}

static int compare_key(const void *key, const void *row_pointer)
{
	return strcmp(key, (*(const struct row *const *)row_pointer)->key);
}

const char *access_get(const struct access *access, const char *key)
{
	const struct row *const *row = bsearch(key, access->by_key, access->row_count,
		sizeof(struct row *), compare_key);

	return row ? (*row)->value : NULL;
}

void access_row(const struct access *access, size_t index, const char **ret_key,
	const char **ret_value)
{
	*ret_key = access->rows[index].key;
	*ret_value = access->rows[index].value;
}

bool access_refuses(const struct access *access, const struct in6_addr *address,
	unsigned prefix_length)
{
	return refusals_match(access->refusals, access, address, prefix_length);
}
