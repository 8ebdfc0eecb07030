/*
 * The guardian: a process that outlives dracd for a moment.
 *
 * Whatever ends dracd without a word (kill -9, a crash, the kernel out of memory), the
 * guardian sees the end of a pipe, removes the lookup sockets and publishes every map
 * with its static rows alone; so a dead dracd leaves no relay open.  It holds the lock of
 * the state directory, so a dracd that is started meanwhile waits until it is done.
 */
#ifndef DRACD_GUARDIAN_H
#define DRACD_GUARDIAN_H

#include <sys/types.h>

#include "dracd/config.h"

struct guardian {
	pid_t pid; /* 0: none */
	int pipe;  /* its end tells the guardian that we are gone; -1: none */
};

enum guardian_order {
	GUARDIAN_ADD, /* withdraw these too */
	GUARDIAN_SET, /* withdraw these and no others */
};

/* Forks it; before any thread, and before the table is opened. */
int guardian_start(const struct config *config, struct guardian *ret)
	__attribute__((warn_unused_result));

/* Tells it of the lookups and maps of another configuration.  If it is gone, that has
 * been logged. */
void guardian_tell(const struct guardian *guardian, const struct config *config,
	enum guardian_order order);

/* Waits for its end.  If all is withdrawn already it is told so; else it withdraws. */
void guardian_stop(struct guardian *guardian, bool withdrawn);

#endif
