/*
 * The daemon: the core with its sockets, signals and manager; what main() starts and
 * ends.
 */
#ifndef DRACD_DAEMON_H
#define DRACD_DAEMON_H

#include "dracd/core.h"
#include "dracd/guardian.h"
#include "dracd/lookup.h"
#include "dracd/server.h"

struct daemon_lookup {
	struct lookup lookup;
	struct server *server; /* NULL if its socket could not be bound */
};

struct daemon {
	struct core core;
	struct config *started; /* its sockets are this configuration's, for life */
	uint8_t boot_id[16];
	int directory; /* of the state */
	int lock;      /* of the state directory: one dracd at a time */
	struct guardian guardian;
	int report_fd; /* inherited from systemd; -1: none */
	struct server *report;
	struct server *control;
	size_t lookup_count;
	struct daemon_lookup *lookups;
};

/* Opens state, table, threads; serves once the maps are published.  0, or a negative
 * errno after a message. */
int daemon_start(struct daemon *daemon, const char *config_file, struct config *config)
	__attribute__((warn_unused_result));

/* Runs until a signal ends it.  0, or a negative errno. */
int daemon_run(struct daemon *daemon) __attribute__((warn_unused_result));

/* Lookups first, so that dead is refused at once; then withdraws, stores, closes. */
void daemon_stop(struct daemon *daemon);

/* Loads the configuration again: as core_reload(), with the messages in the log as well.
 */
int daemon_reload(struct daemon *daemon, struct problems *problems)
	__attribute__((warn_unused_result));

#endif
