/*
 * The link to dracd: logins by one connection to the report socket, up to 64 on their way
 * at a time, answered in order.
 *
 * Each is answered, whatever becomes of dracd: at once when it is not there, and within
 * REPORTS_BUDGET_USEC when it hangs, which is far less than the 15 s after which an old
 * client asks again.  A login that is on its way when dracd goes is sent once more, so
 * that a restart behind a socket of systemd's costs nobody his lease.
 */
#ifndef RPC_REPORTS_H
#define RPC_REPORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define REPORTS_BUDGET_USEC (5 * UINT64_C(1000000))

enum reports_outcome {
	REPORTS_GRANTED,
	REPORTS_REFUSED, /* this address gets no lease */
	REPORTS_LIMIT,   /* nor does any other at this time */
	REPORTS_FAILED,  /* dracd does not run, hangs, or could not store it */
};

/* The caller's, until done is called. */
struct report {
	struct in6_addr address;
	uint64_t lease_time_usec; /* 0: dracd's own */
	/* left_usec: how long the lease lasts */
	void (*done)(
		struct report *report, enum reports_outcome outcome, uint64_t left_usec);
	/* of reports.c */
	struct report *next;
	uint64_t deadline_usec;
	bool is_retried;
};

struct reports;

int reports_new(sd_event *event, const char *path, struct reports **ret)
	__attribute__((warn_unused_result));

/* What is on its way is answered as failed.  NULL is a no-op.  Returns NULL. */
struct reports *reports_free(struct reports *reports);

/* Takes a login, which is sent by the next reports_flush().  0, or a negative errno if it
 * has to be answered as failed at once: dracd hangs, or too many wait. */
int reports_add(struct reports *reports, struct report *report)
	__attribute__((warn_unused_result));

/* Sends what was added; if dracd is not there, done is called for all of it. */
void reports_flush(struct reports *reports);

/* True if done has been called for all that was added: within REPORTS_BUDGET_USEC. */
bool reports_is_idle(const struct reports *reports);

#endif
