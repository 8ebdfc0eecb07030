/* What the files of the control socket share; for nobody else. */
#ifndef DRACD_CONTROL_INTERNAL_H
#define DRACD_CONTROL_INTERNAL_H

#include "client/words.h"
#include "dracd/answer.h"
#include "dracd/daemon.h"
#include "dracd/import.h"

/* How long an order waits for the maps before it is answered all the same. */
#define CONTROL_WAIT_USEC (5 * USEC_PER_SEC)

/* A list on its way; see control_list.c. */
struct listing {
	bool is_active;
	sd_event_source *next_turn;
	struct expiry last; /* the row that was told last */
	uint64_t until;     /* boot clock: only leases that end before */
	uint64_t count;
	char user[USER_SIZE]; /* empty: any */
	char service[SERVICE_SIZE];
};

/* A status whose leases are being counted. */
struct counting {
	sd_event_source *next_turn; /* NULL: none is */
	struct lease_count count;
};

/* The state of a connection.  One command at a time: the connection is paused meanwhile.
 */
struct session {
	struct connection
		*connection; /* NULL: the peer has gone, a command is under way */
	struct daemon *daemon;
	bool is_busy;
	struct login login;
	struct block block;
	uint64_t hold_usec;
	char map[256]; /* that is asked for; empty: all */
	bool verify;   /* it is asked whether they are as in the table */
	struct listing listing;
	struct counting counting;
	struct import *import; /* under way; else NULL */
	unsigned told;         /* rows that it leaves out */
	struct line *answer;   /* of the import, while the maps are waited for */
};

/* Starts to answer "list"; ends by control_finish(). */
void control_list(struct session *session, const struct words *words);
void control_list_continue(struct session *session);
void control_list_cancel(struct session *session);

/* Answers "import-drac"; see control_import.c. */
void control_import(struct session *session, const struct words *words);
void control_import_cancel(struct session *session);

enum map_state {
	MAP_STATE_OK,
	MAP_STATE_WARNING,
	MAP_STATE_ERROR,
};

/* The worst of all maps. */
enum map_state control_maps_state(const struct core *core);

/* Sends a line for each map. */
void control_send_maps(struct session *session);

/* Starts to answer "status"; ends by control_finish(). */
void control_status(struct session *session, const struct words *words);
void control_status_cancel(struct session *session);

/* Answer "maps" and "check". */
void control_maps(struct session *session, const struct words *words);
void control_check(struct session *session, const struct words *words);

/* Calls turn() when the loop has been around once: what else waits has its turn before. A
 * deferred event that is enabled again would come before it, each time. */
int control_add_turn(struct session *session, sd_event_time_handler_t turn,
	sd_event_source **ret) __attribute__((warn_unused_result));
void control_turn_again(sd_event_source *source);

/* Sends one line of an answer; its last line, after which the next command is read. */
void control_send(struct session *session, struct line *line);
void control_finish(struct session *session, struct line *line);
void control_fail(struct session *session, const char *reason, const char *text);

#endif
