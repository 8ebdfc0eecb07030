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

static void withdraw_map(const struct map_config *config)
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
		log_errno(LOG_ERR, r,
			"map %s: cannot withdraw %s; its leases stay open until dracd is back",
			config->name, config->path);
	map_close(map);
	access_free(access);
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
	for (size_t i = 0; i < config->map_count; i++)
		withdraw_map(&config->maps[i]);
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

void guardian_stop(struct guardian *guardian)
{
	if (guardian->pid == 0)
		return;
	if (write(guardian->pipe, "c", 1) < 0)
		log_errno(LOG_WARNING, -errno, "the guardian is gone");
	close(guardian->pipe);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guardian = (struct guardian){.pipe = -1};
}
