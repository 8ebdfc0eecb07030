/*
 * What stands in a map's file when it cannot be brought up to date: see the states in
 * map_fallback.c.  All on the worker's thread.
 */
#ifndef DRACD_MAP_FALLBACK_H
#define DRACD_MAP_FALLBACK_H

#include "dracd/map_worker_internal.h"

/* Before a run for the reasons why: whether it may shut out somebody; and the spare is
 * made, if there is none of the static rows as they are.  -EEXIST: nothing is to be
 * written, as what is in place is foreign; another error: it is withdrawn, and is to stay
 * so, as no spare can be made. */
int map_fallback_prepare(struct map_worker *worker, unsigned why, bool rebuild)
	__attribute__((warn_unused_result));

/* What stands there is not what was published: somebody may be in it who must not. */
void map_fallback_distrust(struct map_worker *worker);

/* A failed change has written a part of itself. */
void map_fallback_note_part(struct map_worker *worker);

/* A publication has failed, with r; with has_end it would have ended a lease.  Returns r.
 */
int map_fallback_fail(struct map_worker *worker, bool has_end, int r);

/* One has succeeded. */
void map_fallback_recover(struct map_worker *worker);

/* The static rows alone are to stand there, as the map is no longer ours. */
int map_fallback_withdraw(struct map_worker *worker) __attribute__((warn_unused_result));

#endif
