/*
 * Reading the section with libconfuse, file by file; a later file replaces single
 * options.
 *
 * libconfuse tells of a value by a callback without a pointer of ours, so the load in
 * progress is found in a thread-local.  After an option that it does not know it gives
 * up: what else is wrong in that file is told the next time.
 */
#include <confuse.h>
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/conf_text.h"
#include "rpc/settings.h"

enum {
	FILE_SIZE_MAX = 1024 * 1024,
	PROBLEM_SIZE = 512,
	OPTIONS_MAX = 32,
};

struct loader {
	struct settings *settings;
	const char *file; /* being parsed */
	bool failed;
	settings_tell *tell;
	void *context;
};

static _Thread_local struct loader *loading;

__attribute__((format(printf, 2, 0))) static void add_problem(
	struct loader *loader, const char *format, va_list arguments)
{
	char text[PROBLEM_SIZE];

	vsnprintf(text, sizeof(text), format, arguments);
	loader->failed = true;
	loader->tell(text, loader->context);
}

__attribute__((format(printf, 2, 3))) static void problem(
	struct loader *loader, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_problem(loader, format, arguments);
	va_end(arguments);
}

__attribute__((format(printf, 2, 0))) static void on_error(
	cfg_t *cfg, const char *format, va_list arguments)
{
	char text[PROBLEM_SIZE];

	vsnprintf(text, sizeof(text), format, arguments);
	problem(loading, "%s:%d: %s", loading->file, cfg->line, text);
}

static const struct setting *find_setting(const char *name)
{
	for (size_t i = 0; i < settings_count; i++)
		if (strcmp(settings_table[i].name, name) == 0)
			return &settings_table[i];
	return NULL;
}

static void parse_value(
	struct loader *loader, int line, const struct setting *setting, const char *text)
{
	void *field = (char *)loader->settings + setting->offset;
	const char *wrong = setting->parse(setting, text, field);

	if (!wrong)
		return;
	if (line > 0)
		problem(loader, "%s:%d: %s = %.100s: %s", loader->file, line,
			setting->name, text, wrong);
	else
		problem(loader, "%s: %s", setting->name, wrong);
}

/* An option was read.  Of a list this is called with each element, and at its end once
 * more, so the whole is taken each time. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct setting *setting = find_setting(cfg_opt_name(opt));
	unsigned count = cfg_opt_size(opt);
	struct prefix_list *list;

	if (!setting || count == 0)
		return 0;
	if (!setting->is_list) {
		parse_value(loading, cfg->line, setting, cfg_opt_getnstr(opt, count - 1));
		return 0;
	}
	list = (void *)((char *)loading->settings + setting->offset);
	prefix_list_done(list);
	for (unsigned i = 0; i < count && !loading->failed; i++)
		parse_value(loading, cfg->line, setting, cfg_opt_getnstr(opt, i));
	return 0;
}

/* What libconfuse is told of the section. */
static cfg_t *describe(void)
{
	cfg_opt_t options[OPTIONS_MAX], *at = options;
	cfg_opt_t file[2];
	char path[64];
	cfg_t *cfg;

	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];

		if (setting->is_list)
			*at++ = (cfg_opt_t)CFG_STR_LIST(
				setting->name, NULL, CFGF_NODEFAULT);
		else
			*at++ = (cfg_opt_t)CFG_STR(setting->name, NULL, CFGF_NODEFAULT);
	}
	*at = (cfg_opt_t)CFG_END();
	file[0] = (cfg_opt_t)CFG_SEC(CONF_RPC_SECTION, options, CFGF_NONE);
	file[1] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(file, CFGF_NONE);
	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, on_error);
	for (size_t i = 0; i < settings_count; i++) {
		snprintf(path, sizeof(path), CONF_RPC_SECTION "|%s",
			settings_table[i].name);
		cfg_set_validate_func(cfg, path, on_value);
	}
	return cfg;
}

