/* dracctl, the administrator's command: one request to dracd's control socket per run.
 * See dracctl(8). */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ctl_command.h"
#include "client/ctl_text.h"
#include "client/report.h"

enum {
	READ_TIMEOUT_MS = 5000,
	/* what changes something waits for the maps */
	CHANGE_TIMEOUT_MS = 60000,
	/* longer than drac-mapread may live */
	IMPORT_TIMEOUT_MS = 180000,
};

/* What a command takes, as a set. */
enum {
	TAKES_USER = 1 << 0,
	TAKES_SERVICE = 1 << 1,
	TAKES_EXPIRING = 1 << 2,
	TAKES_TIME = 1 << 3,
	TAKES_HOLD = 1 << 4,
	TAKES_REASON = 1 << 5,
	TAKES_YES = 1 << 6,
	TAKES_REBUILD = 1 << 7,
	TAKES_JSON = 1 << 8,
	TAKES_ADDRESS = 1 << 9, /* must have one */
	TAKES_TARGET = 1 << 10, /* must have an address or a user */
	TAKES_FILE = 1 << 11,   /* must have one */
	TAKES_QUIET = 1 << 12,
	REPORTS = 1 << 13, /* on the report socket */
	TAKES_RECIPE = 1 << 14,
	TAKES_NETWORK = 1 << 15, /* the address may be one */
	TAKES_MAP = 1 << 16,
	TAKES_VERIFY = 1 << 17,
};

enum option_kind {
	OPTION_TEXT,
	OPTION_DURATION, /* value and "has" flag */
	OPTION_FLAG,
};

static const struct option_row {
	const char *name;
	unsigned takes;
	enum option_kind kind;
	size_t value; /* offsets in struct ctl_arguments */
	size_t has;
} options[] = {
	{"user", TAKES_USER, OPTION_TEXT, offsetof(struct ctl_arguments, user), 0},
	{"service", TAKES_SERVICE, OPTION_TEXT, offsetof(struct ctl_arguments, service),
		0},
	{"reason", TAKES_REASON, OPTION_TEXT, offsetof(struct ctl_arguments, reason), 0},
	{"expiring", TAKES_EXPIRING, OPTION_DURATION,
		offsetof(struct ctl_arguments, expiring_ms),
		offsetof(struct ctl_arguments, has_expiring)},
	{"time", TAKES_TIME, OPTION_DURATION, offsetof(struct ctl_arguments, time_ms),
		offsetof(struct ctl_arguments, has_time)},
	{"hold", TAKES_HOLD, OPTION_DURATION, offsetof(struct ctl_arguments, hold_ms),
		offsetof(struct ctl_arguments, has_hold)},
	{"yes", TAKES_YES, OPTION_FLAG, 0, offsetof(struct ctl_arguments, yes)},
	{"rebuild", TAKES_REBUILD, OPTION_FLAG, 0,
		offsetof(struct ctl_arguments, rebuild)},
	{"verify", TAKES_VERIFY, OPTION_FLAG, 0, offsetof(struct ctl_arguments, verify)},
	{"json", TAKES_JSON, OPTION_FLAG, 0, offsetof(struct ctl_arguments, json)},
	{"quiet", TAKES_QUIET, OPTION_FLAG, 0, offsetof(struct ctl_arguments, quiet)},
};

