/*
 * From what stands in drac.conf to struct config.
 *
 * A bad value has been told of by config_parse.c, with its line.  Here its default, or
 * for a section nothing, takes its place, so that what must hold between the others is
 * checked as well and all is told at once; with any problem there is no configuration.
 */
#include "dracd/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/cleanup.h"
#include "dracd/config_internal.h"

enum {
	PROBLEMS_MAX = 1000
};

static void unref_config(struct config **config)
{
	config_unref(*config);
}

/* ---- problems ---- */

__attribute__((format(printf, 4, 0))) static void add_problem(struct problems *problems,
	bool is_warning, unsigned line, const char *format, va_list arguments)
{
	struct problem *grown;
	char *text;

	if (!is_warning)
		problems->errors++;
	if (problems->count >= PROBLEMS_MAX)
		return; /* enough to mend; the rest is told the next time */
	if (vasprintf(&text, format, arguments) < 0)
		return;
	grown = reallocarray(problems->items, problems->count + 1, sizeof(*grown));
	if (!grown) {
		free(text);
		return;
	}
	problems->items = grown;
	grown[problems->count++] =
		(struct problem){.is_warning = is_warning, .line = line, .text = text};
}

void problems_add(struct problems *problems, bool is_warning, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_problem(problems, is_warning, 0, format, arguments);
	va_end(arguments);
}

void problems_add_at(struct problems *problems, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_problem(problems, false, line, format, arguments);
	va_end(arguments);
}

void problems_done(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		free(problems->items[i].text);
	free(problems->items);
	*problems = (struct problems){0};
}

/* ---- what a configuration owns ---- */

static void done_text_list(struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
}

static void done_accounts(struct account_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].name);
	free(list->items);
}

void config_done_section(enum option_scope scope, void *section)
{
	if (scope == SCOPE_SERVICE) {
		free(((struct service_settings *)section)->name);
	} else if (scope == SCOPE_REPORTER) {
		free(((struct reporter_settings *)section)->name);
	} else if (scope == SCOPE_LOOKUP) {
		free(((struct lookup_settings *)section)->name);
		free(((struct lookup_settings *)section)->socket.path);
		done_text_list(&((struct lookup_settings *)section)->view.services);
		prefix_set_done(&((struct lookup_settings *)section)->view.networks);
	} else if (scope == SCOPE_MAP) {
		free(((struct map_config *)section)->name);
		free(((struct map_config *)section)->path);
		free(((struct map_config *)section)->file);
		free(((struct map_config *)section)->static_path);
		free(((struct map_config *)section)->value);
	}
}

void config_done(struct config *config)
{
	prefix_set_done(&config->lease_networks);
	prefix_set_done(&config->lease_special);
	prefix_set_done(&config->never_lease);
	prefix_set_done(&config->deny);
	done_text_list(&config->never_lease_users);
	done_accounts(&config->reporters);
	free(config->state_directory);
	free(config->report.path);
	free(config->control.path);
	for (size_t i = 0; i < config->service_count; i++)
		config_done_section(SCOPE_SERVICE, &config->services[i]);
	for (size_t i = 0; i < config->reporter_count; i++)
		config_done_section(SCOPE_REPORTER, &config->reporter_limits[i]);
	for (size_t i = 0; i < config->lookup_count; i++)
		config_done_section(SCOPE_LOOKUP, &config->lookups[i]);
	for (size_t i = 0; i < config->map_count; i++)
		config_done_section(SCOPE_MAP, &config->maps[i]);
	free(config->services);
	free(config->reporter_limits);
	free(config->lookups);
	free(config->maps);
}

/* ---- from text to struct config ---- */

/* Parses the elements of a default list, which stand between spaces. */
static const char *apply_fallback_list(const struct option *option, void *field)
{
	char text[128], *next = text, *element;
	const char *problem = NULL;

	snprintf(text, sizeof(text), "%s", option->fallback);
	while (!problem && (element = strsep(&next, " ")))
		if (*element)
			problem = option->parse(option, element, field);
	return problem;
}

static const char *apply_fallback(const struct option *option, void *field)
{
	if (!option->fallback)
		return "must be given";
	return option->is_list ? apply_fallback_list(option, field)
			       : option->parse(option, option->fallback, field);
}

/* Parses what was written.  False if a value of it is bad, which has been told. */
static bool apply_values(const struct option *option, cfg_t *cfg, void *field)
{
	for (unsigned n = 0; n < cfg_size(cfg, option->name); n++) {
		const char *text = cfg_getnstr(cfg, option->name, n);

		if (option->parse(option, text ? text : "", field))
			return false;
	}
	return true;
}

/* Fills all options of one scope into base; where names it for a message.  False if
 * something is bad. */
