/*
 * The table of options: name, parser, place, default text, range, and whether a reload
 * applies it.  The manual page, drac.conf and this table are held together by a unit
 * test.
 */
#ifndef DRACD_OPTION_H
#define DRACD_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "dracd/config.h"

enum option_scope {
	SCOPE_GLOBAL,   /* field of struct config */
	SCOPE_SERVICE,  /* of struct service_settings */
	SCOPE_REPORTER, /* of struct reporter_settings */
	SCOPE_LOOKUP,   /* of struct lookup_settings */
	SCOPE_MAP,      /* of struct map_config */
	SCOPE_COUNT,
};

struct option {
	enum option_scope scope;
	const char *name;
	/* Stores the value of text in field; a list appends.  Returns NULL, or what is
	 * wrong and what to do, as static text. */
	const char *(*parse)(const struct option *option, const char *text, void *field);
	size_t offset;
	const char
		*fallback; /* NULL: must be given; of a list: elements between spaces */
	unsigned long long minimum, maximum; /* of numbers, and of durations in usec */
	bool is_list;
};

extern const struct option options[];
extern const size_t option_count;

/* The section's name in drac.conf ("service"); NULL for SCOPE_GLOBAL. */
const char *option_scope_name(enum option_scope scope);

/* What "auto" is until the map's type is known. */
#define INTERVAL_AUTO UINT64_MAX

/* Parses "250ms", "6s", "30min", "4h", "2d", or a plain number of seconds. */
int duration_parse(const char *text, uint64_t *ret_usec)
	__attribute__((warn_unused_result));

/* True if this process may hand a file to the group: root, or a member. */
bool group_is_ours(gid_t group);

#endif