static const struct command {
	const char *name;
	const char *usage;
	const char *summary;
	int (*run)(struct ctl_context *context);
	unsigned takes;
	unsigned timeout_ms;
	int usage_status; /* for a wrong command line */
} commands[] = {
	{"status", "[--json]",
		"what dracd does; exit 0 ok, 1 warning, 2 critical, 3 no answer",
		ctl_status, TAKES_JSON, READ_TIMEOUT_MS, CTL_NO_ANSWER},
	{"list", "[--user USER] [--service NAME] [--expiring TIME] [--json]",
		"leases, the first to end first", ctl_list,
		TAKES_USER | TAKES_SERVICE | TAKES_EXPIRING | TAKES_JSON, READ_TIMEOUT_MS,
		CTL_USAGE},
	{"check", "ADDRESS [--json]", "may it relay? exit 0 yes, 1 no, 3 no answer",
		ctl_check, TAKES_ADDRESS | TAKES_JSON, READ_TIMEOUT_MS, CTL_USAGE},
	{"add", "ADDRESS [--time TIME] [--user USER] [--service NAME]",
		"grant a lease by hand", ctl_add,
		TAKES_ADDRESS | TAKES_NETWORK | TAKES_TIME | TAKES_USER | TAKES_SERVICE,
		CHANGE_TIMEOUT_MS, CTL_USAGE},
	{"revoke", "ADDRESS | --user USER [--hold TIME] [--reason TEXT]",
		"end leases now and keep out for a time", ctl_revoke,
		TAKES_TARGET | TAKES_NETWORK | TAKES_USER | TAKES_HOLD | TAKES_REASON,
		CHANGE_TIMEOUT_MS, CTL_USAGE},
	{"unblock", "ADDRESS | --user USER", "let in again what was revoked", ctl_unblock,
		TAKES_TARGET | TAKES_NETWORK | TAKES_USER, CHANGE_TIMEOUT_MS, CTL_USAGE},
	{"blocks", "[--json]", "what was revoked and is kept out", ctl_blocks, TAKES_JSON,
		READ_TIMEOUT_MS, CTL_USAGE},
	{"flush", "[--yes]", "end all leases", ctl_flush, TAKES_YES, CHANGE_TIMEOUT_MS,
		CTL_USAGE},
	{"reload", "", "read the configuration again", ctl_reload, 0, CHANGE_TIMEOUT_MS,
		CTL_USAGE},
	{"renew", "FILE|- [--quiet]",
		"extend leases by what \"doveadm -f tab who -1\" has written", ctl_renew,
		TAKES_FILE | TAKES_QUIET | REPORTS, CHANGE_TIMEOUT_MS, CTL_USAGE},
	{"import-drac", "FILE",
		"grant what is left in the database of DRAC, such as /etc/mail/dracd.db",
		ctl_import_drac, TAKES_FILE, IMPORT_TIMEOUT_MS, CTL_USAGE},
	{"recipe", "[NAME]",
		"what to tell Dovecot, Postfix, Sendmail or Exim; without a name: which "
		"there are",
		ctl_recipe, TAKES_RECIPE, READ_TIMEOUT_MS, CTL_USAGE},
	{"maps", "[NAME] [--rebuild] [--verify] [--json]",
		"the map files; written anew, or compared with the table, if wished",
		ctl_maps, TAKES_MAP | TAKES_REBUILD | TAKES_VERIFY | TAKES_JSON,
		CHANGE_TIMEOUT_MS, CTL_NO_ANSWER},
};

enum {
	OPTION_COUNT = sizeof(options) / sizeof(options[0]),
	COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]),
};

static void print_usage(FILE *to)
{
	fputs("usage: dracctl [-s SOCKET] [--json] COMMAND ...\n", to);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %s %s\n            %s\n", commands[i].name,
			commands[i].usage, commands[i].summary);
	fputs("TIME is a number with ms, s, min, h or d; see dracctl(8)\n", to);
}

