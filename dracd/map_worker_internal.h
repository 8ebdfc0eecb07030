/* What map_worker.c and map_run.c share; for nobody else. */
#ifndef DRACD_MAP_WORKER_INTERNAL_H
#define DRACD_MAP_WORKER_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "dracd/map_worker.h"
#include "maps/access.h"

struct map_worker {
	struct map_worker_settings settings;
	pthread_t thread;

	pthread_mutex_t lock; /* over these */
	pthread_cond_t wake, withdrawn;
	unsigned why;
	unsigned fresh;   /* of these, what no run has been for yet */
	bool has_checked; /* since the last run */
	uint64_t asked;   /* how often somebody wanted to know the result */
	uint64_t due;     /* boot clock: the earliest that somebody waits for */
	uint64_t told; /* boot clock: of the first change since the last run; 0: none */
	bool stopping;
	bool has_withdrawn; /* or tried to; the thread is ending */
	struct config *config;
	struct blocks *blocks;
	struct map_report report;

	/* of the thread alone */
	struct table_reader *reader;
	struct map *map;
	struct access *access; /* the static rows; NULL: none */
	struct stat access_status;
	struct map_report now;
	struct expiry ended;      /* ends up to this row are applied */
	struct map_identity file; /* that was published last */
	bool needs_new_file;      /* that one cannot be written in place */
	bool has_spare;           /* of the static rows as they are */
	bool shuts_out;        /* what is not yet applied may end or shut out somebody */
	bool is_stuck;         /* and could not: see map_fallback.c, which sets these */
	char deadline[24];     /* the value of a lease published now, if it is one */
	struct expect *expect; /* to be filled by the next publication, or NULL */
	uint64_t given_up;     /* of map_given_up(), counted */
	uint64_t deletes;      /* since the last rebuild */
	uint64_t usual_usec;   /* of a publication: the quicker of the last two */
	uint64_t retry_usec;
	uint64_t retry_at; /* boot clock */
};

/* Brings the map up to date, for the reasons why.  0 or a negative errno; worker->now
 * tells the rest. */
int map_run(struct map_worker *worker, unsigned why, struct config *config,
	struct blocks *blocks) __attribute__((warn_unused_result));

/* The same, without looking at anything but the table. */
int map_publish(struct map_worker *worker, struct config *config, struct blocks *blocks,
	bool rebuild) __attribute__((warn_unused_result));

/* Reads the static file again if it is another one than before, and sets *rebuild then.
 * One that cannot be read leaves the rows of the last good one in force. */
int map_refresh_static(struct map_worker *worker, bool *rebuild)
	__attribute__((warn_unused_result));

/* The static file has never been read, and what is in place are its rows as they were
 * last good, from the spare, which may be used up by that: they are to stay. */
bool map_keeps_static(const struct map_worker *worker);

/* A rebuild while the static file has never been read: see map_file_restore(). */
int map_restore_static(struct map_worker *worker) __attribute__((warn_unused_result));

/* Looks whether the file in place is the one that was published; if not, true, and
 * worker->now tells what was found. */
bool map_check(struct map_worker *worker);

/* Counts the replaced files that have been given up since the last time. */
void map_note_given_up(struct map_worker *worker);

#endif
