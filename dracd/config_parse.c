/*
 * Reading drac.conf with libconfuse.
 *
 * libconfuse 3.3 parses and tells us of each value by a callback; the callback checks the
 * value at once, while the line number is known.  Three of its habits are worked around:
 * its line count is wrong after a comment, so comments are blanked before it sees the
 * text; it gives up at the first unknown option, so that is told, blanked, and the text
 * parsed again; and its callbacks carry no pointer of ours, so a load in progress is
 * found in a thread-local.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/conf_text.h"
#include "dracd/cleanup.h"
#include "dracd/config_internal.h"
#include "dracd/file.h"

enum {
	CONFIG_SIZE_MAX = 1024 * 1024,
	UNKNOWN_MAX = 50, /* options told of in one file */
};

enum {
	FILE_CUT = 1, /* beside 0 and negative errnos */
};

struct loader {
	struct source *source;
	struct problems *problems;
	const char *file; /* being parsed */
	bool out_of_memory;
	char unknown[128]; /* option at which an attempt gave up; empty: it did not */
	int unknown_line;
};

static _Thread_local struct loader *loading;

/* ---- places ---- */

static struct place *find_place(
	const struct source *source, enum option_scope scope, const char *name)
{
	for (size_t i = 0; i < source->place_count; i++)
		if (source->places[i].scope == scope &&
			strcmp(source->places[i].name, name) == 0)
			return &source->places[i];
	return NULL;
}

/* One without a file; NULL: out of memory. */
static struct place *add_place(
	struct source *source, enum option_scope scope, const char *name)
{
	struct place *grown =
		reallocarray(source->places, source->place_count + 1, sizeof(*grown));
	char *copy = strdup(name);

	if (grown)
		source->places = grown;
	if (!grown || !copy) {
		free(copy);
		return NULL;
	}
	grown[source->place_count] = (struct place){.scope = scope, .name = copy};
	return &grown[source->place_count++];
}

/* Of an option the last place counts, as its value does; of a section its first value,
 * unless another of that name replaces it. */
static int note_place(
	struct loader *loader, enum option_scope scope, const char *name, cfg_t *cfg)
{
	struct source *source = loader->source;
	struct place *place = find_place(source, scope, name);
	char *file;

	if (place && scope != SCOPE_GLOBAL && place->section == cfg)
		return 0;
	if (!place)
		place = add_place(source, scope, name);
	file = place ? strdup(loader->file) : NULL;
	if (!file)
		return -ENOMEM;
	free(place->file);
	place->file = file;
	place->line = (unsigned)cfg->line;
	place->section = cfg;
	return 0;
}

const char *source_place(const struct source *source, enum option_scope scope,
	const char *name, char ret[PLACE_SIZE])
{
	const struct place *place = find_place(source, scope, name);

	ret[0] = '\0';
	if (place)
		snprintf(ret, PLACE_SIZE, "%s:%u: ", place->file, place->line);
	return ret;
}

void source_done(struct source *source)
{
	for (size_t i = 0; i < source->place_count; i++) {
		free(source->places[i].name);
		free(source->places[i].file);
	}
	free(source->places);
	if (source->cfg)
		cfg_free(source->cfg);
	*source = (struct source){0};
}

/* ---- libconfuse's callbacks ---- */

/* It gives up after this.  The format tells which error it is: there is no code. */
__attribute__((format(printf, 2, 0))) static void on_parse_error(
	cfg_t *cfg, const char *format, va_list arguments)
{
	_cleanup_(free_pointer) char *text = NULL;

	if (strcmp(format, "no such option '%s'") == 0) {
		vsnprintf(loading->unknown, sizeof(loading->unknown), "%s", arguments);
		loading->unknown_line = cfg->line;
		return;
	}
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	problems_add_at(loading->problems, (unsigned)cfg->line, "%s:%d: %s",
		loading->file, cfg->line, text ? text : "syntax error");
}

static enum option_scope scope_of(cfg_t *cfg)
{
	for (unsigned scope = SCOPE_GLOBAL + 1; scope < SCOPE_COUNT; scope++)
		if (strcmp(cfg_name(cfg), option_scope_name(scope)) == 0)
			return scope;
	return SCOPE_GLOBAL;
}

