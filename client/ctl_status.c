/* dracctl status: the state of dracd, line by line as it comes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl_command.h"
#include "client/ctl_json.h"
#include "client/ctl_text.h"

static void print_dracd(const struct words *words)
{
	const char *state = ctl_value(words, "state", "unknown");
	char up[TEXT_SIZE];

	printf("dracd %s up %s   mode %s   ", ctl_value(words, "version", "?"),
		text_age(ctl_number(words, "up_ms"), up), ctl_value(words, "mode", "?"));
	for (const char *at = state; *at; at++)
		putchar(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
	putchar('\n');
}

static void print_leases(const struct words *words)
{
	char all[TEXT_SIZE], four[TEXT_SIZE], six[TEXT_SIZE], next[TEXT_SIZE];

	printf("leases    %s", text_count(ctl_number(words, "count"), all));
	if (ctl_number(words, "count") > 0)
		printf(" (%s IPv4, %s IPv6)", text_count(ctl_number(words, "ipv4"), four),
			text_count(ctl_number(words, "ipv6"), six));
	if (words_get(words, "next_end_ms"))
		printf(", next ends in %s",
			text_age(ctl_number(words, "next_end_ms"), next));
	printf("; limit %llu\n", ctl_number(words, "limit"));
}

/* " (private 2, never_lease 1)" */
static void print_refusals(const struct words *words)
{
	const char *before = " (";

	for (unsigned i = 1; i < words->count; i++) {
		const struct word *word = &words->word[i];

		if (strncmp(word->key, "refused_", 8) != 0 || !word->value)
			continue;
		printf("%s%s %s", before, word->key + 8, word->value);
		before = ", ";
	}
	if (before[0] == ',')
		putchar(')');
}

static void print_logins(const struct words *words)
{
	char granted[TEXT_SIZE], renewed[TEXT_SIZE], refused[TEXT_SIZE],
		errors[TEXT_SIZE], window[TEXT_SIZE];

	printf("logins    granted %s renewed %s refused %s",
		text_count(ctl_number(words, "granted"), granted),
		text_count(ctl_number(words, "renewed"), renewed),
		text_count(ctl_number(words, "refused"), refused));
	if (ctl_number(words, "errors") > 0)
		printf(" errors %s", text_count(ctl_number(words, "errors"), errors));
	printf(" in the last %s", text_age(ctl_number(words, "window_ms"), window));
	print_refusals(words);
	putchar('\n');
}

/* One that has limits, and leases: the gateway is not used everywhere. */
static void print_reporter(const struct words *words)
{
	char leases[TEXT_SIZE], limit[TEXT_SIZE], rate[TEXT_SIZE];

	if (ctl_number(words, "leases") == 0)
		return;
	printf("reporter  %s %s lease%s", ctl_value(words, "name", "?"),
		text_count(ctl_number(words, "leases"), leases),
		ctl_number(words, "leases") == 1 ? "" : "s");
	if (words_get(words, "limit"))
		printf("; limit %s", text_count(ctl_number(words, "limit"), limit));
	if (words_get(words, "max_rate"))
		printf("; %s logins a second",
			text_count(ctl_number(words, "max_rate"), rate));
	putchar('\n');
}

static void print_lookups(const struct words *words)
{
	char asked[TEXT_SIZE], permitted[TEXT_SIZE], window[TEXT_SIZE];

	printf("lookups   %s in the last %s, %s permitted\n",
		text_count(ctl_number(words, "asked"), asked),
		text_age(ctl_number(words, "window_ms"), window),
		text_count(ctl_number(words, "permitted"), permitted));
}

/* Which leases this lookup sees, if not all. */
static void print_view(const struct words *words)
{
	const char *services = ctl_value(words, "services", "");
	unsigned long long networks = ctl_number(words, "networks");
	char count[TEXT_SIZE];

	if (!*services && networks == 0)
		return;
	printf("; sees only");
	if (*services)
		printf(" %s", services);
	if (networks > 0)
		printf("%s in %s network%s", *services ? "" : " addresses",
			text_count(networks, count), networks == 1 ? "" : "s");
}

