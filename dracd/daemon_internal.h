/* What the files of the daemon share; for nobody else. */
#ifndef DRACD_DAEMON_INTERNAL_H
#define DRACD_DAEMON_INTERNAL_H

#include "dracd/daemon.h"

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
