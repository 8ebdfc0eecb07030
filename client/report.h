/*
 * The report client: one login told to dracd over its unix socket, in bounded time.
 *
 * Plain libc, no allocation, no thread, no signal (MSG_NOSIGNAL): fit for a static helper
 * inside another server.  Used by drac-postlogin, drac-rpcd and libdrac.
 */
#ifndef CLIENT_REPORT_H
#define CLIENT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "client/words.h"

#define REPORT_SOCKET_PATH "/run/dracd/report"

/* Strings are borrowed; NULL where unknown. */
struct report_login {
	const char *address;       /* of the client, as text */
	const char *local_address; /* the address the client connected to */
	const char *user;
	const char *service;   /* "imap", "pop3" ... */
	unsigned long ttl_ms;  /* 0: dracd's own lease time */
	unsigned long wait_ms; /* answer when published, at the latest after this; 0: when
				  stored */
};

enum report_outcome {
	REPORT_GRANTED,  /* OK: the lease is stored (and published, if asked and told so)
			  */
	REPORT_REFUSED,  /* NO: understood, no lease; the answer has reason= */
	REPORT_REJECTED, /* ERR: dracd did not take it; the answer has reason= and text=
			  */
};

/* Writes the request line for login.  Returns its length, or -EMSGSIZE. */
int report_format(const struct report_login *login, struct line *ret)
	__attribute__((warn_unused_result));

/* Starts to connect a non-blocking stream socket (close-on-exec) to path.  Returns the
 * descriptor or a negative errno (-ENOENT, -ECONNREFUSED: dracd does not run; -EAGAIN:
 * its queue is full; -EACCES: this account may not report; -ENAMETOOLONG). */
int report_connect(const char *path) __attribute__((warn_unused_result));

/* Classes an answer line (without LF; parsed in place, *ret_words borrows it).  Returns
 * an enum report_outcome or -EBADMSG. */
int report_parse_answer(char *line, size_t length, struct words *ret_words)
	__attribute__((warn_unused_result));

/* All of it, blocking for at most budget_ms: connect, send, receive, parse.  The answer
 * line is left in answer.  Returns an enum report_outcome or a negative errno
 * (-ETIMEDOUT). */
int report_login(const char *path, const struct report_login *login, unsigned budget_ms,
	struct line *ret_answer, struct words *ret_words)
	__attribute__((warn_unused_result));

#endif
