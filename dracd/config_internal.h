/* What the files of the configuration share; for nobody else. */
#ifndef DRACD_CONFIG_INTERNAL_H
#define DRACD_CONFIG_INTERNAL_H

#include <confuse.h>

#include "dracd/config.h"
#include "dracd/option.h"

/* Where something was written. */
struct place {
	enum option_scope scope;
	const cfg_t *section; /* whose first value this is, unless global */
	char *name; /* of a global option, or of a section; for a section its first value
		     */
	char *file;
	unsigned line;
};

/* drac.conf and its directory, as text still: every value has been checked by itself. */
struct source {
	cfg_t *cfg;  /* libconfuse's tree */
	bool is_cut; /* with errors, and what stands behind some of them is unknown */
	size_t place_count;
	struct place *places;
};

enum {
	PLACE_SIZE = 512
};

/* Parses file and file.d/"*.conf".  Problems are added with their lines.  0, -ENOMEM, or
 * -EIO. */
int source_read(const char *file, struct source *ret, struct problems *problems)
	__attribute__((warn_unused_result));
void source_done(struct source *source);

/* "FILE:LINE: " of a global option or a section, or an empty text.  Returns ret. */
const char *source_place(const struct source *source, enum option_scope scope,
	const char *name, char ret[PLACE_SIZE]);

/* What the checks share. */
struct check {
	const struct config *config;
	const struct source *source;
	struct problems *problems;
	bool sections_known; /* those that are there without being written, too */
};

/* Adds a problem of a global option or a section: "FILE:LINE: KIND NAME: ...". */
void config_complain(const struct check *check, enum option_scope scope, const char *name,
	bool is_warning, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds the services, limits and lookups that are there without being written.  Warns of
 * a lookup that could be offered but for a group.  0 or -ENOMEM. */
int config_add_defaults(struct config *config, struct problems *problems)
	__attribute__((warn_unused_result));

/* Makes the file of each map from its path.  0 or -ENOMEM. */
int config_name_files(struct config *config) __attribute__((warn_unused_result));

/* Checks what must hold between options, and resolves what depends on others. */
void config_check(struct config *config, const struct source *source, bool global_ok,
	struct problems *problems);

/* The part of it that is about maps. */
void config_check_maps(struct config *config, const struct check *check);

void config_done(struct config *config);
void config_done_section(enum option_scope scope, void *section);

#endif
