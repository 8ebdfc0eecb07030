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

/* A lookup that is offered. */
struct daemon_lookup {
	struct core *core;
	struct config *config; /* that settings stands in */
	const struct lookup_settings *settings;
	const struct protocol *protocol;
	struct lookup lookup;
	struct server *server;
};

struct lookup_set {
	size_t count;
	struct daemon_lookup **items;
};

struct daemon {
	struct core core;
	const char *config_file; /* borrowed */
	struct config *started;  /* state directory, report and control socket are this
				    configuration's, for life */
	uint8_t boot_id[16];
	int directory; /* of the state */
	int lock;      /* of the state directory: one dracd at a time */
	struct guardian guardian;
	struct config *published; /* what the guardian withdraws */
	struct config *left; /* of it what we have not opened, and could not withdraw;
				NULL: nothing */
	bool is_ready;       /* the maps are published, and the manager has been told */
	int report_fd;       /* inherited from systemd; -1: none */
	bool is_importing;   /* one at a time */
	unsigned end_steps;  /* of daemon_end(); 0: it has not begun */
	struct server *report;
	struct server *control;
	struct lookup_set lookups;
};

/* Opens state, table, threads and sockets; tells the manager that it is ready once the
 * maps are published.  0, or a negative errno after a message. */
int daemon_start(struct daemon *daemon, const char *config_file, struct config *config)
	__attribute__((warn_unused_result));

/* Runs until a signal ends it.  0, or a negative errno. */
int daemon_run(struct daemon *daemon) __attribute__((warn_unused_result));

/* Begins the end: the loop ends when the connected reporters have their answers, and in
 * 200 ms at the latest. */
int daemon_end(struct daemon *daemon);

/* Lookups first, so that dead is refused at once; then withdraws, stores, closes. */
void daemon_stop(struct daemon *daemon);

/* Loads the configuration again, as one transaction: first all that can fail, and if
 * anything does, the old one stays in force, whole.  Lookups and maps that are as before
 * go on undisturbed.  0, or a negative errno; problems, which are logged as well, say
 * more. */
int daemon_reload(struct daemon *daemon, struct problems *problems)
	__attribute__((warn_unused_result));

#endif
