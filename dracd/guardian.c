/* The guardian knows of dracd only that a pipe has ended; so it works however dracd died.
 */
#include "dracd/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/log.h"
#include "dracd/map_file.h"

enum {
	WITHDRAW_TRIES = 4,
	WITHDRAW_WAIT_USEC = 1000000,
};

/* True if dracd has ended cleanly, false if the pipe ended without a word. */
static bool wait_for_end(int pipe)
{
	ssize_t got;
	char word;

	do {
		got = read(pipe, &word, 1);
	} while (got < 0 && errno == EINTR);
	return got == 1;
}

/* True if the map is withdrawn. */
static bool withdraw_map(const struct map_config *config)
{
	struct access_problem problem = {0};
	struct access *access = NULL;
	struct map *map = NULL;
	int r;

	if (config->static_path) {
		r = access_read(config->static_path, &access, &problem);
		if (r < 0)
			log_errno(LOG_ERR, r,
				"map %s: withdrawn without %s, as it cannot be read",
				config->name, config->static_path);
	}
	r = map_file_open(config, &map);
	if (r == 0)
		r = map_file_withdraw(map, access);
	if (r < 0)
		log_errno(LOG_ERR, r, "map %s: cannot withdraw %s", config->name,
			config->path);
	map_close(map);
	access_free(access);
	return r == 0;
}

/* Tries each map until it is withdrawn; but not for ever, as dracd waits for us to start.
 */
static void withdraw_maps(const struct config *config)
{
	for (size_t i = 0; i < config->map_count; i++) {
		unsigned tries = WITHDRAW_TRIES;

		while (!withdraw_map(&config->maps[i]) && --tries > 0)
			usleep(WITHDRAW_WAIT_USEC);
		if (tries == 0)
			log_message(LOG_ERR,
				"map %s: its leases stay open until dracd is back",
				config->maps[i].name);
	}
}

/* A session of its own, so that a terminal's Ctrl-C or hang-up is dracd's alone. */
static void run_guardian(const struct config *config, int pipe)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "dracd-guardian");
	if (wait_for_end(pipe))
		_exit(0);
	log_message(LOG_ERR,
		"dracd has died; withdrawing its leases from %zu lookups and %zu "
		"maps",
		config->lookup_count, config->map_count);
	for (size_t i = 0; i < config->lookup_count; i++)
		(void)unlink(config->lookups[i].socket.path);
	withdraw_maps(config);
	_exit(0);
}

int guardian_start(const struct config *config, struct guardian *ret)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		run_guardian(config, ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return -errno;
	}
	*ret = (struct guardian){.pid = pid, .pipe = ends[1]};
	return 0;
}

void guardian_stop(struct guardian *guardian, bool withdrawn)
{
	if (guardian->pid == 0)
		return;
	if (withdrawn && write(guardian->pipe, "c", 1) < 0)
		log_errno(LOG_WARNING, -errno, "the guardian is gone");
	close(guardian->pipe);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guardian = (struct guardian){.pipe = -1};
}