static const struct option *find_option(enum option_scope scope, const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (options[i].scope == scope && strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* Checks one value by parsing it into a place that is thrown away. */
static const char *check_value(const struct option *option, const char *text)
{
	union {
		struct config config;
		struct service_settings service;
		struct reporter_settings reporter;
		struct lookup_settings lookup;
		struct map_config map;
	} scratch = {0};

	const char *problem;

	problem = option->parse(option, text, (char *)&scratch + option->offset);
	if (option->scope == SCOPE_GLOBAL)
		config_done(&scratch.config);
	else
		config_done_section(option->scope, &scratch);
	return problem;
}

static bool is_told(const struct problems *problems, const char *text)
{
	for (size_t i = 0; i < problems->count; i++)
		if (strcmp(problems->items[i].text, text) == 0)
			return true;
	return false;
}

/* Called when a value was read; of a list also once more at its end, so the last element
 * is checked twice. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	enum option_scope scope = scope_of(cfg);
	const struct option *option = find_option(scope, cfg_opt_name(opt));
	unsigned count = cfg_opt_size(opt);
	_cleanup_(free_pointer) char *text = NULL;
	const char *problem, *value;

	if (!option || count == 0)
		return 0;
	if (note_place(loading, scope,
		    scope == SCOPE_GLOBAL ? option->name : cfg_title(cfg), cfg) < 0)
		loading->out_of_memory = true;
	value = cfg_opt_getnstr(opt, count - 1);
	problem = check_value(option, value ? value : "");
	if (!problem)
		return 0;
	if (asprintf(&text, "%s:%d: %s = %.100s: %s", loading->file, cfg->line,
		    option->name, value ? value : "", problem) < 0)
		text = NULL;
	if (!text || !is_told(loading->problems, text))
		problems_add_at(loading->problems, (unsigned)cfg->line, "%s",
			text ? text : problem);
	return 0;
}

/* ---- what libconfuse is told of the options ---- */

/* Its description of one scope, ended by CFG_END; sections come from below. */
static void describe_scope(enum option_scope scope, cfg_opt_t *opts)
{
	for (size_t i = 0; i < option_count; i++) {
		if (options[i].scope != scope)
			continue;
		if (options[i].is_list)
			*opts++ = (cfg_opt_t)CFG_STR_LIST(
				options[i].name, NULL, CFGF_NODEFAULT);
		else
			*opts++ =
				(cfg_opt_t)CFG_STR(options[i].name, NULL, CFGF_NODEFAULT);
	}
	*opts = (cfg_opt_t)CFG_END();
}

static cfg_t *describe_file(void)
{
	enum {
		OPTIONS_MAX = 64
	};

	cfg_opt_t scopes[SCOPE_COUNT][OPTIONS_MAX], *end = scopes[SCOPE_GLOBAL];
	char path[64];
	cfg_t *cfg;

	for (unsigned scope = 0; scope < SCOPE_COUNT; scope++)
		describe_scope(scope, scopes[scope]);
	while (end->name)
		end++;
	for (unsigned scope = SCOPE_GLOBAL + 1; scope < SCOPE_COUNT; scope++)
		*end++ = (cfg_opt_t)CFG_SEC(
			option_scope_name(scope), scopes[scope], CFGF_MULTI | CFGF_TITLE);
	*end = (cfg_opt_t)CFG_END();
	cfg = cfg_init(scopes[SCOPE_GLOBAL], CFGF_NONE);
	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, on_parse_error);
	for (size_t i = 0; i < option_count; i++) {
		const char *section = option_scope_name(options[i].scope);

		snprintf(path, sizeof(path), "%s%s%s", section ? section : "",
			section ? "|" : "", options[i].name);
		cfg_set_validate_func(cfg, path, on_value);
	}
	return cfg;
}

/* ---- blanking what libconfuse shall not see ---- */

/* Overwrites the statement with this name on that line.  False if it is not found. */
static bool blank_statement(char *text, int line, const char *name)
{
	size_t length = strlen(name);
	char *at = text, *end;

	for (int i = 1; i < line && at; i++) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at || length == 0)
		return false;
	end = at + strcspn(at, "\n");
	for (; (at = strstr(at, name)) && at < end; at++) {
		bool quoted = at > text && (at[-1] == '"' || at[-1] == '\'') &&
			      at[length] == at[-1];

		if ((at > text && conf_is_name(at[-1])) || conf_is_name(at[length]))
			continue;
		conf_blank(at - quoted, conf_skip_statement(at + length + quoted));
		return true;
	}
	return false;
}

/* ---- files ---- */

