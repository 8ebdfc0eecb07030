/* dracd-withdraw(8): shuts out whom a dracd that is no more has let in. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "dracd/cleanup.h"
#include "dracd/log.h"
#include "dracd/published.h"
#include "dracd/state.h"
#include "dracd/withdraw.h"

#define STATE_DIRECTORY_DEFAULT "/var/lib/dracd"

struct arguments {
	const char *config_file;
	const char *state_directory; /* NULL: that of the configuration */
	bool all;                    /* also what is not noted as published */
	bool is_urged;               /* whatever the lock says */
};

static void print_usage(FILE *to)
{
	fputs("usage: dracd-withdraw [-afV] [-c drac.conf] [-s directory]\n"
	      "  -a       also the maps of drac.conf that are not noted as published\n"
	      "  -c FILE  configuration of dracd (" CONFIG_FILE_DEFAULT ")\n"
	      "  -f       even if a dracd, or its guardian, does not end\n"
	      "  -s DIR   state directory, if it is another than drac.conf says\n"
	      "  -V       print the version and exit\n",
		to);
}

/* Returns 0 to go on; else main() returns *ret_status. */
static int parse_arguments(int argc, char *argv[], struct arguments *ret, int *ret_status)
{
	int option;

	*ret = (struct arguments){.config_file = CONFIG_FILE_DEFAULT};
	*ret_status = EXIT_SUCCESS;
	while ((option = getopt(argc, argv, "ac:fhs:V")) != -1) {
		switch (option) {
		case 'a':
			ret->all = true;
			break;
		case 'c':
			ret->config_file = optarg;
			break;
		case 'f':
			ret->is_urged = true;
			break;
		case 's':
			ret->state_directory = optarg;
			break;
		case 'V':
			puts("dracd-withdraw " DRACD_VERSION);
			return 1;
		case 'h':
			print_usage(stdout);
			return 1;
		default:
			*ret_status = EXIT_FAILURE;
			break;
		}
	}
	if (optind == argc && *ret_status == EXIT_SUCCESS)
		return 0;
	print_usage(stderr);
	*ret_status = EXIT_FAILURE;
	return 1;
}

/* NULL: it has errors, which have been logged. */
static struct config *load_config(const char *file)
{
	struct problems problems = {0};
	struct config *config = NULL;
	int r = config_load(file, &config, &problems);

	for (size_t i = 0; i < problems.count; i++)
		if (!problems.items[i].is_warning)
			log_message(LOG_ERR, "%s", problems.items[i].text);
	if (r < 0 && problems.errors == 0)
		log_errno(LOG_ERR, r, "cannot read %s", file);
	problems_done(&problems);
	return config;
}

/* What the directory tells us is its owner's word; so it is with his rights, not root's,
 * that it is done. */
static int become_owner(const char *path, int directory)
{
	const struct passwd *entry;
	struct stat status;

	if (geteuid() != 0)
		return 0;
	if (fstat(directory, &status) < 0)
		return log_errno(LOG_ERR, -errno, "cannot use state_directory %s", path);
	if (status.st_mode & (S_IWGRP | S_IWOTH)) {
		log_message(LOG_ERR,
			"%s: others than its owner can write there, so root does not do what "
			"it says; chmod go-w, or run this as the account of dracd",
			path);
		return -EPERM;
	}
	if (status.st_uid == 0)
		return 0;
	entry = getpwuid(status.st_uid);
	if (!entry)
		return log_errno(LOG_ERR, -ENOENT,
			"%s belongs to uid %u: no such account", path, status.st_uid);
	if (initgroups(entry->pw_name, entry->pw_gid) < 0 || setgid(entry->pw_gid) < 0 ||
		setuid(entry->pw_uid) < 0)
		return log_errno(LOG_ERR, -errno, "cannot become %s", entry->pw_name);
	return 0;
}

/* The lock is ours to the end of the process; *ret_locked false: it is not, and we are
 * urged. */
