/* Each map by itself, so that one that fails, crashes us, or is on a file system that
 * hangs keeps no other from being withdrawn. */
#include "dracd/withdraw.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dracd/clock.h"
#include "dracd/config_internal.h"
#include "dracd/log.h"
#include "dracd/map_file.h"
#include "dracd/published.h"

enum {
	TRIES = 4,
	WAIT_SEC = 1,
	EMPTY_WAIT_MSEC = 2000, /* for the readers of a replaced file */
	EMPTY_CPU_SEC = 10,
	GIVE_UP_SEC = 20,
};

static struct access *read_static(const struct map_config *config)
{
	struct access_problem problem = {0};
	struct access *access;
	int r;

	if (!config->static_path)
		return NULL;
	r = access_read(config->static_path, &access, &problem);
	if (r == 0)
		return access;
	if (problem.text)
		log_message(LOG_ERR, "map %s: %s:%u: %s", config->name,
			config->static_path, problem.line, problem.text);
	else
		log_errno(LOG_ERR, r, "map %s: cannot read %s", config->name,
			config->static_path);
	return NULL;
}

/* NULL: it is not withdrawn.  Whoever has the replaced file open is not told yet. */
static struct map *withdraw_map(const struct map_config *config)
{
	struct access *access = read_static(config);
	struct map *map = NULL;
	int r;

	r = map_file_open(config, &map);
	if (r == 0) {
		map_trust_published(map);
		r = map_file_withdraw(config, map, access);
	}
	if (r >= 0 && map_file_lacks_static(config, access))
		log_message(LOG_ERR, "map %s: withdrawn with %s of %s", config->name,
			r == MAP_FILE_BARE ? "no row" : "the rows of the last good state",
			config->static_path);
	if (r < 0) {
		log_errno(LOG_ERR, r, "map %s: cannot withdraw %s", config->name,
			config->path);
		map = map_close(map);
	}
	access_free(access);
	return map;
}

/* Who has the replaced file open sees no lease any more either. */
static void empty_replaced(const struct map_config *config, struct map *map)
{
	/* a file that is damaged, which we cannot know, may keep us busy for ever */
	const struct rlimit limit = {EMPTY_CPU_SEC, EMPTY_CPU_SEC};

	(void)setrlimit(RLIMIT_CPU, &limit);
	if (!map_empty_replaced(map, EMPTY_WAIT_MSEC))
		log_message(LOG_WARNING,
			"map %s: withdrawn, but not from who keeps the old file locked",
			config->name);
}

static struct map *withdraw_patiently(const struct map_config *config)
{
	struct map *map = withdraw_map(config);

	for (unsigned i = 1; i < TRIES && !map; i++) {
		(void)sleep(WAIT_SEC);
		map = withdraw_map(config);
	}
	return map;
}

/* ---- each map in a process of its own ---- */

/* One does a map, and those behind it that have the same file. */
struct task {
	pid_t child; /* 0: none, or it has ended; -1: it could not be started */
	bool is_second;
	bool is_withdrawn; /* set by the child, as the memory is shared */
};

static bool same_file(const struct map_config *a, const struct map_config *b)
{
	return strcmp(a->file, b->file) == 0;
}

static bool is_first_of_file(const struct config *config, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (same_file(&config->maps[i], &config->maps[index]))
			return false;
	return true;
}

static void withdraw_file(
	const struct config *config, struct task *tasks, size_t first, bool has_process)
{
	for (size_t i = first; i < config->map_count; i++) {
		const struct map_config *one = &config->maps[i];
		struct map *map;

		if (!same_file(&config->maps[first], one))
			continue;
		map = withdraw_patiently(one);
		tasks[i].is_withdrawn = map != NULL;
		if (map && map_type_is_in_place(one->type)) {
			if (has_process)
				empty_replaced(one, map);
			else
				log_message(LOG_WARNING,
					"map %s: withdrawn, but not from who has the old file "
					"open: no room for a process",
					one->name);
		}
		map_close(map);
	}
}

/* No descriptor of ours is kept: what hangs in a file system holds no lock.  It ends with
 * us, whatever ends us: what it does later could undo what the next dracd does. */
static pid_t start_child(const struct config *config, struct task *tasks, size_t first)
{
	const pid_t parent = getpid();
	pid_t child = fork();

	if (child != 0)
		return child;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	(void)prctl(PR_SET_NAME, "dracd-withdraws");
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	withdraw_file(config, tasks, first, true);
	_exit(0);
}

/* Without room for a process it is done here, last, as it can hold us up; and then who
 * has a replaced file open is not told. */
