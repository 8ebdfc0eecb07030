/* The guardian knows of dracd only that a pipe has ended, or that nothing has come
 * through it for long; so it works however dracd died.
 */
#include "dracd/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/cleanup.h"
#include "dracd/log.h"
#include "dracd/published.h"
#include "dracd/withdraw.h"

/* What comes through the pipe: one octet an order. */
enum order {
	ORDER_ALIVE = 'a',
	ORDER_PUBLISHED = 'p', /* read the file anew */
	ORDER_ENDING = 'e',    /* it has that long to end */
	ORDER_CLEAN = 'c',     /* there is nothing to withdraw any more */
};

enum {
	/* A machine that was paused for longer than the watchdog's time loses one turn,
	 * not all of them. */
	TURNS = 4,
	ENDING_TURN_MSEC = 30000 / TURNS,
	DEATH_MSEC = 2000, /* of a dracd that was killed; one may wait for a disk */
};

struct watch {
	int pipe, directory, dracd; /* dracd: pidfd; -1: nobody is killed */
	int turn_msec;              /* -1: it is not watched */
	bool has_ended;             /* so nothing of it can come after us */
	struct config *published;
};

/* ---- following dracd ---- */

static void reread(struct watch *watch)
{
	struct config *published;
	unsigned line;
	int r = published_load(watch->directory, &published, &line);

	if (r == -EBADMSG)
		log_message(LOG_ERR, "guardian: %s:%u: damaged", PUBLISHED_FILE, line);
	else if (r < 0)
		log_errno(LOG_ERR, r, "guardian: cannot read %s", PUBLISHED_FILE);
	if (r == 0) {
		config_unref(watch->published);
		watch->published = published;
	} else if (published) { /* rather too much */
		if (published_add(watch->published, published) < 0)
			log_errno(LOG_ERR, -ENOMEM, "guardian: cannot follow dracd");
		config_unref(published);
	}
}

/* One that does not die of it, as a thread waits for a disk, is not waited for. */
static void kill_hung(struct watch *watch)
{
	struct pollfd ended = {.fd = watch->pipe, .events = POLLIN};
	char octets[64];

	(void)pidfd_send_signal(watch->dracd, SIGKILL, NULL, 0);
	log_message(LOG_ERR, "dracd hangs: it has not moved for %d s; it is killed",
		TURNS * watch->turn_msec / 1000);
	while (!watch->has_ended && poll(&ended, 1, DEATH_MSEC) > 0)
		watch->has_ended = read(watch->pipe, octets, sizeof(octets)) == 0;
}

/* True at the end of the pipe, or of dracd's patience; *ret_clean: nothing is to be done
 * then. */
static bool is_over(struct watch *watch, int turn_msec, int *silent, bool *ret_clean)
{
	struct pollfd more = {.fd = watch->pipe, .events = POLLIN};
	char order;
	ssize_t got;

	if (poll(&more, 1, watch->turn_msec) == 0 && ++*silent >= TURNS) {
		kill_hung(watch);
		return true;
	}
	if (!more.revents)
		return false;
	got = read(watch->pipe, &order, 1);
	watch->has_ended = got == 0;
	if (got <= 0)
		return got == 0 || errno != EINTR;
	*silent = 0;
	if (order == ORDER_ALIVE)
		watch->turn_msec = turn_msec;
	else if (order == ORDER_ENDING && turn_msec > 0)
		watch->turn_msec = ENDING_TURN_MSEC;
	else if (order == ORDER_PUBLISHED)
		reread(watch);
	*ret_clean = order == ORDER_CLEAN;
	return *ret_clean;
}

/* Returns whether all was withdrawn already. */
static bool wait_for_end(struct watch *watch, int turn_msec)
{
	bool is_clean = false;
	int silent = 0;

	while (!is_over(watch, turn_msec, &silent, &is_clean))
		;
	return is_clean;
}

/* A session of its own, so that a terminal's Ctrl-C or hang-up is dracd's alone. */
static void run_guardian(
	struct watch *watch, const struct config *published, uint64_t watchdog_usec)
{
	int turn_msec = watchdog_usec > 0 ? (int)(watchdog_usec / TURNS / 1000) : -1;
	size_t count, left;
	sigset_t all;

	watch->published = published_new(published);
	if (!watch->published)
		_exit(1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "dracd-guardian");
	if (wait_for_end(watch, turn_msec))
		_exit(0);
	count = watch->published->lookup_count + watch->published->map_count;
	left = withdraw_all(watch->published);
	/* before anything is told: that may be what dracd waited for */
	log_message(LOG_ERR,
		"dracd has died; its leases are withdrawn from %zu of %zu lookups and "
		"maps",
		count - left, count);
	/* else what a dying dracd has begun may come after us */
	if (left == 0 && watch->has_ended)
		published_clear(watch->directory);
	config_unref(watch->published);
	_exit(0);
}

int guardian_start(const struct config *published, int directory, uint64_t watchdog_usec,
	struct guardian *ret)
{
	struct watch watch = {.directory = directory, .turn_msec = -1};
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	watch.pipe = ends[0];
	watch.dracd = pidfd_open(getpid(), 0);
	if (watch.dracd < 0 && watchdog_usec > 0)
		log_errno(LOG_WARNING, -errno, "nobody ends dracd if it hangs");
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		run_guardian(&watch, published, watch.dracd < 0 ? 0 : watchdog_usec);
	}
	close_fd(&watch.dracd);
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return -errno;
	}
	(void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
	*ret = (struct guardian){.pid = pid, .pipe = ends[1]};
	return 0;
}

/* ---- dracd's side ---- */

/* A guardian that reads nothing does not hold us up. */
static int send_order(const struct guardian *guardian, enum order order)
{
	const char octet = (char)order;

	if (guardian->pid == 0)
		return -EPIPE;
	return write(guardian->pipe, &octet, 1) == 1 ? 0 : -errno;
}

int guardian_tell_published(const struct guardian *guardian)
{
	return send_order(guardian, ORDER_PUBLISHED);
}

void guardian_tell_alive(const struct guardian *guardian)
{
	(void)!send_order(guardian, ORDER_ALIVE);
}

void guardian_tell_ending(const struct guardian *guardian)
{
	(void)!send_order(guardian, ORDER_ENDING);
}

void guardian_stop(struct guardian *guardian, bool withdrawn)
{
	if (guardian->pid == 0)
		return;
	if (withdrawn && send_order(guardian, ORDER_CLEAN) < 0)
		log_message(LOG_WARNING, "the guardian is gone");
	close(guardian->pipe);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guardian = (struct guardian){.pipe = -1};
}
