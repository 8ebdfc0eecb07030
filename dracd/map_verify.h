/* Whether the file of a map has the rows that it should. */
#ifndef DRACD_MAP_VERIFY_H
#define DRACD_MAP_VERIFY_H

#include "dracd/map_expect.h"
#include "dracd/map_worker_internal.h"

/* Forgets the result of the last time: a run that fails before it compares has none. */
void map_verify_begin(struct map_worker *worker);

/* Publishes, compares, and if there is a difference publishes anew: as map_publish().
 * worker->now.verified tells the result. */
int map_verify_run(struct map_worker *worker, struct config *config,
	struct blocks *blocks, bool rebuild) __attribute__((warn_unused_result));

#endif
