/* What of a map the administrator writes, and what is kept of it: its static file, the
 * spare, and a list of his own that stands in its place. */
#include <errno.h>

#include "dracd/map_file.h"
#include "dracd/map_worker_internal.h"

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int map_refresh_static(struct map_worker *worker, bool *rebuild)
{
	const char *path = worker->settings.map->static_path;
	struct access_problem problem = {0};
	struct access *access;
	struct stat status;
	int r;

	worker->now.static_problem = NULL;
	if (!path)
		return 0;
	if (stat(path, &status) < 0)
		return -errno;
	if (worker->access && same_file(&status, &worker->access_status))
		return 0;
	r = access_read(path, &access, &problem);
	if (r < 0) {
		worker->now.static_line = problem.line;
		worker->now.static_problem = problem.text;
		return r;
	}
	access_free(worker->access);
	worker->access = access;
	worker->access_status = status;
	*rebuild = true;
	return 0;
}

bool map_keeps_static(const struct map_worker *worker)
{
	struct map_identity in_place;

	return map_file_lacks_static(worker->settings.map, worker->access) &&
	       worker->now.has_old_static && map_identify(worker->map, &in_place) == 0 &&
	       map_identity_equal(&in_place, &worker->file);
}

int map_restore_static(struct map_worker *worker)
{
	int r;

	if (map_keeps_static(worker))
		return 0;
	r = map_file_restore(worker->map, &worker->file);
	if (r < 0)
		return r;
	worker->now.has_old_static = r != MAP_FILE_BARE;
	worker->now.entries = worker->deletes = 0;
	worker->needs_new_file = false;
	return 0;
}