static int wrong_usage(
	const struct command *command, const char *problem, const char *what)
{
	fprintf(stderr, "dracctl: %s%s%s\nusage: dracctl %s %s\n", problem,
		*what ? ": " : "", what, command->name, command->usage);
	return -1;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static const struct option_row *find_option(
	const struct command *command, const char *name)
{
	size_t length = strcspn(name, "=");

	for (size_t i = 0; i < OPTION_COUNT; i++)
		if ((options[i].takes & command->takes) &&
			strlen(options[i].name) == length &&
			strncmp(options[i].name, name, length) == 0)
			return &options[i];
	return NULL;
}

/* Takes the option at argv[*index] ("--name value" or "--name=value"). */
static int take_option(
	const struct command *command, char **argv, int *index, struct ctl_arguments *ret)
{
	const char *name = argv[*index] + 2;
	const struct option_row *option = find_option(command, name);
	const char *value = strchr(name, '=');
	char *at = (char *)ret;

	if (!option || (value && option->kind == OPTION_FLAG))
		return wrong_usage(command, "unknown option", argv[*index]);
	if (option->kind == OPTION_FLAG) {
		*(bool *)(at + option->has) = true;
		return 0;
	}
	value = value ? value + 1 : argv[++*index];
	if (!value || !*value)
		return wrong_usage(command, "an option lacks its value", option->name);
	if (option->kind == OPTION_TEXT) {
		*(const char **)(void *)(at + option->value) = value;
		return 0;
	}
	*(bool *)(at + option->has) = true;
	if (!text_parse_duration(
		    value, (unsigned long long *)(void *)(at + option->value)))
		return wrong_usage(
			command, "not a time like 90s, 30min, 2h or 1d", value);
	return 0;
}

/* Where the argument belongs that is no option; NULL if the command takes none. */
static const char **find_operand(
	const struct command *command, struct ctl_arguments *arguments)
{
	if (command->takes & (TAKES_ADDRESS | TAKES_TARGET))
		return &arguments->address;
	if (command->takes & TAKES_FILE)
		return &arguments->file;
	if (command->takes & TAKES_MAP)
		return &arguments->map;
	return command->takes & TAKES_RECIPE ? &arguments->recipe : NULL;
}

static int parse_arguments(
	const struct command *command, char **argv, struct ctl_arguments *ret)
{
	const char **operand = find_operand(command, ret);

	for (int i = 0; argv[i]; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			if (take_option(command, argv, &i, ret) < 0)
				return -1;
		} else if (!operand || *operand) {
			return wrong_usage(command, "unexpected argument", argv[i]);
		} else {
			*operand = argv[i];
		}
	}
	if ((command->takes & TAKES_FILE) && !ret->file)
		return wrong_usage(command, "a file is missing", "");
	if ((command->takes & TAKES_ADDRESS) && !ret->address)
		return wrong_usage(command, "an address is missing", "");
	if ((command->takes & TAKES_TARGET) && !ret->address == !ret->user)
		return wrong_usage(command, "either an address or --user is needed", "");
	if (ret->address &&
		!text_is_address(ret->address, command->takes & TAKES_NETWORK)) {
		fprintf(stderr, "dracctl: not an IPv4 or IPv6 address%s: %s\n",
			command->takes & TAKES_NETWORK ? " or network" : "",
			ret->address);
		return -1;
	}
	return 0;
}

/* Runs command, given what follows its name. */
static int run_command(
	const struct command *command, const char *socket_path, bool json, char **argv)
{
	struct ctl_arguments arguments = {.json = json};
	struct control *control;
	int status;

	if (json && !(command->takes & TAKES_JSON)) {
		(void)wrong_usage(command, "has no --json", command->name);
		return command->usage_status;
	}
	if (parse_arguments(command, argv, &arguments) < 0)
		return command->usage_status;
	control = malloc(sizeof(*control));
	if (!control) {
		fputs("dracctl: out of memory\n", stderr);
		return CTL_NO_ANSWER;
	}
	if (!socket_path)
		socket_path = command->takes & REPORTS ? REPORT_SOCKET_PATH
						       : CONTROL_SOCKET_PATH;
	control_init(control, socket_path, command->timeout_ms, !arguments.json);
	status = command->run(&(struct ctl_context){&arguments, control, time(NULL)});
	control_close(control);
	free(control);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("dracctl: cannot write the output\n", stderr);
		return CTL_NO_ANSWER;
	}
	return status;
}

/* Takes the options before the command.  Returns an exit status, or -1 to go on. */
static int parse_global_options(
	int argc, char **argv, const char **ret_socket_path, bool *ret_json)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+s:hV", long_options, NULL)) != -1) {
		switch (option) {
		case 's':
			*ret_socket_path = optarg;
			break;
		case 'j':
			*ret_json = true;
			break;
		case 'h':
			print_usage(stdout);
			return CTL_DONE;
		case 'V':
			printf("dracctl %s\n", DRACD_VERSION);
			return CTL_DONE;
		default:
			return CTL_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	const char *socket_path = NULL;
	const struct command *command;
	bool json = false;
	int status = parse_global_options(argc, argv, &socket_path, &json);

	if (status >= 0)
		return status;
	command = optind < argc ? find_command(argv[optind]) : NULL;
	if (!command) {
		if (optind < argc)
			fprintf(stderr, "dracctl: unknown command: %s\n", argv[optind]);
		print_usage(stderr);
		return CTL_USAGE;
	}
	return run_command(command, socket_path, json, argv + optind + 1);
}
