/* A command of dracctl: what it was given, what it returns, and who carries it out. */
#ifndef CLIENT_CTL_COMMAND_H
#define CLIENT_CTL_COMMAND_H

#include <stdbool.h>
#include <time.h>

#include "client/ctl_control.h"

/* Exit statuses, see dracctl(8).  status, maps and check give the first three a
 * meaning of their own. */
enum {
	CTL_DONE = 0,
	CTL_REFUSED = 1, /* by dracd */
	CTL_USAGE = 2,
	CTL_NO_ANSWER = 3,

	CTL_STATUS_OK = 0,
	CTL_STATUS_WARNING = 1,
	CTL_STATUS_CRITICAL = 2,

	CTL_MAY_RELAY = 0,
	CTL_MAY_NOT_RELAY = 1,
};

/* What stands on the command line; NULL and false where it does not. */
struct ctl_arguments {
	const char *address;
	const char *file;
	const char *recipe;
	const char *map;
	const char *user;
	const char *service;
	const char *reason;
	bool has_expiring, has_time, has_hold;
	unsigned long long expiring_ms, time_ms, hold_ms;
	bool yes, rebuild, verify, json, quiet;
};

struct ctl_context {
	const struct ctl_arguments *arguments;
	struct control *control; /* not yet asked */
	time_t now;
};

/* Each asks dracd, prints what it answers and returns an exit status. */
int ctl_status(struct ctl_context *context);
int ctl_maps(struct ctl_context *context);
int ctl_list(struct ctl_context *context);
int ctl_blocks(struct ctl_context *context);
int ctl_check(struct ctl_context *context);
int ctl_add(struct ctl_context *context);
int ctl_revoke(struct ctl_context *context);
int ctl_unblock(struct ctl_context *context);
int ctl_flush(struct ctl_context *context);
int ctl_reload(struct ctl_context *context);
int ctl_renew(struct ctl_context *context);
int ctl_import_drac(struct ctl_context *context);
int ctl_recipe(struct ctl_context *context);

/* Prints what a map's line says of its rows: "412 entries, published 3 s ago, pending
 * 0". */
void ctl_print_map_rows(const struct words *words);

/* For a request that control_ask() or control_next() gave up: its exit status. */
int ctl_failed(int r);

/* Says on standard error what an ERR line means; returns the exit status. */
int ctl_say_error(const struct words *words);

/* The exit status that fits state=ok, warning or error of a line. */
int ctl_state_status(const struct words *words);

/* The reason of a NO line in words: "private address". */
const char *ctl_reason_text(const char *reason);

/* A number of the answer, 0 if it is not there. */
unsigned long long ctl_number(const struct words *words, const char *key);

/* A value of the answer, other if it is not there or empty. */
const char *ctl_value(const struct words *words, const char *key, const char *other);

#endif
