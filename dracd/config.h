/*
 * The configuration: drac.conf and the files of drac.conf.d as one plain, immutable
 * struct.
 *
 * Options are rows of one table (option.c); their defaults are text that goes through the
 * same parsers.  A configuration is read whole: all problems are collected, and with any
 * error in it there is no configuration.
 */
#ifndef DRACD_CONFIG_H
#define DRACD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dracd/prefix_set.h"
#include "maps/key.h"
#include "maps/map.h"

#define CONFIG_FILE_DEFAULT "/etc/drac/drac.conf"

enum mode {
	MODE_ENFORCE,
	MODE_OBSERVE, /* keep leases, tell every MTA "no", log what would have been
			 permitted */
};

enum durability {
	DURABILITY_FULL,    /* an answered login survives power loss */
	DURABILITY_BATCH,   /* so does all but the last commit */
	DURABILITY_PROCESS, /* it survives the death of the process; see table.h */
};

enum lookup_protocol {
	LOOKUP_POLICY,
	LOOKUP_SOCKETMAP,
	LOOKUP_PLAIN,
};

struct text_list {
	size_t count;
	char **items;
};

struct account {
	uid_t uid;
	char *name;
};

struct account_list {
	size_t count;
	struct account *items;
};

enum {
	REPORTERS_MAX = 32, /* whose limits and leases can be counted */
};

struct service_settings {
	char *name;
	bool lease;
	uint64_t lease_time_usec; /* 0: the global one */
};

/* What one reporter may take; also if it is not an honest one. */
struct reporter_settings {
	char *name;
	unsigned max_leases;          /* whose latest login it reported; 0: no limit */
	unsigned max_rate;            /* logins and renewals a second; 0: no limit */
	uint64_t lease_time_max_usec; /* 0: the global one */
};

struct socket_settings {
	char *path;
	gid_t group; /* (gid_t)-1: none */
	mode_t mode;
};

/* Which leases one lookup sees; empty lists: all. */
struct view {
	struct text_list services;  /* of the latest login */
	struct prefix_set networks; /* that the address is in */
};

struct lookup_settings {
	char *name;
	enum lookup_protocol protocol;
	struct socket_settings socket;
	struct view view;
};

/* Until config_check_maps() has resolved it by the map's type. */
#define KEYS_AUTO KEY_FORM_COUNT

enum nul {
	NUL_AUTO, /* as config_check_maps() finds, which leaves one of the others */
	NUL_YES,
	NUL_NO,
};

struct map_config {
	char *name;
	enum map_type type;
	enum key_form keys;
	enum nul nul;       /* keys and values carry their NUL */
	char *value;        /* of every lease; NULL: that of the key form */
	unsigned page_size; /* of Berkeley DB; 0: the library's choice */
	char *path;
	char *file; /* path with the type's suffix */
	gid_t group;
	mode_t mode;
	uint64_t interval_usec;     /* between publications of new leases, at least */
	uint64_t end_interval_usec; /* between publications of ends, at least */
	char *static_path;          /* of the administrator's access file; NULL: none */
	bool does_hang; /* not of drac.conf: withdraw_all() had no answer from its file
			   system */
};

struct config {
	unsigned references; /* atomic */
	enum mode mode;
	enum durability durability;
	uint64_t lease_time_usec;
	uint64_t lease_time_max_usec;
	uint64_t revoke_hold_usec;
	unsigned ipv6_prefix;
	unsigned max_leases;
	unsigned max_leases_per_user;
	unsigned warn_users_per_address;
	struct prefix_set lease_networks;
	struct prefix_set lease_special;
	struct prefix_set never_lease;
	struct prefix_set deny;
	struct text_list never_lease_users;
	struct account_list reporters;
	uint64_t watchdog_usec; /* 0: none */
	char *state_directory;
	struct socket_settings report;
	struct socket_settings control;
	gid_t admin_group; /* may use the writing control commands, besides root */
	size_t service_count;
	struct service_settings *services;
	size_t reporter_count;
	struct reporter_settings *reporter_limits; /* at most REPORTERS_MAX */
	size_t lookup_count;
	struct lookup_settings *lookups;
	size_t map_count;
	struct map_config *maps;
};

struct problem {
	bool is_warning;
	unsigned line; /* 0: of no single line */
	char *text;    /* "/etc/drac/drac.conf:12: lease_time: ..." */
};

struct problems {
	size_t count;
	size_t errors;
	struct problem *items;
};

/* Reads file and then, in the order of their names, the files "*.conf" of the directory
 * "file.d" (drac.conf.d for drac.conf).  0 and *ret with one reference; -EINVAL when
 * problems holds errors; -ENOMEM.  Warnings may stand in problems in either case. */
int config_load(const char *file, struct config **ret, struct problems *problems)
	__attribute__((warn_unused_result));

/* The state_directory that file gives, whatever else is wrong with it, or the default; to
 * be freed.  *ret_is_sure false: a part of it cannot be read, or what it gives is no
 * path.  NULL without memory. */
char *config_find_state(const char *file, bool *ret_is_sure);

struct config *config_ref(struct config *config);
/* NULL is a no-op.  Returns NULL. */
struct config *config_unref(struct config *config);

/* The settings of a service by name; NULL if drac.conf does not know it. */
const struct service_settings *config_service(
	const struct config *config, const char *name);

/* The name of the account, if uid may report logins; else NULL. */
const char *config_reporter(const struct config *config, uid_t uid);

/* The limits of a reporter by its name, which may be cut to REPORTER_SIZE; NULL if it has
 * none. */
const struct reporter_settings *config_reporter_limits(
	const struct config *config, const char *name);

/* True if both say the same in every point, so that what serves one can serve the other.
 */
bool config_same_lookup(const struct lookup_settings *a, const struct lookup_settings *b);
bool config_same_map(const struct map_config *a, const struct map_config *b);

/* True if a map shows who has logged in, so that it is to be told when that changes. */
bool config_shows_users(const struct config *config);

/* Appends warnings for options that differ and take effect at a restart only. */
void config_compare(
	const struct config *old, const struct config *new, struct problems *problems);

void problems_add(struct problems *problems, bool is_warning, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* An error of a line, which the text names as well. */
void problems_add_at(struct problems *problems, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void problems_done(struct problems *problems);

#endif
