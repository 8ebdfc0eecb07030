/*
 * A map worker: the one thread that writes one map.
 *
 * Woken by the publisher, it copies from a snapshot of the table what its map has not yet
 * applied (or all keys, for a rebuild), drops the snapshot, and only then touches the
 * file. How often it may publish is the map's interval; when idle it publishes at once.
 */
#ifndef DRACD_MAP_WORKER_H
#define DRACD_MAP_WORKER_H

#include "dracd/block.h"
#include "dracd/config.h"
#include "dracd/table.h"

/* Why a worker is woken; bits. */
enum {
	WAKE_CHANGES = 1 << 0,  /* the feed has grown */
	WAKE_ENDS = 1 << 1,     /* leases have ended */
	WAKE_REBUILD = 1 << 2,  /* rules or the static file changed, or somebody asks */
	WAKE_REVOKED = 1 << 4,  /* somebody is shut out: at once, whatever the interval */
	WAKE_WITHDRAW = 1 << 3, /* publish the static rows alone, and stop */
	WAKE_LEAVE = 1 << 5,    /* the same, but stop only when that has succeeded */
	WAKE_CHECK = 1 << 6,    /* look whether the file is still the one published */
	WAKE_RETRY = 1 << 7,    /* what was in the way of a failed run may be gone */
	WAKE_ASKED = 1 << 8,    /* see map_worker_ask() */
	WAKE_VERIFY = 1 << 9,   /* compare the file with the table */
	WAKE_REPEAT = 1 << 10,  /* a run has failed: the next is a rebuild */
	/* with WAKE_CHECK: try to empty replaced files, which asks for a check itself */
	WAKE_EMPTY = 1 << 11,
};

/* What the last verification has come to. */
struct map_verified {
	enum {
		MAP_VERIFIED_NOT, /* it could not be tried; the text says why */
		MAP_VERIFIED_SAME,
		MAP_VERIFIED_DIFFERENT,  /* the text says in what */
		MAP_VERIFIED_UNREADABLE, /* the text says why */
		MAP_VERIFIED_STOPPED,    /* it will be tried again */
	} result;

	uint64_t count; /* how many there have been */
	uint64_t rows;
	char text[400];
};

/* What a worker has come to; a copy for the loop. */
struct map_report {
	uint64_t answered;    /* the latest map_worker_ask() that has been done */
	int error;            /* 0, or the negative errno of the last run */
	int table_error;      /* of its reading the table */
	const char *step;     /* what it was doing; static */
	int static_error;     /* of the static file: the rows of the last good one stay */
	unsigned static_line; /* where it is malformed; 0: as a whole */
	const char *static_problem; /* what is wrong with it, static; NULL: see
				       static_error */
	bool has_static;            /* its rows are known, from now or before */
	bool has_old_static; /* they are not, but in the map, from before dracd started */
	bool is_withdrawn;   /* for want of room: the file holds the static rows alone */
	bool has_published;  /* the file in place is ours, of this run of dracd */
	uint64_t sequence;   /* of the table, applied */
	uint64_t ends_through; /* boot clock: ends up to here are applied */
	uint64_t published_boot_usec;
	uint64_t published_wall_usec;
	uint64_t duration_usec; /* of the last publication */
	uint64_t slowest_usec;  /* that a change had to wait for its publication */
	uint64_t entries;
	uint64_t unexpressed; /* leases that this map cannot hold, since the last rebuild
			       */
	const char *found;    /* what someone else has done to the file last, static */
	uint64_t found_count; /* how often */
	uint64_t found_boot_usec;
	uint64_t given_up_count; /* replaced files that have rows still */
	uint64_t given_up_boot_usec;
	struct map_verified verified;
};

struct map_worker;

struct map_worker_settings {
	const struct map_config *map; /* borrowed, as all here */
	struct table *table;
	void (*reported)(void *context); /* called on the worker's thread */
	void *context;
	bool leaves; /* WAKE_LEAVE is all it does */
};

int map_worker_start(const struct map_worker_settings *settings, struct config *config,
	struct blocks *blocks, struct map_worker **ret)
	__attribute__((warn_unused_result));

/* Wakes it for these reasons, from now on under these rules (references are taken).
 * Somebody waits for it if due is not UINT64_MAX: it then begins by that time (boot
 * clock), whatever the interval. */
void map_worker_wake(struct map_worker *worker, unsigned why, uint64_t due,
	struct config *config, struct blocks *blocks);

/* The same for somebody who wants to know the result, as soon as may be: in a report with
 * this number in answered, or a higher one. */
uint64_t map_worker_ask(struct map_worker *worker, unsigned why, struct config *config,
	struct blocks *blocks);

struct map_report map_worker_report(struct map_worker *worker);

/* Waits for the withdrawal that it was woken for; true if it succeeded.  *ret_report
 * tells. */
bool map_worker_withdraw(struct map_worker *worker, struct map_report *ret_report);

/* True once it has withdrawn and its thread has ended. */
bool map_worker_has_withdrawn(struct map_worker *worker);

/* Ends the thread (after a run under way, and after a withdrawal that was asked for) and
 * frees it.  NULL is a no-op.  Returns NULL. */
struct map_worker *map_worker_stop(struct map_worker *worker);

#endif