static void forget_problems(struct problems *problems, size_t first)
{
	while (problems->count > first) {
		struct problem *last = &problems->items[--problems->count];

		if (!last->is_warning)
			problems->errors--;
		free(last->text);
	}
}

/* Those from first on, in the order of their lines. */
static void sort_problems(struct problems *problems, size_t first)
{
	struct problem *items = problems->items;

	for (size_t i = first + 1; i < problems->count; i++)
		for (size_t j = i; j > first && items[j - 1].line > items[j].line; j--) {
			struct problem other = items[j];

			items[j] = items[j - 1];
			items[j - 1] = other;
		}
}

/* Parses the text until nothing in it is unknown any more; each attempt finds again what
 * the one before it has found, so that is forgotten. */
static int parse_text(struct loader *loader, char *text)
{
	struct problems *problems = loader->problems;
	size_t start = problems->count, told = 0;
	bool again = true;
	int r = CFG_SUCCESS;

	while (again) {
		size_t errors = problems->errors;

		loader->unknown[0] = '\0';
		loading = loader;
		r = cfg_parse_buf(loader->source->cfg, text);
		loading = NULL;
		if (loader->out_of_memory)
			return -ENOMEM;
		/* at an empty name it gives up without a word */
		if (r != CFG_SUCCESS && !loader->unknown[0] && problems->errors == errors)
			problems_add_at(problems, (unsigned)loader->source->cfg->line,
				"%s:%d: an option without a name", loader->file,
				loader->source->cfg->line);
		if (!loader->unknown[0])
			break;
		again = told < UNKNOWN_MAX &&
			blank_statement(text, loader->unknown_line, loader->unknown);
		if (again)
			forget_problems(problems, start + told);
		problems_add_at(problems, (unsigned)loader->unknown_line,
			"%s:%d: unknown option '%s'; see drac.conf(5)", loader->file,
			loader->unknown_line, loader->unknown);
		told++;
	}
	sort_problems(problems, start);
	return r == CFG_SUCCESS ? 0 : FILE_CUT;
}

/* FILE_CUT: with errors, and what stands in the rest of it is unknown. */
static int parse_file(struct loader *loader)
{
	_cleanup_(free_pointer) char *text = NULL;
	size_t length;
	int r;

	r = file_read(AT_FDCWD, loader->file, CONFIG_SIZE_MAX, &text, &length);
	if (r < 0) {
		problems_add(
			loader->problems, false, "%s: %s", loader->file, strerror(-r));
		return r == -ENOMEM ? r : FILE_CUT;
	}
	if (strlen(text) != length) {
		problems_add(loader->problems, false, "%s: a NUL octet is in the file",
			loader->file);
		return FILE_CUT;
	}
	if (!conf_blank_comments(text)) {
		problems_add(loader->problems, false, "%s: a comment has no end",
			loader->file);
		return FILE_CUT;
	}
	if (!conf_select_section(text, CONF_RPC_SECTION, false)) {
		problems_add(loader->problems, false,
			"%s: section " CONF_RPC_SECTION " has no end", loader->file);
		return FILE_CUT;
	}
	return parse_text(loader, text);
}

static int parse_files(struct loader *loader)
{
	_cleanup_(free_pointer) char *pattern = NULL;
	glob_t found;
	int r;

	if (asprintf(&pattern, "%s.d/*.conf", loader->file) < 0)
		return -ENOMEM;
	r = parse_file(loader);
	if (r < 0)
		return r;
	loader->source->is_cut = r == FILE_CUT;
	r = glob(pattern, 0, NULL, &found);
	if (r == GLOB_NOMATCH)
		return 0;
	if (r != 0)
		return r == GLOB_NOSPACE ? -ENOMEM : -EIO;
	for (size_t i = 0; i < found.gl_pathc && r >= 0; i++) {
		loader->file = found.gl_pathv[i];
		r = parse_file(loader);
		if (r == FILE_CUT)
			loader->source->is_cut = true;
	}
	globfree(&found);
	return r < 0 ? r : 0;
}

int source_read(const char *file, struct source *ret, struct problems *problems)
{
	struct source source = {.cfg = describe_file()};
	struct loader loader = {.source = &source, .problems = problems, .file = file};
	int r = source.cfg ? parse_files(&loader) : -ENOMEM;

	if (r < 0)
		source_done(&source);
	else
		*ret = source;
	return r;
}
