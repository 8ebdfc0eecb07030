/*
 * The mail sessions that "doveadm -f tab who -1" lists: read, checked, each kept once.
 *
 *   username  proto  pid    ip                    Dovecot 2.3
 *   username  service  pid  ip  dest_ip           Dovecot 2.4
 *
 * Columns are separated by one TAB and found by their names in the first line.
 */
#ifndef CLIENT_CTL_SESSIONS_H
#define CLIENT_CTL_SESSIONS_H

#include <stddef.h>
#include <stdio.h>

/* One user from one address by one service, in count sessions. */
struct session_group {
	const char *user; /* these three follow each other in one block */
	const char *address;
	const char *service;
	unsigned long long count;
};

struct sessions {
	struct session_group *groups; /* owned; room is a power of 2 */
	size_t count, room;
	size_t *slots;          /* hash table: 1 + index in groups, 0: free; twice room */
	size_t octets;          /* kept, to bound them */
	unsigned long long all; /* sessions, those without address or user counted */
	unsigned long long without; /* of them, without address or user */
};

/* Reads from to its end.  Returns 0; or a negative errno: -EBADMSG with the number of the
 * line and what is wrong with it, -E2BIG for more sessions than are kept, -ENOMEM, or one
 * of reading.  sessions, zero-initialised before, is to be released in any case. */
int sessions_read(FILE *from, struct sessions *sessions, unsigned long *ret_line,
	const char **ret_problem) __attribute__((warn_unused_result));

void sessions_done(struct sessions *sessions);

#endif