/* Reads the whole file into text.  What is wrong with it, or NULL. */
static const char *read_file(const char *path, char text[FILE_SIZE_MAX + 1])
{
	FILE *file = fopen(path, "re");
	const char *wrong = NULL;
	size_t length;

	if (!file)
		return strerror(errno);
	length = fread(text, 1, FILE_SIZE_MAX, file);
	text[length] = '\0';
	if (ferror(file))
		wrong = strerror(errno);
	else if (length == FILE_SIZE_MAX)
		wrong = "longer than 1 MB";
	else if (strlen(text) != length)
		wrong = "a NUL octet is in the file";
	else if (!conf_blank_comments(text))
		wrong = "a comment has no end";
	else if (!conf_select_section(text, CONF_RPC_SECTION, true))
		wrong = "section " CONF_RPC_SECTION " has no end";
	fclose(file);
	return wrong;
}

/* Lists that the file says are empty, of which on_value() is not told. */
static void empty_lists(struct loader *loader, cfg_t *cfg)
{
	cfg_t *section = cfg_getsec(cfg, CONF_RPC_SECTION);

	for (size_t i = 0; i < settings_count && section; i++) {
		const struct setting *setting = &settings_table[i];
		cfg_opt_t *opt = cfg_getopt(section, setting->name);

		if (setting->is_list && opt && (opt->flags & CFGF_MODIFIED) &&
			cfg_opt_size(opt) == 0)
			prefix_list_done(
				(void *)((char *)loader->settings + setting->offset));
	}
}

static void parse_text(struct loader *loader, cfg_t *cfg, const char *text)
{
	bool had_failed = loader->failed;

	loader->failed = false;
	loading = loader;
	/* at an empty name it gives up without a word */
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS && !loader->failed)
		problem(loader, "%s:%d: an option without a name", loader->file,
			cfg->line);
	loading = NULL;
	empty_lists(loader, cfg);
	loader->failed |= had_failed;
}

static int parse_file(struct loader *loader)
{
	char *text = malloc(FILE_SIZE_MAX + 1);
	cfg_t *cfg = describe();
	const char *wrong;

	if (text && cfg) {
		wrong = read_file(loader->file, text);
		if (wrong)
			problem(loader, "%s: %s", loader->file, wrong);
		else
			parse_text(loader, cfg, text);
	}
	if (cfg)
		cfg_free(cfg);
	free(text);
	return text && cfg ? 0 : -ENOMEM;
}

static void parse_defaults(struct loader *loader)
{
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		char text[128], *rest = text;
		const char *element;

		if (!setting->is_list) {
			parse_value(loader, 0, setting, setting->fallback);
			continue;
		}
		snprintf(text, sizeof(text), "%s", setting->fallback);
		while ((element = strsep(&rest, " ")))
			if (*element)
				parse_value(loader, 0, setting, element);
	}
}

static int parse_files(struct loader *loader)
{
	char pattern[PROBLEM_SIZE];
	glob_t found;
	int r;

	snprintf(pattern, sizeof(pattern), "%s.d/*.conf", loader->file);
	r = parse_file(loader);
	if (r < 0)
		return r;
	r = glob(pattern, 0, NULL, &found);
	if (r != 0)
		return r == GLOB_NOMATCH ? 0 : -EIO;
	for (size_t i = 0; i < found.gl_pathc && r == 0; i++) {
		loader->file = found.gl_pathv[i];
		r = parse_file(loader);
	}
	globfree(&found);
	return r;
}

int settings_load(
	const char *file, struct settings *ret, settings_tell *tell, void *context)
{
	struct settings settings = {0};
	struct loader loader = {
		.settings = &settings,
		.file = file,
		.tell = tell,
		.context = context,
	};
	int r;

	parse_defaults(&loader);
	r = parse_files(&loader);
	if (r == 0 && !loader.failed && settings.listen.count == 0)
		problem(&loader, "%s: listen is empty", file);
	if (r == 0 && loader.failed)
		r = -EINVAL;
	if (r < 0)
		settings_done(&settings);
	else
		*ret = settings;
	return r;
}
