/* The guardian knows of dracd only that a pipe has ended; so it works however dracd died.
 */
#include "dracd/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/config_internal.h"
#include "dracd/log.h"
#include "dracd/map_file.h"

enum {
	TEXTS = 5, /* of a message */
	WITHDRAW_TRIES = 4,
	WITHDRAW_WAIT_USEC = 1000000,
	EMPTY_WAIT_MSEC = 2000, /* for the readers of a replaced file */
	EMPTY_CPU_SEC = 10,
};

/* What comes through the pipe, from ourselves to ourselves: this, and the texts. */
struct message {
	enum {
		MESSAGE_LOOKUP, /* text: path */
		MESSAGE_MAP,    /* texts: name, path, file; static file, value: if any */
		MESSAGE_ADD,    /* those before this are withdrawn too */
		MESSAGE_SET,    /* those before this are all that is withdrawn */
		MESSAGE_CLEAN,  /* there is nothing to withdraw any more */
	} kind;

	struct map_config map; /* without its texts */
	uint32_t lengths[TEXTS];
};

enum {
	TEXT_MAX = 1024 * 1024 /* more than a configuration has */
};

/* ---- what is guarded ---- */

static int add_lookup(struct config *to, const char *path)
{
	struct lookup_settings *grown =
		reallocarray(to->lookups, to->lookup_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	to->lookups = grown;
	grown += to->lookup_count;
	*grown = (struct lookup_settings){.socket.path = strdup(path)};
	if (!grown->socket.path)
		return -ENOMEM;
	to->lookup_count++;
	return 0;
}

static int add_map(struct config *to, const struct map_config *map)
{
	struct map_config *grown =
		reallocarray(to->maps, to->map_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	to->maps = grown;
	grown += to->map_count++;
	*grown = *map;
	grown->name = strdup(map->name);
	grown->path = strdup(map->path);
	grown->file = strdup(map->file);
	grown->static_path = map->static_path ? strdup(map->static_path) : NULL;
	grown->value = map->value ? strdup(map->value) : NULL;
	return grown->name && grown->path && grown->file &&
			       !grown->static_path == !map->static_path &&
			       !grown->value == !map->value
		       ? 0
		       : -ENOMEM;
}

static bool has_lookup(const struct config *config, const char *path)
{
	for (size_t i = 0; i < config->lookup_count; i++)
		if (strcmp(config->lookups[i].socket.path, path) == 0)
			return true;
	return false;
}

static void drop_map(struct config *config, size_t index)
{
	struct map_config *map = &config->maps[index];

	config_done_section(SCOPE_MAP, map);
	memmove(map, map + 1, (--config->map_count - index) * sizeof(*map));
}

/* Of several maps with one path the last withdrawal is what stands there in the end, so
 * one that is there already moves to the end. */
static int add_newest_map(struct config *to, const struct map_config *map)
{
	for (size_t i = to->map_count; i > 0; i--)
		if (config_same_map(&to->maps[i - 1], map))
			drop_map(to, i - 1);
	return add_map(to, map);
}

/* Adds the lookups and maps of from. */
static int add_all(struct config *to, const struct config *from)
{
	int r = 0;

	for (size_t i = 0; i < from->lookup_count && r == 0; i++)
		if (!has_lookup(to, from->lookups[i].socket.path))
			r = add_lookup(to, from->lookups[i].socket.path);
	for (size_t i = 0; i < from->map_count && r == 0; i++)
		r = add_newest_map(to, &from->maps[i]);
	return r;
}

static struct config *new_guarded(const struct config *from)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->references = 1;
	return from && add_all(config, from) < 0 ? config_unref(config) : config;
}

/* ---- the pipe ---- */

static int read_all(int pipe, void *data, size_t length)
{
	char *at = data;

	while (length > 0) {
		ssize_t got = read(pipe, at, length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EPIPE;
		at += got;
		length -= (size_t)got;
	}
	return 0;
}

/* A message with its texts, each NULL if it was.  -EPIPE at the end of the pipe. */
static int read_message(int pipe, struct message *ret, char *ret_texts[TEXTS])
{
	int r = read_all(pipe, ret, sizeof(*ret));

	for (int i = 0; i < TEXTS && r == 0; i++) {
		if (ret->lengths[i] == 0)
			continue;
		if (ret->lengths[i] > TEXT_MAX)
			return -EBADMSG;
		ret_texts[i] = calloc(1, ret->lengths[i] + 1);
		if (!ret_texts[i])
			return -ENOMEM;
		r = read_all(pipe, ret_texts[i], ret->lengths[i]);
	}
	return r;
}

static int add_message(
	struct config *to, const struct message *message, char *const texts[TEXTS])
{
	struct map_config map = message->map;

	if (message->kind == MESSAGE_LOOKUP)
		return add_lookup(to, texts[0]);
	map.name = texts[0];
	map.path = texts[1];
	map.file = texts[2];
	map.static_path = texts[3];
	map.value = texts[4];
	return add_map(to, &map);
}

/* Reads what belongs to one order.  Returns its kind, or a negative errno. */
static int read_order(int pipe, struct config *ret)
{
	struct message message;
	int r;

	for (;;) {
		char *texts[TEXTS] = {0};

		r = read_message(pipe, &message, texts);
		if (r == 0 && message.kind <= MESSAGE_MAP)
			r = add_message(ret, &message, texts);
		for (int i = 0; i < TEXTS; i++)
			free(texts[i]);
		if (r < 0)
			return r;
		if (message.kind > MESSAGE_MAP)
			return (int)message.kind;
	}
}

/* Follows orders until dracd ends.  1: it has ended cleanly; 0: the pipe has ended
 * without a word; a negative errno: dracd lives, but cannot be guarded any more. */
static int wait_for_end(int pipe, struct config **guarded)
{
	for (;;) {
		struct config *told = new_guarded(NULL);
		int order = told ? read_order(pipe, told) : -ENOMEM;

		if (order == MESSAGE_SET) {
			config_unref(*guarded);
			*guarded = told;
			continue;
		}
		if (order == MESSAGE_ADD && add_all(*guarded, told) < 0)
			order = -ENOMEM;
		config_unref(told);
		if (order == -EPIPE)
			return 0;
		if (order != MESSAGE_ADD)
			return order == MESSAGE_CLEAN ? 1 : order;
	}
}

static int write_all(int pipe, const void *data, size_t length)
{
	const char *at = data;

	while (length > 0) {
		ssize_t written = write(pipe, at, length);

		if (written < 0)
			return -errno;
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_message(int pipe, struct message message, const char *const texts[TEXTS])
{
	int r;

	message.map.name = message.map.path = message.map.file = NULL;
	message.map.static_path = message.map.value = NULL;
	for (int i = 0; i < TEXTS; i++)
		message.lengths[i] = texts[i] ? (uint32_t)strlen(texts[i]) : 0;
	r = write_all(pipe, &message, sizeof(message));
	for (int i = 0; i < TEXTS && r == 0; i++)
		r = write_all(pipe, texts[i], message.lengths[i]);
	return r;
}

static int write_order(int pipe, const struct config *config, int order)
{
	const char *const none[TEXTS] = {NULL};
	int r = 0;

	for (size_t i = 0; i < config->lookup_count && r == 0; i++)
		r = write_message(pipe, (struct message){.kind = MESSAGE_LOOKUP},
			(const char *const[TEXTS]){config->lookups[i].socket.path});
	for (size_t i = 0; i < config->map_count && r == 0; i++) {
		const struct map_config *map = &config->maps[i];

		r = write_message(pipe,
			(struct message){.kind = MESSAGE_MAP, .map = *map},
			(const char *const[TEXTS]){map->name, map->path, map->file,
				map->static_path, map->value});
	}
	return r == 0 ? write_message(
				pipe, (struct message){.kind = (unsigned)order}, none)
		      : r;
}

/* ---- withdrawing ---- */

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

/* In a process of its own, as a file that is damaged, which we cannot know, may crash it,
 * or keep it busy for ever. */
static void run_emptying(const struct map_config *config, struct map *map)
{
	const struct rlimit limit = {EMPTY_CPU_SEC, EMPTY_CPU_SEC};

	(void)setrlimit(RLIMIT_CPU, &limit);
	if (!map_empty_replaced(map, EMPTY_WAIT_MSEC))
		log_message(LOG_WARNING,
			"map %s: withdrawn, but not from who keeps the old file locked",
			config->name);
	_exit(0);
}

static void start_emptying(const struct map_config *config, struct map *map)
{
	pid_t child = fork();

	if (child == 0)
		run_emptying(config, map);
	if (child < 0)
		log_errno(LOG_WARNING, -errno,
			"map %s: withdrawn, but not from who has the old file open",
			config->name);
}

/* Once all are published: who has a replaced file open sees no lease any more either. All
 * at a time, so that those with a reader who stays cost the time of one. */
static void empty_replaced(const struct config *config, struct map *const *maps)
{
	for (size_t i = 0; i < config->map_count; i++)
		if (maps[i] && map_type_is_in_place(config->maps[i].type))
			start_emptying(&config->maps[i], maps[i]);
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

/* Withdraws all maps and drops those that it could from config; maps has room for as
 * many. */
static void withdraw_each(struct config *config, struct map **maps)
{
	for (size_t i = 0; i < config->map_count; i++)
		maps[i] = withdraw_map(&config->maps[i]);
	empty_replaced(config, maps);
	for (size_t i = config->map_count; i-- > 0;) {
		if (!maps[i])
			continue;
		map_close(maps[i]);
		drop_map(config, i);
	}
}

/* The same without room: who has a replaced file open is not told. */
static void withdraw_one_by_one(struct config *config)
{
	for (size_t i = 0; i < config->map_count;) {
		struct map *map = withdraw_map(&config->maps[i]);

		if (map)
			drop_map(config, i);
		else
			i++;
		map_close(map);
	}
}

/* Tries all maps, and those that fail again; but not for ever, as dracd waits for us to
 * start. */
static void withdraw_maps(struct config *config)
{
	struct map **maps = calloc(config->map_count + 1, sizeof(struct map *));

	for (unsigned i = 0; i < WITHDRAW_TRIES && config->map_count > 0; i++) {
		if (i > 0)
			usleep(WITHDRAW_WAIT_USEC);
		if (maps)
			withdraw_each(config, maps);
		else
			withdraw_one_by_one(config);
	}
	for (size_t i = 0; i < config->map_count; i++)
		log_message(LOG_ERR, "map %s: its leases stay open until dracd is back",
			config->maps[i].name);
	free(maps);
}

/* ---- life ---- */

/* A session of its own, so that a terminal's Ctrl-C or hang-up is dracd's alone. */
static void run_guardian(const struct config *started, int pipe)
{
	struct config *config = new_guarded(started);
	sigset_t all;
	int end;

	if (!config)
		_exit(1);

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "dracd-guardian");
	end = wait_for_end(pipe, &config);
	if (end < 0)
		log_errno(LOG_ERR, end, "the guardian cannot follow dracd");
	if (end != 0)
		_exit(end < 0);
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

void guardian_tell(const struct guardian *guardian, const struct config *config,
	enum guardian_order order)
{
	int r;

	if (guardian->pid == 0)
		return;
	r = write_order(guardian->pipe, config,
		order == GUARDIAN_ADD ? MESSAGE_ADD : MESSAGE_SET);
	if (r < 0)
		log_errno(LOG_ERR, r, "the guardian is gone");
}

static void tell_clean(const struct guardian *guardian)
{
	const char *const none[TEXTS] = {NULL};

	if (write_message(guardian->pipe, (struct message){.kind = MESSAGE_CLEAN}, none) <
		0)
		log_message(LOG_WARNING, "the guardian is gone");
}

void guardian_stop(struct guardian *guardian, bool withdrawn)
{
	if (guardian->pid == 0)
		return;
	if (withdrawn)
		tell_clean(guardian);
	close(guardian->pipe);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guardian = (struct guardian){.pipe = -1};
}
