/*
 * drac-postlogin, Dovecot's post-login helper: tells dracd who has logged in from where.
 *
 * Linked statically and free of NSS, so that an environment made by a user database
 * (LD_PRELOAD among its fields) has no hold on it.  See drac-postlogin(8).
 */
#include "client/postlogin.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/postlogin_message.h"
#include "client/report.h"

enum {
	BUDGET_DEFAULT_MS = 300,
	BUDGET_MAX_MS = 10000,
	SERVICE_LENGTH_MAX = 32,
};

/* Dovecot splits its executable setting at every single space: two in a row make an empty
 * argument, which means nothing here. */
static char **skip_empty(char **arguments)
{
	while (*arguments && !**arguments)
		arguments++;
	return arguments;
}

static bool is_service_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return length > 0 && length <= SERVICE_LENGTH_MAX && !name[length];
}

static bool parse_budget(const char *text, unsigned *ret_ms)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long ms;

	if (digits == 0 || digits > 5 || text[digits])
		return false;
	ms = strtoul(text, NULL, 10);
	if (ms < 1 || ms > BUDGET_MAX_MS)
		return false;
	*ret_ms = (unsigned)ms;
	return true;
}

/* Takes an option that has a value.  Returns NULL or what is wrong. */
static const char *set_option(
	struct postlogin_options *options, const char *name, const char *value)
{
	if (strcmp(name, "--service") == 0) {
		options->service = value;
		return is_service_name(value)
			       ? NULL
			       : "--service must be 1 to 32 of a-z, 0-9, '_', '-'";
	}
	if (strcmp(name, "--socket") == 0) {
		options->socket_path = value;
		return value[0] == '/' ? NULL : "--socket must be an absolute path";
	}
	return parse_budget(value, &options->budget_ms)
		       ? NULL
		       : "--budget must be 1 to 10000 milliseconds";
}

static bool has_value(const char *name)
{
	return strcmp(name, "--service") == 0 || strcmp(name, "--socket") == 0 ||
	       strcmp(name, "--budget") == 0;
}

/* Takes the option at arguments.  Returns where to go on. */
static char **parse_option(struct postlogin_options *options, char **arguments)
{
	char *name = *arguments++;
	char *value = strchr(name, '=');
	const char *problem = NULL;

	if (value)
		*value++ = '\0';
	if (!value && strcmp(name, "--serve") == 0) {
		options->serve = true;
	} else if (!value && strcmp(name, "--wait") == 0) {
		options->wait = true;
	} else if (!has_value(name)) {
		problem = "unknown option of drac-postlogin, see drac-postlogin(8)";
	} else {
		if (!value) {
			arguments = skip_empty(arguments);
			value = *arguments;
		}
		if (!value)
			problem = "an option of drac-postlogin lacks its value";
		else
			problem = set_option(options, name, value);
		if (value && value == *arguments)
			arguments++;
	}
	if (problem && !options->problem)
		options->problem = problem;
	return arguments;
}

/* Returns the rest of the arguments, which starts with the program to run. */
static char **parse_options(struct postlogin_options *options, char **arguments)
{
	for (;;) {
		arguments = skip_empty(arguments);
		if (!*arguments || (*arguments)[0] != '-')
			return arguments;
		if (strcmp(*arguments, "--") == 0)
			return skip_empty(arguments + 1);
		arguments = parse_option(options, arguments);
	}
}

static bool is_program(const char *path)
{
	struct stat status;

	return path[0] == '/' && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	       access(path, X_OK) == 0;
}

/* With wrong options it is uncertain where the program begins; the first argument that
 * can be run is it.  With right options a program that cannot be run is not passed over:
 * it may be a check of the site's that shall refuse logins. */
static char **find_program(struct postlogin_options *options, char **arguments)
{
	if (*arguments && (*arguments)[0] != '/' && !options->problem)
		options->problem =
			"the program after the options must be an absolute path";
	if (options->problem)
		while (*arguments && !is_program(*arguments))
			arguments++;
	return *arguments ? arguments : NULL;
}

static int usage(const struct postlogin_options *options)
{
	if (options->problem)
		postlogin_say("%s", options->problem);
	postlogin_say("version %s; no program to run. usage:", DRACD_VERSION);
	postlogin_say(
		"  [--service NAME] [--socket PATH] [--wait] [--budget MS] PROGRAM [ARG...]");
	postlogin_say(
		"  --serve [--service NAME] [--socket PATH] [--wait] [--budget MS]");
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct postlogin_options options = {
		.socket_path = REPORT_SOCKET_PATH,
		.budget_ms = BUDGET_DEFAULT_MS,
	};
	struct sigaction pipe_ignored = {.sa_handler = SIG_IGN}, pipe_action;
	char **program;

	/* A log that has gone away must not kill the login that is written about. */
	sigaction(SIGPIPE, &pipe_ignored, &pipe_action);
	program = parse_options(&options, argc > 0 ? argv + 1 : argv);
	if (options.serve) {
		if (*program && !options.problem)
			options.problem = "--serve takes no program";
		return postlogin_serve(&options);
	}
	program = find_program(&options, program);
	if (!program)
		return usage(&options);
	return postlogin_script(&options, program, &pipe_action);
}
