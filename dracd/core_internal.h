/* What the files of the core share; for nobody else. */
#ifndef DRACD_CORE_INTERNAL_H
#define DRACD_CORE_INTERNAL_H

#include "dracd/core.h"

/* A request on its way: through the store, perhaps through publication, to its done(). */
struct request {
	struct core *core;
	core_done *done;
	core_done *early; /* of a login; may be NULL */
	void *context;
	uint64_t wait_usec;
	bool asks_maps;     /* not for publication, but for what the maps were asked */
	bool settles;       /* for both */
	struct login login; /* for the log */
	struct block block; /* of a revocation, for the log */
	struct outcome outcome;
};

/* A new request, or NULL. */
struct request *core_request_new(struct core *core, core_done *done, void *context);

/* Calls done() and frees the request. */
void core_answer(struct request *request);

/* Calls done() from the loop's next turn, so that no caller is answered before it
 * returns. */
void core_answer_later(struct request *request, const struct outcome *outcome);

/* True if the reporter may report one more login just now; else that is logged, once a
 * minute. */
bool core_take_rate(
	struct core *core, const struct reporter_settings *limits, struct moment now);

/* Answers once all maps have published the table up to sequence, or at the end of the
 * request's budget. */
void core_wait(struct request *request, uint64_t sequence);
void core_check_waiters(struct core *core);
int core_add_wait_timer(struct core *core) __attribute__((warn_unused_result));

/* Answers those still waiting, at the end. */
void core_drop_waiters(struct core *core);

/* Makes blocks the ones in force (a reference is taken) and tells the publisher. */
void core_set_blocks(struct core *core, struct blocks *blocks);

/* Logs the leases that have ended, some of them: core->resume_ends says when to go on.
 * None while a user is being revoked, which may leave a lease a deadline that is over by
 * the time it can be read. */
void core_note_ends(struct core *core, struct moment now);

/* Logs the end of a new lease that was over before it could be read, if that was passed.
 */
void core_note_missed_end(struct core *core, const struct lease *lease);

/* Lets the store delete the rows whose end is logged and published by every map. */
void core_allow_delete(struct core *core);

/* Sets the timer to what comes next: ends still to be logged, or the next end of a lease
 * or a block. */
void core_arm_timer(struct core *core);

/* Tries to save the blocks that could not be saved. */
void core_save_blocks_again(struct core *core);

/* A table that can no longer be read or written (-EUCLEAN) ends dracd: the maps are
 * withdrawn, and the next start checks the table and moves it aside.  Other errors are
 * left to the caller. */
void core_check_table(struct core *core, int error);

#endif