static void start_all(const struct config *config, struct task *tasks, bool is_shared)
{
	for (size_t i = 0; i < config->map_count; i++)
		if (is_first_of_file(config, i))
			tasks[i].child = is_shared ? start_child(config, tasks, i) : -1;
	for (size_t i = 0; i < config->map_count; i++)
		if (tasks[i].child < 0) {
			tasks[i].child = 0;
			withdraw_file(config, tasks, i, false);
		}
}

/* Takes note of the children that have ended; one that was killed, as for want of memory,
 * is started once more.  True if none is left. */
static bool have_ended(const struct config *config, struct task *tasks)
{
	bool is_last = true;

	for (size_t i = 0; i < config->map_count; i++) {
		struct task *task = &tasks[i];
		int status = 0;
		pid_t ended;

		if (task->child == 0)
			continue;
		ended = waitpid(task->child, &status, WNOHANG);
		if (ended > 0 || (ended < 0 && errno == ECHILD))
			task->child = 0;
		if (WIFSIGNALED(status) && !task->is_withdrawn && !task->is_second) {
			task->is_second = true;
			task->child = start_child(config, tasks, i);
			if (task->child < 0)
				task->child = 0;
		}
		is_last = is_last && task->child == 0;
	}
	return is_last;
}

static void mark_file(struct config *config, const struct task *tasks, size_t first)
{
	for (size_t i = first; i < config->map_count; i++)
		if (same_file(&config->maps[first], &config->maps[i]))
			config->maps[i].does_hang = !tasks[i].is_withdrawn;
}

/* What hangs is killed: should it go on one day, it must not replace what is there by
 * then.  It may not end even now. */
static void give_up(struct config *config, struct task *tasks)
{
	for (size_t i = 0; i < config->map_count; i++) {
		if (tasks[i].child == 0)
			continue;
		kill(tasks[i].child, SIGKILL);
		tasks[i].is_second = true;
		mark_file(config, tasks, i);
		if (!tasks[i].is_withdrawn)
			log_message(LOG_ERR,
				"map %s: %s does not answer; given up after %d s",
				config->maps[i].name, config->maps[i].path, GIVE_UP_SEC);
	}
}

/* True if they do within so many seconds. */
static bool end_within(const struct config *config, struct task *tasks,
	const sigset_t *end, unsigned sec)
{
	const uint64_t until = clock_add(clock_now().boot_usec, sec * USEC_PER_SEC);
	const struct timespec while_none_ends = {.tv_sec = 1};

	while (!have_ended(config, tasks)) {
		if (clock_now().boot_usec >= until)
			return false;
		(void)sigtimedwait(end, NULL, &while_none_ends);
	}
	return true;
}

static void await_all(struct config *config, struct task *tasks)
{
	sigset_t end, before;

	sigemptyset(&end);
	sigaddset(&end, SIGCHLD);
	sigprocmask(SIG_BLOCK, &end, &before);
	if (!end_within(config, tasks, &end, GIVE_UP_SEC)) {
		give_up(config, tasks);
		(void)end_within(config, tasks, &end, 1);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void withdraw_maps(struct config *published)
{
	const size_t count = published->map_count;
	struct task *shared = mmap(NULL, count * sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct task *own = NULL, *tasks = shared;

	if (shared == MAP_FAILED)
		tasks = own = calloc(count, sizeof(*own));
	if (!tasks) {
		log_errno(LOG_ERR, -ENOMEM, "cannot withdraw the maps");
		return;
	}
	start_all(published, tasks, !own);
	await_all(published, tasks);
	for (size_t i = count; i-- > 0;)
		if (tasks[i].is_withdrawn)
			published_drop_map(published, i);
	if (!own)
		munmap(shared, count * sizeof(*shared));
	free(own);
}

/* What is there instead of a socket is somebody else's. */
static int remove_socket(const char *path)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode) || unlink(path) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

/* Drops those that are gone. */
static void remove_lookups(struct config *published)
{
	size_t kept = 0;

	for (size_t i = 0; i < published->lookup_count; i++) {
		struct lookup_settings *lookup = &published->lookups[i];
		int r = remove_socket(lookup->socket.path);

		if (r == 0) {
			config_done_section(SCOPE_LOOKUP, lookup);
			continue;
		}
		log_errno(LOG_ERR, r, "cannot remove socket %s", lookup->socket.path);
		published->lookups[kept++] = *lookup;
	}
	published->lookup_count = kept;
}

size_t withdraw_all(struct config *published)
{
	remove_lookups(published);
	if (published->map_count > 0)
		withdraw_maps(published);
	if (published->lookup_count > 0)
		remove_lookups(published); /* what was in the way may be over */
	for (size_t i = 0; i < published->map_count; i++)
		log_message(LOG_ERR, "map %s: its leases stay open until dracd is back",
			published->maps[i].name);
	return published->lookup_count + published->map_count;
}
