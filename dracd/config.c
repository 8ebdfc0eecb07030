/*
 * Reading drac.conf with libconfuse.
 *
 * libconfuse 3.3 parses and tells us of each value by a callback; the callback checks the
 * value at once, while the line number is known.  Two of its habits are worked around:
 * its line count is wrong after a comment, so comments are blanked before it sees the
 * text; and its callbacks carry no pointer of ours, so a load in progress is found in a
 * thread-local.
 */
#include "dracd/config.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dracd/cleanup.h"
#include "dracd/clock.h"
#include "dracd/config_internal.h"
#include "dracd/file.h"
#include "dracd/option.h"

enum {
	CONFIG_SIZE_MAX = 1024 * 1024
};

struct loader {
	const char *file; /* being parsed */
	struct problems *problems;
};

static _Thread_local struct loader *loading;

static void unref_config(struct config **config)
{
	config_unref(*config);
}

/* ---- problems ---- */

void problems_add(struct problems *problems, bool is_warning, const char *format, ...)
{
	struct problem *grown;
	va_list arguments;
	char *text;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (!is_warning)
		problems->errors++;
	if (r < 0)
		return;
	grown = reallocarray(problems->items, problems->count + 1, sizeof(*grown));
	if (!grown) {
		free(text);
		return;
	}
	problems->items = grown;
	grown[problems->count++] =
		(struct problem){.is_warning = is_warning, .text = text};
}

void problems_done(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		free(problems->items[i].text);
	free(problems->items);
	*problems = (struct problems){0};
}

/* ---- one option ---- */

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

static void done_section(enum option_scope scope, void *section)
{
	if (scope == SCOPE_SERVICE) {
		free(((struct service_settings *)section)->name);
	} else if (scope == SCOPE_LOOKUP) {
		free(((struct lookup_settings *)section)->name);
		free(((struct lookup_settings *)section)->socket.path);
	} else if (scope == SCOPE_MAP) {
		free(((struct map_config *)section)->name);
		free(((struct map_config *)section)->path);
		free(((struct map_config *)section)->static_path);
	}
}

static void done_config(struct config *config)
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
		done_section(SCOPE_SERVICE, &config->services[i]);
	for (size_t i = 0; i < config->lookup_count; i++)
		done_section(SCOPE_LOOKUP, &config->lookups[i]);
	for (size_t i = 0; i < config->map_count; i++)
		done_section(SCOPE_MAP, &config->maps[i]);
	free(config->services);
	free(config->lookups);
	free(config->maps);
}

/* Checks one value by parsing it into a place that is thrown away. */
static const char *check_value(const struct option *option, const char *text)
{
	union {
		struct config config;
		struct service_settings service;
		struct lookup_settings lookup;
		struct map_config map;
	} scratch = {0};

	const char *problem;

	problem = option->parse(option, text, (char *)&scratch + option->offset);
	if (option->scope == SCOPE_GLOBAL)
		done_config(&scratch.config);
	else
		done_section(option->scope, &scratch);
	return problem;
}

