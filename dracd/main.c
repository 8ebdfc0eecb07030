/* dracd(8): options, configuration, and the daemon's life as a list of stages. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dracd/daemon.h"
#include "dracd/log.h"

struct arguments {
	const char *config_file;
	const char *account; /* to become; NULL: none */
	bool check_only;
};

static void print_usage(FILE *to)
{
	fputs("usage: dracd [-dtV] [-c drac.conf] [-u account]\n"
	      "  -c FILE  configuration (" CONFIG_FILE_DEFAULT "), then FILE.d/*.conf\n"
	      "  -d       log renewals too\n"
	      "  -t       check the configuration and exit\n"
	      "  -u NAME  become this account first; for root\n"
	      "  -V       print the version and exit\n",
		to);
}

/* Returns 0 to go on; else main() returns *ret_status. */
static int parse_arguments(int argc, char *argv[], struct arguments *ret, int *ret_status)
{
	int option;

	*ret = (struct arguments){.config_file = CONFIG_FILE_DEFAULT};
	*ret_status = EXIT_SUCCESS;
	while ((option = getopt(argc, argv, "c:dhtu:V")) != -1) {
		switch (option) {
		case 'c':
			ret->config_file = optarg;
			break;
		case 'd':
			log_set_level(LOG_DEBUG);
			break;
		case 't':
			ret->check_only = true;
			break;
		case 'u':
			ret->account = optarg;
			break;
		case 'V':
			puts("dracd " DRACD_VERSION);
			return 1;
		case 'h':
			print_usage(stdout);
			return 1;
		default:
			print_usage(stderr);
			*ret_status = EXIT_FAILURE;
			return 1;
		}
	}
	if (optind < argc) {
		print_usage(stderr);
		*ret_status = EXIT_FAILURE;
		return 1;
	}
	return 0;
}

/* With all its groups, and without a way back. */
static int become(const char *account)
{
	const struct passwd *entry = getpwnam(account);

	if (!entry)
		return log_errno(LOG_ERR, -ENOENT, "no account %s on this host", account);
	if (initgroups(account, entry->pw_gid) < 0 || setgid(entry->pw_gid) < 0 ||
		setuid(entry->pw_uid) < 0)
		return log_errno(LOG_ERR, -errno, "cannot become %s", account);
	return 0;
}

/* All problems at once, each with its file and line. */
static struct config *load_config(const struct arguments *arguments)
{
	struct problems problems = {0};
	struct config *config = NULL;
	int r;

	r = config_load(arguments->config_file, &config, &problems);
	for (size_t i = 0; i < problems.count; i++)
		log_message(problems.items[i].is_warning ? LOG_WARNING : LOG_ERR, "%s",
			problems.items[i].text);
	if (r < 0 && problems.errors == 0)
		log_errno(LOG_ERR, r, "cannot read %s", arguments->config_file);
	problems_done(&problems);
	return config;
}

/* As many connections as the system lets us have. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char *argv[])
{
	struct arguments arguments;
	struct config *config;
	struct daemon daemon;
	int r, status;

	if (parse_arguments(argc, argv, &arguments, &status) != 0)
		return status;
	log_open(!arguments.check_only);
	if (arguments.account && become(arguments.account) < 0)
		return EXIT_FAILURE;
	config = load_config(&arguments);
	if (!config)
		return EXIT_FAILURE;
	if (arguments.check_only) {
		printf("%s: no errors\n", arguments.config_file);
		config_unref(config);
		return EXIT_SUCCESS;
	}
	raise_descriptor_limit();
	r = daemon_start(&daemon, arguments.config_file, config);
	if (r >= 0)
		r = daemon_run(&daemon);
	daemon_stop(&daemon);
	config_unref(config);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
