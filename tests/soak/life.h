/* One life of dracd in this process, without its sockets and threads: from the state
 * directory to admission it is the code of dracd, in the order in which daemon.c, core.c
 * and the store's thread call it. */
#ifndef TESTS_SOAK_LIFE_H
#define TESTS_SOAK_LIFE_H

#include "dracd/clock.h"
#include "dracd/config.h"

enum op_kind {
	OP_LOGIN,
	OP_RENEW,
	OP_REVOKE,
	OP_UNBLOCK,
	OP_FLUSH,
	OP_TIDY,
};

/* Addresses and users are numbers, as in oracle.h. */
struct op {
	enum op_kind kind;
	int subject; /* LOGIN, RENEW: the host; REVOKE, UNBLOCK: host, network or user */
	int user;    /* LOGIN, RENEW */
	long time;   /* true time of the request */
	long usec;   /* LOGIN, RENEW: asked; REVOKE: to keep out */
	/* 0: answered with OK; positive: refused; negative errno: it failed */
	int result;
	bool is_stored; /* it came as far as the store */
};

struct life_settings {
	const char *directory;
	enum durability durability;
	bool wide;
	unsigned max_leases, max_per_user;
	uint8_t boot_id[16];
};

/* The clock of all code in this process. */
extern struct moment life_now;

/* 0 or a negative errno. */
int life_open(const struct life_settings *settings);

/* As after SIGTERM, or, if the table has failed, as dracd ends then. */
void life_close(bool has_failed);

/* As after SIGKILL between two system calls: files stay as they are. */
void life_drop(void);

/* Judges it and queues it for the next commit. */
void life_submit(struct op *op);
/* One batch of the store; all that were submitted have their results then. */
void life_commit(void);

/* Brings a map up to date by the feed, as map_run.c does.  0, a negative errno, or 1: it
 * is not what the table says then. */
int life_publish(void);
/* Ends up to here may be deleted from the table. */
void life_allow_delete(uint64_t boot_usec);

/* 1, 0 or a negative errno. */
int life_admits(int host);

#endif
