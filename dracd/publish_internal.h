/* What the files of the publisher share; for nobody else. */
#ifndef DRACD_PUBLISH_INTERNAL_H
#define DRACD_PUBLISH_INTERNAL_H

#include "dracd/publish.h"

struct watched {
	struct publisher *publisher;
	struct watched *next;  /* of those that are leaving */
	struct config *config; /* that map stands in */
	const struct map_config *map;
	struct map_worker *worker; /* NULL: not yet started */
	struct map_report report;
	uint64_t asked; /* answered by a report that has this number */
	bool has_reported;
	sd_event_source *static_watch;
	sd_event_source *map_watch; /* of the map's directory; NULL: not yet, or lost */
	bool watch_failed;          /* and that has been told */
};

struct publisher {
	struct publisher_settings settings;
	struct config *config;
	struct blocks *blocks;
	int reported_fd; /* eventfd: some worker has reported */
	sd_event_source *source;
	sd_event_source *check; /* timer */
	size_t count;
	struct watched **maps;
	size_t leaving_count;
	struct watched *leaving; /* no longer in the configuration: being withdrawn */
	struct watched *hung;    /* of these, at the end: their threads go on */
};

/* Copies the worker's report, and logs what is new in it; lets the store drop what of the
 * feed no map needs any more. */
void publisher_take_report(struct watched *map);

/* Logs what the report says has failed. */
void publisher_log_failure(const struct watched *map);
/* Tells of replaced files that were given up, if there are more than before. */
void publisher_log_given_up(const struct watched *map, uint64_t before);

/* Watches the map's static file and directory, as far as that is possible. */
void publisher_watch(struct watched *map);
void publisher_unwatch(struct watched *map);

/* Watches the directory that the map's path leads to now. */
void publisher_watch_again(struct watched *map);

/* Sets the timer by which all files are looked at, watched or not. */
int publisher_arm_check(struct publisher *publisher) __attribute__((warn_unused_result));

#endif
