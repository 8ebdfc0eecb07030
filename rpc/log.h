/*
 * The gateway's log: standard error, with the level in the form that systemd reads
 * (sd-daemon(3)) where that is the journal.  Only main, the gateway and its transports
 * log.
 */
#ifndef RPC_LOG_H
#define RPC_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* Messages above this level are dropped: LOG_INFO at first. */
void log_set_level(int level);

void log_message(int level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A message that ends in ": <text of the error>"; error is a negative errno and returned.
 */
int log_errno(int level, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What somebody outside can provoke is said once a minute.  Zero-initialised. */
struct log_pace {
	uint64_t said_usec;
	unsigned kept; /* since then, unsaid */
};

/* True if it may be said at now; then *ret_kept is how many times it was not. */
bool log_pace(struct log_pace *pace, uint64_t now_usec, unsigned *ret_kept);

#endif