static int take_lock(const char *path, int directory, bool is_urged, bool *ret_locked)
{
	char name[32];
	int again, lock, r;

	/* the one that was looked at, whatever stands at the path by now */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", directory);
	r = state_open(name, &again, &lock);
	*ret_locked = r == 0;
	if (r == 0) {
		close_fd(&again);
	} else if (r == -EBUSY && is_urged) {
		log_message(LOG_WARNING,
			"%s: a dracd has not ended; withdrawing all the same", path);
		r = 0;
	} else if (r == -EBUSY) {
		log_message(LOG_ERR,
			"%s: a dracd uses this directory; stop it, and it withdraws itself",
			path);
	} else {
		log_errno(LOG_ERR, r, "cannot use state_directory %s", path);
	}
	return is_urged ? 0 : r;
}

/* *ret, also with nothing in it, or NULL without memory.  Without a configuration what is
 * noted must do, and the other way round; a negative errno if neither is whole. */
static int find_published(int directory, const struct config *config,
	const struct arguments *arguments, struct config **ret)
{
	unsigned line;
	int r = published_load(directory, ret, &line);
	bool is_unknown = r < 0 && (r != -ENOENT || state_is_marked(directory));

	if (r == -EBADMSG)
		log_message(LOG_ERR,
			"%s:%u: damaged; withdrawing also what drac.conf has",
			PUBLISHED_FILE, line);
	else if (r < 0 && r != -ENOENT)
		log_errno(LOG_ERR, r, "cannot read %s; withdrawing what drac.conf has",
			PUBLISHED_FILE);
	if (!*ret)
		*ret = published_new(NULL);
	if (!*ret)
		return -ENOMEM;
	/* what there was before us may be of a configuration that nobody has noted */
	if (config && (arguments->all || is_unknown ||
			      (*ret)->lookup_count + (*ret)->map_count > 0))
		return published_add(*ret, config);
	return r < 0 && !config ? -ENOENT : 0;
}

static int withdraw(int directory, const struct config *config,
	const struct arguments *arguments, bool is_locked)
{
	struct config *published = NULL;
	size_t count, left;
	int r = find_published(directory, config, arguments, &published);

	if (r < 0)
		log_errno(LOG_ERR, r, "cannot tell what is to be withdrawn");
	if (!published)
		return r;
	count = published->lookup_count + published->map_count;
	left = withdraw_all(published);
	config_unref(published);
	if (r < 0 && count == 0)
		return r;
	if (count == 0)
		log_message(LOG_INFO, "nothing is left open");
	else
		log_message(LOG_INFO, "withdrawn: %zu of %zu lookups and maps",
			count - left, count);
	if (left > 0)
		return -EIO;
	if (r == 0 && is_locked) /* else who has not ended may publish again */
		published_clear(directory);
	return r;
}

static int run(
	const char *path, const struct config *config, const struct arguments *arguments)
{
	_cleanup_(close_fd) int directory = open(path, O_DIRECTORY | O_CLOEXEC);
	bool is_locked;
	int r;

	if (directory < 0)
		return log_errno(LOG_ERR, -errno, "cannot use state_directory %s", path);
	r = become_owner(path, directory);
	if (r == 0)
		r = take_lock(path, directory, arguments->is_urged, &is_locked);
	if (r == 0)
		r = withdraw(directory, config, arguments, is_locked);
	return r;
}

int main(int argc, char *argv[])
{
	_cleanup_(free_pointer) char *found = NULL;
	struct arguments arguments;
	struct config *config;
	const char *path;
	bool is_sure = true;
	int r, status;

	if (parse_arguments(argc, argv, &arguments, &status) != 0)
		return status;
	log_open(true);
	umask(0077);
	config = load_config(arguments.config_file);
	if (!config)
		found = config_find_state(arguments.config_file, &is_sure);
	path = arguments.state_directory ? arguments.state_directory
	       : config                  ? config->state_directory
					 : found;
	is_sure = arguments.state_directory || (path && is_sure);
	if (!path)
		path = STATE_DIRECTORY_DEFAULT;
	if (!config)
		log_message(LOG_WARNING, "withdrawing what is noted in %s/%s", path,
			PUBLISHED_FILE);
	if (!is_sure)
		log_message(LOG_ERR,
			"%s: it cannot be told which state_directory is meant; -s names it",
			arguments.config_file);
	r = run(path, config, &arguments);
	if (r == 0 && (!is_sure || (!config && arguments.all)))
		r = -EINVAL;
	config_unref(config);
	if (r == -EBUSY)
		return EX_TEMPFAIL;
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
