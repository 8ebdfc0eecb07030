/*
 * dracctl list and dracctl blocks.
 *
 * The columns take their widths from the first rows, which are held back until there are
 * enough of them; whatever follows is printed as it comes, so that a million leases take
 * no more memory than a hundred.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl_command.h"
#include "client/ctl_json.h"
#include "client/ctl_text.h"

enum {
	COLUMNS_MAX = 6,
	CELL_SIZE = 288, /* a user name and what goes with it */
	ROWS_HELD = 100,
};

struct column {
	const char *title;
	int width; /* at least; the last column has none */
	bool to_right;
};

struct row {
	char cells[COLUMNS_MAX][CELL_SIZE];
};

struct table {
	const char *verb; /* of the lines that are rows */
	void (*fill)(const struct words *words, time_t now, struct row *row);
	struct column columns[COLUMNS_MAX];
	int column_count;
	unsigned held;    /* rows[0 .. held) are to be printed */
	bool streaming;   /* the widths are fixed, nothing is held */
	struct row *rows; /* [ROWS_HELD] */
};

/* How many columns text takes on a terminal, roughly: combining and wide characters count
 * as one. */
static int display_width(const char *text)
{
	int width = 0;

	for (const char *at = text; *at; at++)
		width += ((unsigned char)*at & 0xc0) != 0x80;
	return width;
}

static void print_cell(const struct table *table, int i, const char *text)
{
	const struct column *column = &table->columns[i];
	int missing = column->width - display_width(text);
	bool last = i + 1 == table->column_count;

	if (missing > 0 && column->to_right)
		printf("%*s", missing, "");
	fputs(text, stdout);
	if (missing > 0 && !column->to_right && !last)
		printf("%*s", missing, "");
	fputs(last ? "\n" : "  ", stdout);
}

static void print_row(const struct table *table, const struct row *row)
{
	for (int i = 0; i < table->column_count; i++)
		print_cell(table, i, row->cells[i]);
}

/* Prints the titles and what is held. */
static void flush_table(struct table *table)
{
	if (table->streaming || table->held == 0)
		return;
	for (unsigned n = 0; n < table->held; n++)
		for (int i = 0; i < table->column_count; i++) {
			int width = display_width(table->rows[n].cells[i]);

			if (width > table->columns[i].width)
				table->columns[i].width = width;
		}
	for (int i = 0; i < table->column_count; i++)
		print_cell(table, i, table->columns[i].title);
	for (unsigned n = 0; n < table->held; n++)
		print_row(table, &table->rows[n]);
	table->streaming = true;
	table->held = 0;
}

/* Takes the row that the caller has filled: rows[held]. */
static void add_row(struct table *table)
{
	if (table->streaming) {
		print_row(table, &table->rows[0]);
		return;
	}
	if (++table->held == ROWS_HELD)
		flush_table(table);
}

static void fill_lease(const struct words *words, time_t now, struct row *row)
{
	unsigned long long users = ctl_number(words, "users");
	const char *user = ctl_value(words, "user", "-");
	char text[TEXT_SIZE];

	snprintf(row->cells[0], CELL_SIZE, "%s", ctl_value(words, "address", "?"));
	snprintf(row->cells[1], CELL_SIZE, "%s",
		text_span(ctl_number(words, "left_ms"), text));
	if (users > 1)
		snprintf(row->cells[2], CELL_SIZE, "%s +%llu", user, users - 1);
	else
		snprintf(row->cells[2], CELL_SIZE, "%s", user);
	snprintf(row->cells[3], CELL_SIZE, "%s", ctl_value(words, "service", "-"));
	snprintf(row->cells[4], CELL_SIZE, "%llu", ctl_number(words, "logins"));
	snprintf(row->cells[5], CELL_SIZE, "%s",
		text_time(ctl_number(words, "granted_ms"), now, text));
}

static void fill_block(const struct words *words, time_t now, struct row *row)
{
	char text[TEXT_SIZE];

	snprintf(row->cells[0], CELL_SIZE, "%s",
		ctl_value(words, "address", ctl_value(words, "user", "?")));
	if (words_get(words, "until_ms"))
		snprintf(row->cells[1], CELL_SIZE, "%s",
			text_minute_up(ctl_number(words, "until_ms"), now, text));
	else
		snprintf(row->cells[1], CELL_SIZE, "unblocked");
	snprintf(row->cells[2], CELL_SIZE, "%s", ctl_value(words, "text", ""));
}

/* Asks, prints the data lines that have the verb of the table, returns an exit status. */
static int print_answer(
	struct ctl_context *context, struct line *request, struct table *table)
{
	unsigned long long count = 0;
	struct words words;
	int r = control_ask(context->control, request);

	if (r < 0)
		return ctl_failed(r);
	while ((r = control_next(context->control, &words)) == CONTROL_DATA) {
		if (!words_is(&words, 0, table->verb))
			continue;
		if (!context->arguments->json) {
			table->fill(&words, context->now, &table->rows[table->held]);
			add_row(table);
		} else if (ctl_json_list_element(ctl_json_object(&words), &count) < 0) {
			return CTL_NO_ANSWER;
		}
	}
	flush_table(table);
	if (r < 0)
		return CTL_NO_ANSWER;
	if (r != CONTROL_OK)
		return ctl_say_error(&words);
	if (context->arguments->json)
		ctl_json_list_end(count);
	return CTL_DONE;
}

static int print_table(
	struct ctl_context *context, struct line *request, struct table *table)
{
	int status;

	table->rows = calloc(ROWS_HELD, sizeof(struct row));
	if (!table->rows) {
		fputs("dracctl: out of memory\n", stderr);
		return CTL_NO_ANSWER;
	}
	status = print_answer(context, request, table);
	free(table->rows);
	return status;
}

int ctl_list(struct ctl_context *context)
{
	const struct ctl_arguments *arguments = context->arguments;
	struct table table = {
		.verb = "lease",
		.fill = fill_lease,
		.columns = {{"ADDRESS", 18, false}, {"ENDS IN", 7, true},
			{"USERS", 17, false}, {"SERVICE", 7, false}, {"LOGINS", 6, true},
			{"SINCE", 0, false}},
		.column_count = 6,
	};
	struct line line;

	line_init(&line, "list");
	if (arguments->user)
		line_add(&line, "user", arguments->user);
	if (arguments->service)
		line_add(&line, "service", arguments->service);
	if (arguments->has_expiring)
		line_add_number(&line, "expiring_ms", arguments->expiring_ms);
	return print_table(context, &line, &table);
}

int ctl_blocks(struct ctl_context *context)
{
	struct table table = {
		.verb = "block",
		.fill = fill_block,
		.columns = {{"ADDRESS OR USER", 18, false}, {"UNTIL", 9, false},
			{"REASON", 0, false}},
		.column_count = 3,
	};
	struct line line;

	line_init(&line, "blocks");
	return print_table(context, &line, &table);
}
