/*
 * The publisher: the loop's side of all map workers.
 *
 * It passes on why they should run, knows how far each has come, hands what of the feed
 * is done with to the store, raises and clears their alarms in the log, and watches the
 * static files.
 */
#ifndef DRACD_PUBLISH_H
#define DRACD_PUBLISH_H

#include <systemd/sd-event.h>

#include "dracd/map_worker.h"
#include "dracd/store.h"

struct publisher;

struct publisher_settings {
	sd_event *event;
	struct table *table;
	struct store *store;
	void (*progressed)(void *context); /* on the loop, after reports of workers */
	void *context;
};

/* Starts a worker for each map of config; each publishes once at once. */
int publisher_start(const struct publisher_settings *settings, struct config *config,
	struct blocks *blocks, struct publisher **ret)
	__attribute__((warn_unused_result));

/* From now on under this configuration; with rebuild because rows in the maps may not fit
 * it.  Maps that are as before go on; those that are gone or different are withdrawn; new
 * ones start.  0, or -ENOMEM and nothing is changed. */
int publisher_set_config(struct publisher *publisher, struct config *config, bool rebuild)
	__attribute__((warn_unused_result));

/* Withdraws the maps in left that the configuration does not have, as it does those that
 * a reload has dropped.  0 or a negative errno: then not all. */
int publisher_take_left(struct publisher *publisher, struct config *left)
	__attribute__((warn_unused_result));

void publisher_set_blocks(struct publisher *publisher, struct blocks *blocks);

/* The maps of earlier configurations that are still to be withdrawn. */
size_t publisher_leaving_count(const struct publisher *publisher);
const struct map_config *publisher_leaving(
	const struct publisher *publisher, size_t index);

/* True if that has been tried in vain. */
bool publisher_cannot_leave(const struct publisher *publisher);

/* Wakes all workers; why as in map_worker.h.  NULL is a no-op: dracd is ending. */
void publisher_wake(struct publisher *publisher, unsigned why);

/* The same for somebody who waits: they begin by due (boot clock) at the latest. */
void publisher_wake_by(struct publisher *publisher, unsigned why, uint64_t due);

/* Wakes the map of that name, or with NULL all, for somebody who wants to know the
 * result.  -ENOENT: there is no such map. */
int publisher_ask(struct publisher *publisher, const char *name, unsigned why)
	__attribute__((warn_unused_result));

/* How many maps have not yet done what they were asked for. */
unsigned publisher_unanswered(const struct publisher *publisher);

/* True once every worker has tried to publish. */
bool publisher_is_ready(const struct publisher *publisher);

size_t publisher_map_count(const struct publisher *publisher);
const struct map_config *publisher_map(const struct publisher *publisher, size_t index);
const struct map_report *publisher_report(
	const struct publisher *publisher, size_t index);

/* How many maps have not yet applied the table up to sequence, or with settled have not
 * yet done what they were asked for.  Maps in error state are not waited for, and counted
 * in *ret_failed. */
unsigned publisher_late(const struct publisher *publisher, uint64_t sequence,
	bool settled, unsigned *ret_failed);

/* How many maps let nobody in, as their static files have never been read. */
unsigned publisher_barred(const struct publisher *publisher);

/* Up to which deadline (boot clock) every map has published the ends. */
uint64_t publisher_ends_through(const struct publisher *publisher);

/* Withdraws: publishes the static rows alone, ends the workers, frees.  True if every map
 * is withdrawn.  NULL: nothing was withdrawn, false. */
bool publisher_stop(struct publisher *publisher);

#endif