static void print_lookup(const struct words *words)
{
	unsigned long long connections = ctl_number(words, "connections");
	char count[TEXT_SIZE], asked[TEXT_SIZE], permitted[TEXT_SIZE];

	printf("lookup    %s %s %s, %s connection%s, asked %s, %s permitted",
		ctl_value(words, "name", "?"), ctl_value(words, "protocol", "?"),
		ctl_value(words, "path", "?"), text_count(connections, count),
		connections == 1 ? "" : "s",
		text_count(ctl_number(words, "asked"), asked),
		text_count(ctl_number(words, "permitted"), permitted));
	print_view(words);
	putchar('\n');
}

static void print_map(const struct words *words)
{
	printf("map       %s %s ", ctl_value(words, "name", "?"),
		ctl_value(words, "type", "?"));
	ctl_print_map_rows(words);
	if (words_get(words, "warning"))
		printf(", WARNING: %s", ctl_value(words, "warning", "unknown"));
	else if (strcmp(ctl_value(words, "state", "ok"), "ok") != 0)
		printf(", ERROR: %s", ctl_value(words, "error", "unknown"));
	putchar('\n');
}

static void print_warning(const struct words *words)
{
	printf("WARNING   %s\n", ctl_value(words, "text", "?"));
}

/* The data lines there are; lines of other verbs are of a later dracd and are skipped. */
static const struct section {
	const char *verb;
	bool is_list; /* may occur any number of times */
	void (*print)(const struct words *words);
} sections[] = {
	{"dracd", false, print_dracd},
	{"leases", false, print_leases},
	{"logins", false, print_logins},
	{"reporter", true, print_reporter},
	{"lookups", false, print_lookups},
	{"lookup", true, print_lookup},
	{"map", true, print_map},
	{"warning", true, print_warning},
};

static const struct section *find_section(const struct words *words)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (words_is(words, 0, sections[i].verb))
			return &sections[i];
	return NULL;
}

/* Has all members in their order: a list is there even if nothing is in it, and null what
 * dracd does not tell. */
static json_t *new_tree(void)
{
	json_t *tree = json_object();

	for (size_t i = 0; tree && i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (json_object_set_new(tree, sections[i].verb,
			    sections[i].is_list ? json_array() : json_null()) < 0) {
			json_decref(tree);
			return NULL;
		}
	}
	return tree;
}

static json_t *drop_tree(json_t *tree)
{
	json_decref(tree);
	return NULL;
}

static int add_to_tree(
	json_t *tree, const struct section *section, const struct words *words)
{
	json_t *object = ctl_json_object(words);

	if (section->is_list)
		return json_array_append_new(
			json_object_get(tree, section->verb), object);
	return json_object_set_new(tree, section->verb, object);
}

/* Reads and prints the answer.  Returns an enum control_line, the final one, or a
 * negative errno; *state becomes the exit status that fits the state dracd is in. */
static int print_sections(struct ctl_context *context, int *state)
{
	bool is_json = context->arguments->json;
	json_t *tree = is_json ? new_tree() : NULL;
	struct words words;
	int r;

	while ((r = control_next(context->control, &words)) == CONTROL_DATA) {
		const struct section *section = find_section(&words);

		if (!section)
			continue;
		if (words_is(&words, 0, "dracd"))
			*state = ctl_state_status(&words);
		if (!is_json)
			section->print(&words);
		else if (tree && add_to_tree(tree, section, &words) < 0)
			tree = drop_tree(tree);
	}
	if (r == CONTROL_OK && is_json)
		return ctl_json_print(tree) < 0 ? -EIO : r;
	drop_tree(tree);
	if (r == CONTROL_ERR || r == CONTROL_NO)
		(void)ctl_say_error(&words);
	return r;
}

int ctl_status(struct ctl_context *context)
{
	int state = CTL_NO_ANSWER, r;
	struct line line;

	line_init(&line, "status");
	if (control_ask(context->control, &line) < 0)
		return CTL_NO_ANSWER;
	r = print_sections(context, &state);
	return r == CONTROL_OK ? state : CTL_NO_ANSWER;
}