static bool apply_scope(enum option_scope scope, cfg_t *cfg, void *base,
	const char *where, struct problems *problems)
{
	bool good = true;

	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		void *field = (char *)base + option->offset;
		const char *problem = NULL;
		bool is_bad;

		if (option->scope != scope)
			continue;
		is_bad = !apply_values(option, cfg, field);
		if (is_bad || cfg_size(cfg, option->name) == 0)
			problem = apply_fallback(option, field);
		/* what was good when it was read, and is not now, has not been told, and
		 * no default may stand in for it */
		if (is_bad)
			problem = problems->errors == 0 ? "out of memory" : NULL;
		good = good && !is_bad && !problem;
		if (problem)
			problems_add(problems, false, "%s: %s: %s", where, option->name,
				problem);
	}
	return good;
}

/* Fills the array of one kind of section; one with something bad in it is left out. */
static int apply_sections(const struct source *source, enum option_scope scope,
	size_t size, void *ret_items, size_t *ret_count, struct problems *problems)
{
	const char *kind = option_scope_name(scope);
	unsigned count = cfg_size(source->cfg, kind);
	char *items = calloc(count + 1, size), place[PLACE_SIZE], where[PLACE_SIZE + 128];

	if (!items)
		return -ENOMEM;
	*(void **)ret_items = items;
	for (unsigned i = 0; i < count; i++) {
		cfg_t *section = cfg_getnsec(source->cfg, kind, i);
		void *item = items + *ret_count * size;

		/* the name is the first member of every section's struct */
		*(char **)item = strdup(cfg_title(section));
		if (!*(char **)item)
			return -ENOMEM;
		++*ret_count;
		snprintf(where, sizeof(where), "%s%s %s",
			source_place(source, scope, cfg_title(section), place), kind,
			cfg_title(section));
		if (apply_scope(scope, section, item, where, problems))
			continue;
		--*ret_count;
		config_done_section(scope, item);
		memset(item, 0, size);
	}
	return 0;
}

/* ---- the whole ---- */

static int build_config(
	const struct source *source, struct config *config, struct problems *problems)
{
	bool global_ok;
	int r;

	config->report.mode = config->control.mode = 0660;
	global_ok = apply_scope(SCOPE_GLOBAL, source->cfg, config, "drac.conf", problems);
	r = apply_sections(source, SCOPE_SERVICE, sizeof(*config->services),
		&config->services, &config->service_count, problems);
	if (r == 0)
		r = apply_sections(source, SCOPE_REPORTER,
			sizeof(*config->reporter_limits), &config->reporter_limits,
			&config->reporter_count, problems);
	if (r == 0)
		r = apply_sections(source, SCOPE_LOOKUP, sizeof(*config->lookups),
			&config->lookups, &config->lookup_count, problems);
	if (r == 0)
		r = apply_sections(source, SCOPE_MAP, sizeof(*config->maps),
			&config->maps, &config->map_count, problems);
	if (r == 0 && problems->errors == 0)
		r = config_add_defaults(config, problems);
	if (r == 0)
		r = config_name_files(config);
	if (r == 0)
		config_check(config, source, global_ok, problems);
	return r;
}

static int load_source(
	const struct source *source, struct config **ret, struct problems *problems)
{
	_cleanup_(unref_config) struct config *config = calloc(1, sizeof(*config));
	int r;

	if (!config)
		return -ENOMEM;
	config->references = 1;
	r = build_config(source, config, problems);
	if (r < 0)
		return r;
	if (problems->errors > 0)
		return -EINVAL;
	*ret = TAKE_PTR(config);
	return 0;
}

int config_load(const char *file, struct config **ret, struct problems *problems)
{
	struct source source;
	int r = source_read(file, &source, problems);

	if (r < 0)
		return r;
	r = load_source(&source, ret, problems);
	source_done(&source);
	return r;
}

/* Not told of without its name. */
static bool is_wrong(const struct problems *problems, const char *option)
{
	for (size_t i = 0; i < problems->count; i++)
		if (!problems->items[i].is_warning &&
			strstr(problems->items[i].text, option))
			return true;
	return false;
}

char *config_find_state(const char *file, bool *ret_is_sure)
{
	_cleanup_(unref_config) struct config *config = calloc(1, sizeof(*config));
	struct problems problems = {0};
	struct source source;
	char *found = NULL;

	*ret_is_sure = false;
	if (!config)
		return NULL;
	config->references = 1;
	if (source_read(file, &source, &problems) == 0) {
		(void)apply_scope(
			SCOPE_GLOBAL, source.cfg, config, "drac.conf", &problems);
		found = TAKE_PTR(config->state_directory);
		*ret_is_sure = !source.is_cut && !is_wrong(&problems, "state_directory");
		source_done(&source);
	}
	problems_done(&problems);
	return found;
}

struct config *config_ref(struct config *config)
{
	__atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
	return config;
}

struct config *config_unref(struct config *config)
{
	if (!config || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	config_done(config);
	free(config);
	return NULL;
}
