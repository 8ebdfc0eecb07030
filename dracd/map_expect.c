/* A sorted array over one block of text: a million rows take 50 MB, for a moment. */
#include "dracd/map_expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expected_row {
	size_t key, value; /* where they stand in the text */
	bool seen;
};

/* ---- what is expected ---- */

static int add_text(struct expect *expect, const char *text, size_t *ret)
{
	size_t size = strlen(text) + 1;

	if (expect->text_room - expect->length < size) {
		size_t room = expect->text_room * 2 + size + 4096;
		char *grown = realloc(expect->text, room);

		if (!grown)
			return -ENOMEM;
		expect->text = grown;
		expect->text_room = room;
	}
	*ret = expect->length;
	memcpy(expect->text + expect->length, text, size);
	expect->length += size;
	return 0;
}

/* Most rows have the value of the one before. */
static int add_value(struct expect *expect, const char *value, size_t *ret)
{
	if (expect->count > 0) {
		size_t last = expect->rows[expect->count - 1].value;

		if (strcmp(expect->text + last, value) == 0) {
			*ret = last;
			return 0;
		}
	}
	return add_text(expect, value, ret);
}

int expect_add(struct expect *expect, const char *key, const char *value)
{
	struct expected_row row = {0};
	int r;

	if (expect->count == expect->room) {
		size_t room = expect->room ? expect->room * 2 : 64;
		struct expected_row *grown =
			reallocarray(expect->rows, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		expect->rows = grown;
		expect->room = room;
	}
	r = add_value(expect, value, &row.value);
	if (r == 0)
		r = add_text(expect, key, &row.key);
	if (r == 0)
		expect->rows[expect->count++] = row;
	return r;
}

static int compare_rows(const void *a, const void *b, void *text)
{
	const struct expected_row *one = a, *other = b;
	int order = strcmp((char *)text + one->key, (char *)text + other->key);

	/* keys are added one behind the other */
	return order ? order : (one->key > other->key) - (one->key < other->key);
}

static void sort(struct expect *expect)
{
	size_t kept = 0;

	if (expect->count > 0)
		qsort_r(expect->rows, expect->count, sizeof(*expect->rows), compare_rows,
			expect->text);
	for (size_t i = 0; i < expect->count; i++) {
		const struct expected_row *row = &expect->rows[i];

		if (i + 1 < expect->count &&
			strcmp(expect->text + row->key, expect->text + row[1].key) == 0)
			continue;
		expect->rows[kept++] = *row;
	}
	expect->count = kept;
	expect->sorted = true;
}

/* ---- what is there ---- */

/* Key and value may be anything: it is a foreign file that they come from. */
static void append(struct expect *expect, const char *text)
{
	size_t length = strlen(expect->differences);

	for (; *text && length + 1 < sizeof(expect->differences); text++)
		expect->differences[length++] = *text > ' ' && *text < 0x7f ? *text : '?';
	expect->differences[length] = '\0';
}

static void name(struct expect *expect, const char *key, const char *what)
{
	size_t length;

	if (expect->named++ >= EXPECT_NAMED_MAX)
		return;
	length = strlen(expect->differences);
	snprintf(expect->differences + length, sizeof(expect->differences) - length, "%s",
		length ? ", " : "");
	append(expect, key);
	length = strlen(expect->differences);
	snprintf(expect->differences + length, sizeof(expect->differences) - length,
		" %s", what);
}

static struct expected_row *find_row(struct expect *expect, const char *key)
{
	size_t low = 0, high = expect->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(key, expect->text + expect->rows[middle].key);

		if (order == 0)
			return &expect->rows[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void expect_see(struct expect *expect, const char *key, const char *value)
{
	struct expected_row *row;

	if (!expect->sorted)
		sort(expect);
	expect->found++;
	row = find_row(expect, key);
	if (!row || row->seen) {
		expect->extra++;
		name(expect, key, row ? "is there twice" : "should not be there");
		return;
	}
	row->seen = true;
	if (expect->any_value || strcmp(value, expect->text + row->value) == 0)
		return;
	expect->wrong++;
	name(expect, key, "has another value");
}

bool expect_end(struct expect *expect)
{
	if (!expect->sorted)
		sort(expect);
	for (size_t i = 0; i < expect->count; i++)
		if (!expect->rows[i].seen) {
			expect->missing++;
			name(expect, expect->text + expect->rows[i].key, "is missing");
		}
	return expect->missing + expect->extra + expect->wrong == 0;
}

void expect_done(struct expect *expect)
{
	free(expect->rows);
	free(expect->text);
	*expect = (struct expect){0};
}
