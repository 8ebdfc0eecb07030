/*
 * What stands in a map's file after a failure, and so who is let in by it.
 *
 *   state      in the file                   after a run that
 *
 *   current    what the table said           succeeded
 *   behind     what it said before, or of    failed; nobody is to be shut out, so
 *              an lmdb map a part of what    nobody who is in it loses his place
 *              it says now
 *   withdrawn  the static rows alone: the    failed; somebody was to be shut out, and
 *              spare was put in place        which rows are his cannot be written
 *   stuck      as behind, and somebody in    the same, but there is no spare, or it
 *              it is to be shut out          cannot be put in place
 *
 * A run that succeeds leads from each to current.  One that fails leads on as said, but:
 * withdrawn stays withdrawn, as long as the file is the spare, for nobody is left to be
 * shut out; only a part of a rebuild that is written into it makes it behind.
 *
 * now.is_withdrawn and is_stuck tell the state, shuts_out what is asked for meanwhile.
 * They, has_spare and now.has_published are set here alone.
 */
#include "dracd/map_fallback.h"

#include <errno.h>

#include "dracd/map_file.h"

enum {
	WITHDRAWAL_WAIT_MSEC = 2000, /* for those who have the replaced file locked */
};

/* If not now, then with the next run. */
static int make_spare(struct map_worker *worker)
{
	int r;

	if (map_is_foreign(worker->map)) {
		worker->now.step =
			"overwrite what dracd has not written (move it away first)";
		return -EEXIST;
	}
	/* one with the static rows as they were last good is kept */
	if (map_file_lacks_static(worker->settings.map, worker->access)) {
		if (map_keeps_static(worker))
			(void)!map_remake_spare(worker->map);
		return 0;
	}
	r = map_file_make_spare(worker->map, worker->access);
	worker->has_spare = r == 0;
	if (r == 0 || !worker->now.is_withdrawn)
		return 0;
	/* nobody is let in again who could not be shut out */
	worker->now.step = map_failed_step(worker->map);
	return r;
}

int map_fallback_prepare(struct map_worker *worker, unsigned why, bool rebuild)
{
	if (rebuild) /* perhaps of other static rows */
		worker->has_spare = false;
	if (rebuild || why & (WAKE_ENDS | WAKE_REVOKED))
		worker->shuts_out = true;
	return worker->has_spare ? 0 : make_spare(worker);
}

void map_fallback_distrust(struct map_worker *worker)
{
	worker->now.has_published = false; /* the next is a rebuild */
	worker->shuts_out = true;
}

void map_fallback_note_part(struct map_worker *worker)
{
	/* it is of a snapshot after the withdrawal, which has done what was asked for */
	if (worker->now.is_withdrawn)
		worker->shuts_out = false;
	worker->now.is_withdrawn = false;
}

static bool is_still_withdrawn(const struct map_worker *worker)
{
	struct map_identity in_place;

	return worker->now.is_withdrawn && map_identify(worker->map, &in_place) == 0 &&
	       map_identity_equal(&in_place, &worker->file);
}

static void use_spare(struct map_worker *worker)
{
	int r = map_use_spare(worker->map);

	worker->has_spare = false; /* it is used up, or of no use */
	worker->is_stuck = r < 0;
	worker->now.is_withdrawn = r == 0;
	if (r < 0)
		return;
	if (map_identify(worker->map, &worker->file) < 0)
		worker->file = (struct map_identity){0};
	worker->shuts_out = false;
	worker->now.has_old_static =
		map_file_lacks_static(worker->settings.map, worker->access);
	worker->now.has_published = false; /* the next is a rebuild */
	worker->now.entries = worker->access ? access_count(worker->access) : 0;
}

int map_fallback_fail(struct map_worker *worker, bool has_end, int r)
{
	worker->shuts_out = worker->shuts_out || has_end;
	if (is_still_withdrawn(worker))
		worker->shuts_out = false;
	else if (worker->shuts_out && r != -ESTALE) /* which another run is to follow */
		use_spare(worker);
	return r;
}

void map_fallback_recover(struct map_worker *worker)
{
	worker->shuts_out = false;
	worker->is_stuck = false;
	worker->now.is_withdrawn = false;
	worker->now.has_published = true;
}

int map_fallback_withdraw(struct map_worker *worker)
{
	int r = 0;

	if (!map_keeps_static(worker))
		r = map_file_withdraw(worker->settings.map, worker->map, worker->access);
	worker->now.step = map_failed_step(worker->map);
	worker->now.has_published = false;
	if (r < 0)
		return r;
	if (!map_empty_replaced(worker->map, WITHDRAWAL_WAIT_MSEC))
		map_give_up_replaced(worker->map);
	return 0;
}
