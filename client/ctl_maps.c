/* dracctl maps: the map files, each with what it has come to. */
#include <stdio.h>
#include <string.h>

#include "client/ctl_command.h"
#include "client/ctl_json.h"
#include "client/ctl_text.h"

/* The exit status that fits what is said of a map. */
static int status_of(const struct words *words)
{
	int status = ctl_state_status(words);

	if (status == CTL_STATUS_OK &&
		strcmp(ctl_value(words, "verified", "same"), "same") != 0)
		return CTL_STATUS_WARNING;
	return status;
}

static void print_verified(const struct words *words)
{
	const char *verified = ctl_value(words, "verified", NULL);
	char rows[TEXT_SIZE];

	if (!verified)
		return;
	text_count(ctl_number(words, "rows"), rows);
	if (strcmp(verified, "same") == 0)
		printf("    verified: %s row%s as in the table\n", rows,
			ctl_number(words, "rows") == 1 ? "" : "s");
	else
		printf("    verified: %s: %s\n",
			strcmp(verified, "different") == 0    ? "DIFFERENT from the table"
			: strcmp(verified, "unreadable") == 0 ? "CANNOT BE READ"
							      : "not done",
			ctl_value(words, "verify_text", "?"));
}

void ctl_print_map_rows(const struct words *words)
{
	unsigned long long published_ago_ms, entries = ctl_number(words, "entries");
	char count[TEXT_SIZE], ago[TEXT_SIZE], pending[TEXT_SIZE];

	printf("%s %s, ", text_count(entries, count), entries == 1 ? "entry" : "entries");
	if (words_get_number(words, "published_ago_ms", &published_ago_ms) == 0)
		printf("published %s ago", text_age(published_ago_ms, ago));
	else
		printf("not published yet");
	printf(", pending %s", text_count(ctl_number(words, "pending"), pending));
}

/* "postfix: hash, 412 entries, published 3 s ago, pending 0, ok", its file, and what else
 * there is to say. */
static void print_map(const struct words *words)
{
	printf("%s: %s, ", ctl_value(words, "name", "?"), ctl_value(words, "type", "?"));
	ctl_print_map_rows(words);
	printf(", %s\n    %s\n", ctl_value(words, "state", "?"),
		ctl_value(words, "file", ctl_value(words, "path", "?")));
	if (words_get(words, "error"))
		printf("    ERROR: %s\n", ctl_value(words, "error", "unknown"));
	if (words_get(words, "warning"))
		printf("    WARNING: %s\n", ctl_value(words, "warning", "unknown"));
	print_verified(words);
}

/* What is neither data nor OK: maps has the exit statuses of status. */
static int give_up(struct ctl_context *context, int line, const struct words *words)
{
	if (line == CONTROL_NO)
		fprintf(stderr,
			"dracctl: there is no map %s: \"dracctl maps\" names them\n",
			context->arguments->map ? context->arguments->map : "");
	else if (line == CONTROL_ERR)
		(void)ctl_say_error(words);
	return CTL_NO_ANSWER;
}

static int finish(struct ctl_context *context, const struct words *words,
	unsigned long long count, int status)
{
	unsigned long long late = ctl_number(words, "maps_late");

	if (context->arguments->json)
		ctl_json_list_end(count);
	if (late == 0)
		return status;
	fprintf(stderr, "dracctl: %llu map%s not done that in time; see dracd's log\n",
		late, late == 1 ? " has" : "s have");
	return CTL_STATUS_CRITICAL;
}

int ctl_maps(struct ctl_context *context)
{
	const struct ctl_arguments *arguments = context->arguments;
	int r, status = CTL_STATUS_OK;
	unsigned long long count = 0;
	struct words words;
	struct line line;

	line_init(&line, "maps");
	if (arguments->map)
		line_add(&line, "name", arguments->map);
	if (arguments->rebuild)
		line_add(&line, "rebuild", "yes");
	if (arguments->verify)
		line_add(&line, "verify", "yes");
	if (control_ask(context->control, &line) < 0)
		return CTL_NO_ANSWER;
	while ((r = control_next(context->control, &words)) == CONTROL_DATA) {
		if (!words_is(&words, 0, "map"))
			continue;
		if (status_of(&words) > status)
			status = status_of(&words);
		if (!arguments->json)
			print_map(&words);
		else if (ctl_json_list_element(ctl_json_object(&words), &count) < 0)
			return CTL_NO_ANSWER;
	}
	if (r != CONTROL_OK)
		return give_up(context, r, &words);
	return finish(context, &words, count, status);
}
