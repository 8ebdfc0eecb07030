/* Each map by itself, so that one that fails keeps no other from being withdrawn. */
#include "dracd/withdraw.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dracd/config_internal.h"
#include "dracd/log.h"
#include "dracd/map_file.h"
#include "dracd/published.h"

enum {
	TRIES = 4,
	WAIT_SEC = 1,
	EMPTY_WAIT_MSEC = 2000, /* for the readers of a replaced file */
	EMPTY_CPU_SEC = 10,
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
		published_drop_map(config, i);
	}
}

/* The same without room: who has a replaced file open is not told. */
static void withdraw_one_by_one(struct config *config)
{
	for (size_t i = 0; i < config->map_count;) {
		struct map *map = withdraw_map(&config->maps[i]);

		if (map)
			published_drop_map(config, i);
		else
			i++;
		map_close(map);
	}
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
	struct map **maps = calloc(published->map_count + 1, sizeof(struct map *));

	remove_lookups(published);
	for (unsigned i = 0; i < TRIES && published->map_count > 0; i++) {
		if (i > 0)
			(void)sleep(WAIT_SEC);
		if (maps)
			withdraw_each(published, maps);
		else
			withdraw_one_by_one(published);
	}
	if (published->lookup_count > 0)
		remove_lookups(published); /* what was in the way may be over */
	for (size_t i = 0; i < published->map_count; i++)
		log_message(LOG_ERR, "map %s: its leases stay open until dracd is back",
			published->maps[i].name);
	free(maps);
	return published->lookup_count + published->map_count;
}
