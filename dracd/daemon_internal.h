/* What the files of the daemon share; for nobody else. */
#ifndef DRACD_DAEMON_INTERNAL_H
#define DRACD_DAEMON_INTERNAL_H

#include "dracd/daemon.h"

/* Withdraws what a dracd that died has left open, and starts the guardian; before any
 * thread.  0, or a negative errno after a message. */
int daemon_guard(struct daemon *daemon) __attribute__((warn_unused_result));

/* Goes on withdrawing what that could not, now that the publisher can.  0 or a negative
 * errno. */
int daemon_take_left(struct daemon *daemon) __attribute__((warn_unused_result));

/* Adds the guardian to the loop, and what tells it that the loop runs. */
int daemon_watch_guardian(struct daemon *daemon) __attribute__((warn_unused_result));

/* Before the lookups and maps of config are published, besides those that are: 0, or a
 * negative errno after a message. */
int daemon_publish_also(struct daemon *daemon, const struct config *config)
	__attribute__((warn_unused_result));

/* When no others are published any more. */
void daemon_publish_only(struct daemon *daemon, const struct config *config);

/* Ends the guardian.  If all is withdrawn it has nothing to do; else it withdraws. */
void daemon_unguard(struct daemon *daemon, bool withdrawn);

/* Opens the report and the control socket.  0, or a negative errno after a message. */
int daemon_open_sockets(struct daemon *daemon) __attribute__((warn_unused_result));

/* The lookups of config: those as before are the daemon's own, the others are bound, but
 * nobody sees them yet.  On an error, which problems tells, nothing has changed. */
int daemon_prepare_lookups(struct daemon *daemon, struct config *config,
	struct lookup_set *ret, struct problems *problems)
	__attribute__((warn_unused_result));

/* Makes them the daemon's: what is new appears, what is gone closes. */
void daemon_take_lookups(struct daemon *daemon, struct lookup_set *set);

/* Gives up what daemon_prepare_lookups() has made. */
void daemon_drop_lookups(struct daemon *daemon, struct lookup_set *set);

#endif
