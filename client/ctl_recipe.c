/* dracctl recipe: what an MTA or Dovecot is told, with the paths that dracd has. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl_command.h"
#include "client/ctl_recipe.h"

enum {
	PATH_SIZE = 256,
};

#define HELPER_DEFAULT "/usr/libexec/dracd/drac-postlogin"

static bool is_in_queue_directory(const char *path)
{
	return strncmp(path, QUEUE_DIRECTORY, sizeof(QUEUE_DIRECTORY) - 1) == 0;
}

/* Whether the socket or file is where the recipe needs it. */
static bool is_in_place(const struct recipe *recipe, const char *path)
{
	const char *name = strrchr(path, '/');

	switch (recipe->place) {
	case PLACE_ANY:
		return true;
	case PLACE_IN_QUEUE:
		return is_in_queue_directory(path);
	case PLACE_NOT_IN_QUEUE:
		return !is_in_queue_directory(path);
	case PLACE_ACCESS:
		return name && strcmp(name, "/access") == 0;
	case PLACE_NOT_ACCESS:
		return !name || strcmp(name, "/access") != 0;
	}
	return false;
}

static bool is_wanted(const char *wanted, const char *value)
{
	return !wanted || strcmp(wanted, value) == 0;
}

/* Whether the recipe is for this lookup or map of the answer. */
static bool is_for(const struct recipe *recipe, const struct words *words)
{
	const char *type = ctl_value(words, "type", ctl_value(words, "protocol", ""));

	return recipe->section && words_is(words, 0, recipe->section) &&
	       is_wanted(recipe->type, type) &&
	       is_wanted(recipe->keys, ctl_value(words, "keys", "")) &&
	       is_wanted(recipe->nul, ctl_value(words, "nul", "yes")) &&
	       is_in_place(recipe, ctl_value(words, "path", ""));
}

/* The helper that was installed with this program. */
static void find_helper(char ret[PATH_SIZE])
{
	static const char program[] = "/sbin/dracctl",
			  helper[] = "/libexec/dracd/drac-postlogin";
	char path[PATH_SIZE];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(helper));

	snprintf(ret, PATH_SIZE, "%s", HELPER_DEFAULT);
	if (length < (ssize_t)sizeof(program))
		return;
	path[length] = '\0';
	length -= (ssize_t)sizeof(program) - 1;
	if (strcmp(path + length, program) != 0)
		return;
	memcpy(path + length, helper, sizeof(helper));
	if (access(path, F_OK) == 0)
		memcpy(ret, path, sizeof(path));
}

/* Reads what dracd has for each recipe: the path of the first of its kind, or nothing.
 * CTL_DONE or the exit status. */
static int read_paths(struct ctl_context *context, char (*paths)[PATH_SIZE])
{
	struct words words;
	struct line line;
	int r;

	line_init(&line, "status");
	if (control_ask(context->control, &line) < 0)
		return CTL_NO_ANSWER;
	while ((r = control_next(context->control, &words)) == CONTROL_DATA) {
		const char *path = ctl_value(&words, "path", "");

		for (size_t i = 0; i < recipe_count; i++)
			if (!*paths[i] && strlen(path) < PATH_SIZE &&
				is_for(&recipes[i], &words))
				snprintf(paths[i], PATH_SIZE, "%s", path);
	}
	if (r == CONTROL_OK) {
		for (size_t i = 0; i < recipe_count; i++)
			if (!recipes[i].section)
				find_helper(paths[i]);
		return CTL_DONE;
	}
	if (r == CONTROL_ERR || r == CONTROL_NO)
		(void)ctl_say_error(&words);
	return CTL_NO_ANSWER;
}

/* Prints the text with the words for its places. */
static void print_text(const struct recipe *recipe, const char *path)
{
	const char *end = strrchr(path, '/');

	const struct {
		const char *place;
		size_t length; /* of the path, as much as stands there */
	} places[] = {
		{"@PATH@", strlen(path)},
		{"@DIRECTORY@", end ? (size_t)(end - path) + 1 : 0},
	};

	for (const char *at = recipe->text; *at;) {
		size_t i, count = sizeof(places) / sizeof(places[0]);

		for (i = 0; i < count; i++)
			if (strncmp(at, places[i].place, strlen(places[i].place)) == 0)
				break;
		if (i == count) {
			putchar(*at++);
			continue;
		}
		fwrite(path, 1, places[i].length, stdout);
		at += strlen(places[i].place);
	}
}

static int print_recipe(const struct recipe *recipe, const char *path)
{
	if (!*path) {
		fprintf(stderr, "dracctl: recipe %s: dracd has %s", recipe->name,
			recipe->missing);
		return CTL_REFUSED;
	}
	/* only Postfix has what it reads in there */
	if (is_in_queue_directory(path))
		path += sizeof(QUEUE_DIRECTORY) - 1;
	print_text(recipe, path);
	return CTL_DONE;
}

static const struct recipe *find_recipe(const char *name)
{
	for (size_t i = 0; i < recipe_count; i++)
		if (strcmp(recipes[i].name, name) == 0)
			return &recipes[i];
	fprintf(stderr, "dracctl: no such recipe: %s; there are", name);
	for (size_t i = 0; i < recipe_count; i++)
		fprintf(stderr, "%s %s", i ? "," : "", recipes[i].name);
	fputc('\n', stderr);
	return NULL;
}

int ctl_recipe(struct ctl_context *context)
{
	const char *name = context->arguments->recipe;
	const struct recipe *recipe = name ? find_recipe(name) : NULL;
	char(*paths)[PATH_SIZE];
	int status;

	if (name && !recipe)
		return CTL_USAGE;
	paths = calloc(recipe_count, sizeof(*paths));
	if (!paths) {
		fprintf(stderr, "dracctl: out of memory\n");
		return CTL_NO_ANSWER;
	}
	status = read_paths(context, paths);
	if (status == CTL_DONE && recipe)
		status = print_recipe(recipe, paths[recipe - recipes]);
	else if (status == CTL_DONE)
		for (size_t i = 0; i < recipe_count; i++)
			if (*paths[i])
				printf("%-19s %s\n", recipes[i].name, recipes[i].summary);
	free(paths);
	return status;
}
