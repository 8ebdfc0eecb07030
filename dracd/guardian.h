/*
 * The guardian: a process that outlives dracd for a moment.
 *
 * Whatever ends dracd without a word (kill -9, a crash, the kernel out of memory), the
 * guardian sees the end of a pipe, removes the lookup sockets and publishes every map
 * with its static rows alone; so a dead dracd leaves no relay open.  One that hangs it
 * kills first.  It holds the lock of the state directory, so a dracd that is started
 * meanwhile waits until it is done.
 */
#ifndef DRACD_GUARDIAN_H
#define DRACD_GUARDIAN_H

#include <stdint.h>
#include <sys/types.h>

#include "dracd/config.h"

struct guardian {
	pid_t pid; /* 0: none */
	int pipe;  /* its end tells the guardian that we are gone; -1: none */
};

/* Forks it, to withdraw what is published (published.h), of which the file in the
 * directory tells; before any thread, and before the table is opened.  With watchdog_usec
 * it kills a dracd of which it has not heard for so long, once it has heard of it; 0: it
 * never does. */
int guardian_start(const struct config *published, int directory, uint64_t watchdog_usec,
	struct guardian *ret) __attribute__((warn_unused_result));

/* Tells it that the file has changed.  -EAGAIN: it hangs; -EPIPE: it is gone. */
int guardian_tell_published(const struct guardian *guardian)
	__attribute__((warn_unused_result));

/* Tells it that we are alive, that we end and need not be alive.  No matter if it hangs.
 */
void guardian_tell_alive(const struct guardian *guardian);
void guardian_tell_ending(const struct guardian *guardian);

/* Waits for its end.  If all is withdrawn already it is told so; else it withdraws. */
void guardian_stop(struct guardian *guardian, bool withdrawn);

#endif
