/*
 * The store: the one thread that writes the table, and the files beside it.
 *
 * The loop hands it operations; whatever has arrived while one commit ran is the next
 * commit.  Each operation is handed back, finished, to its done() on the loop's thread.
 * The two threads share nothing but the two queues, with their lock and eventfd; an
 * operation belongs to one of them at a time.
 */
#ifndef DRACD_STORE_H
#define DRACD_STORE_H

#include <systemd/sd-event.h>

#include "dracd/block.h"
#include "dracd/config.h"
#include "dracd/table.h"

enum store_kind {
	STORE_LOGIN,   /* grant or renew; or renew only, if login.is_renewal */
	STORE_REVOKE,  /* save blocks, then end the leases of prefix or user */
	STORE_BLOCKS,  /* save blocks only */
	STORE_FLUSH,   /* end all leases */
	STORE_REJUDGE, /* end the leases that config and blocks no longer admit */
	STORE_TRIM, /* drop the feed that all maps have applied; rides on the next commit
		       of others */
	STORE_TIDY, /* delete what is over; a commit of its own, which says if there is
		       more */
};

/* One operation; the loop owns it before submitting and again in done(). */
struct store_op {
	enum store_kind kind;
	struct store_op *next;
	void (*done)(struct store_op *op);
	/* NULL, or what is called before that, on the store's thread, if the op is
	 * committed with result 0 and was alone in its commit.  It must do with what
	 * nobody else uses until done(). */
	void (*committed)(struct store_op *op);
	void *context;

	/* in */
	struct moment time;     /* of the login */
	struct address address; /* LOGIN: the key; REVOKE: the prefix, unless is_user */
	bool is_user;
	struct login login;    /* LOGIN; REVOKE with is_user: login.user */
	uint64_t usec;         /* LOGIN: of the lease */
	struct config *config; /* REJUDGE, a reference; LOGIN: max_per_user is enough */
	unsigned max_per_user; /* LOGIN */
	unsigned max_of_reporter; /* LOGIN; 0: there is no limit */
	struct blocks
		*blocks; /* REVOKE, BLOCKS, REJUDGE: a reference; NULL: nothing to save */
	uint64_t trim;   /* TRIM: up to this sequence */

	/* out */
	int saved;  /* of the blocks file; negative: nothing else was done */
	int result; /* of the table or the file; 0 means committed */
	struct table_grant grant;
	struct table_ended ended;
	bool is_more; /* rows that are over, for which this commit had no room */
	struct table_state state; /* after the commit */
};

struct store;

struct store_settings {
	struct table *table; /* borrowed; the store is its only writer from now on */
	int directory;       /* of the state, for the blocks file; borrowed */
	uint8_t boot_id[16];
	/* On the loop, after the done()s of one commit or several: of count operations.
	 */
	void (*committed)(const struct table_state *state, unsigned count, void *context);
	void *context;
};

/* Starts the thread.  All signals must be blocked by now. */
int store_start(sd_event *event, const struct store_settings *settings,
	struct store **ret) __attribute__((warn_unused_result));

/* Finishes what was submitted, ends the thread, calls the remaining done()s.  Returns
 * NULL. */
struct store *store_stop(struct store *store);

/* A zeroed operation of this kind, or NULL. */
struct store_op *store_op_new(
	enum store_kind kind, void (*done)(struct store_op *op), void *context);

/* NULL is a no-op.  Returns NULL. */
struct store_op *store_op_free(struct store_op *op);

void store_submit(struct store *store, struct store_op *op);

/* Rows with a deadline up to boot_usec may be deleted: every map has published their end.
 * It happens with the next commits. */
void store_allow_delete(struct store *store, uint64_t boot_usec);

#define BLOCKS_FILE "blocks"

#endif