static const struct option *find_option(enum option_scope scope, const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (options[i].scope == scope && strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* ---- libconfuse's callbacks ---- */

__attribute__((format(printf, 2, 0))) static void on_parse_error(
	cfg_t *cfg, const char *format, va_list arguments)
{
	_cleanup_(free_pointer) char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	problems_add(loading->problems, false, "%s:%d: %s", loading->file, cfg->line,
		text ? text : "syntax error");
}

static enum option_scope scope_of(cfg_t *cfg)
{
	for (unsigned scope = SCOPE_GLOBAL + 1; scope < SCOPE_COUNT; scope++)
		if (strcmp(cfg_name(cfg), option_scope_name(scope)) == 0)
			return scope;
	return SCOPE_GLOBAL;
}

/* Called when a value was read; of a list also once more at its end, so the last element
 * is checked twice, which is told once. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct option *option = find_option(scope_of(cfg), cfg_opt_name(opt));
	unsigned count = cfg_opt_size(opt);
	struct problems *problems = loading->problems;
	_cleanup_(free_pointer) char *text = NULL;
	const char *problem, *value;

	if (!option || count == 0)
		return 0;
	value = cfg_opt_getnstr(opt, count - 1);
	problem = check_value(option, value ? value : "");
	if (!problem)
		return 0;
	if (asprintf(&text, "%s:%d: %s = %s: %s", loading->file, cfg->line, option->name,
		    value ? value : "", problem) < 0)
		text = NULL;
	if (text && problems->count > 0 &&
		strcmp(problems->items[problems->count - 1].text, text) == 0)
		return 0;
	problems_add(problems, false, "%s", text ? text : problem);
	return 0;
}

/* ---- parsing ---- */

/* libconfuse's description of one scope, ended by CFG_END; sections come from below. */
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

static void free_cfg(cfg_t **cfg)
{
	if (*cfg)
		cfg_free(*cfg);
}

/* Overwrites comments (#, //) outside strings with spaces; lines stay where they are. */
static void blank_comments(char *text)
{
	char quote = '\0';

	for (char *at = text; *at; at++) {
		if (quote) {
			if (*at == '\\' && at[1])
				at++;
			else if (*at == quote)
				quote = '\0';
		} else if (*at == '"' || *at == '\'') {
			quote = *at;
		} else if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
			while (*at && *at != '\n')
				*at++ = ' ';
			at--;
		}
	}
}

static int parse_one_file(cfg_t *cfg, struct loader *loader)
{
	_cleanup_(free_pointer) char *text = NULL;
	size_t length;
	int r;

	r = file_read(AT_FDCWD, loader->file, CONFIG_SIZE_MAX, &text, &length);
	if (r < 0) {
		problems_add(
			loader->problems, false, "%s: %s", loader->file, strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	if (strlen(text) != length) {
		problems_add(loader->problems, false, "%s: a NUL octet is in the file",
			loader->file);
		return 0;
	}
	blank_comments(text);
	loading = loader;
	(void)cfg_parse_buf(cfg, text); /* its errors came through on_parse_error */
	loading = NULL;
	return 0;
}

static int parse_files(cfg_t *cfg, const char *file, struct problems *problems)
{
	struct loader loader = {.file = file, .problems = problems};
	_cleanup_(free_pointer) char *pattern = NULL;
	glob_t found;
	int r;

	r = parse_one_file(cfg, &loader);
	if (r < 0)
		return r;
	if (asprintf(&pattern, "%s.d/*.conf", file) < 0)
		return -ENOMEM;
	r = glob(pattern, 0, NULL, &found);
	if (r == GLOB_NOMATCH)
		return 0;
	if (r != 0)
		return r == GLOB_NOSPACE ? -ENOMEM : -EIO;
	for (size_t i = 0; i < found.gl_pathc && r == 0; i++) {
		loader.file = found.gl_pathv[i];
		r = parse_one_file(cfg, &loader);
	}
	globfree(&found);
	return r;
}

/* ---- from libconfuse's tree to struct config ---- */

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

/* Fills all options of one scope into base; where names it for a message. */
static void apply_scope(enum option_scope scope, cfg_t *cfg, void *base,
	const char *where, struct problems *problems)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		void *field = (char *)base + option->offset;
		unsigned count = option->scope == scope ? cfg_size(cfg, option->name) : 0;
		const char *problem = NULL;

		if (option->scope != scope)
			continue;
		for (unsigned n = 0; n < count && !problem; n++) {
			const char *text = cfg_getnstr(cfg, option->name, n);

			problem = option->parse(option, text ? text : "", field);
		}
		if (count == 0 && !option->fallback)
			problem = "must be given";
		else if (count == 0 && option->is_list)
			problem = apply_fallback_list(option, field);
		else if (count == 0)
			problem = option->parse(option, option->fallback, field);
		if (problem)
			problems_add(problems, false, "%s: %s: %s", where, option->name,
				problem);
	}
}

/* Fills the array of one kind of section. */
static int apply_sections(cfg_t *cfg, enum option_scope scope, size_t size,
	void *ret_items, size_t *ret_count, struct problems *problems)
{
	const char *kind = option_scope_name(scope);
	unsigned count = cfg_size(cfg, kind);
	char *items = calloc(count + 1, size);
	char where[128];

	if (!items)
		return -ENOMEM;
	*(void **)ret_items = items;
	*ret_count = count;
	for (unsigned i = 0; i < count; i++) {
		cfg_t *section = cfg_getnsec(cfg, kind, i);
		void *item = items + i * size;

		/* the name is the first member of every section's struct */
		*(char **)item = strdup(cfg_title(section));
		if (!*(char **)item)
			return -ENOMEM;
		snprintf(where, sizeof(where), "%s %s", kind, cfg_title(section));
		apply_scope(scope, section, item, where, problems);
	}
	return 0;
}

/* ---- the whole ---- */

static int build_config(cfg_t *cfg, struct config *config, struct problems *problems)
{
	int r;

	config->report.mode = config->control.mode = 0660;
	apply_scope(SCOPE_GLOBAL, cfg, config, "drac.conf", problems);
	r = apply_sections(cfg, SCOPE_SERVICE, sizeof(*config->services),
		&config->services, &config->service_count, problems);
	if (r == 0)
		r = apply_sections(cfg, SCOPE_LOOKUP, sizeof(*config->lookups),
			&config->lookups, &config->lookup_count, problems);
	if (r == 0)
		r = apply_sections(cfg, SCOPE_MAP, sizeof(*config->maps), &config->maps,
			&config->map_count, problems);
	if (r == 0)
		r = config_add_defaults(config, problems);
	if (r == 0 && problems->errors == 0)
		config_check(config, problems);
	return r;
}

int config_load(const char *file, struct config **ret, struct problems *problems)
{
	_cleanup_(unref_config) struct config *config = calloc(1, sizeof(*config));
	_cleanup_(free_cfg) cfg_t *cfg = describe_file();
	int r;

	if (!config || !cfg)
		return -ENOMEM;
	config->references = 1;
	r = parse_files(cfg, file, problems);
	if (r < 0)
		return r;
	if (problems->errors > 0)
		return -EINVAL;
	r = build_config(cfg, config, problems);
	if (r < 0)
		return r;
	if (problems->errors > 0)
		return -EINVAL;
	*ret = TAKE_PTR(config);
	return 0;
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
	done_config(config);
	free(config);
	return NULL;
}

const struct service_settings *config_service(
	const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (strcmp(config->services[i].name, name) == 0)
			return &config->services[i];
	return NULL;
}

const char *config_reporter(const struct config *config, uid_t uid)
{
	for (size_t i = 0; i < config->reporters.count; i++)
		if (config->reporters.items[i].uid == uid)
			return config->reporters.items[i].name;
	return NULL;
}
