/*
 * dracd.allow: the callers that may report, in DRAC's own format and read as DRAC 1.12
 * reads it.
 *
 * Lines "netmask address"; a caller is permitted where (caller & netmask) == address.  A
 * file that is present and empty permits nobody.  Where there is none, callers on this
 * host are permitted: 127.0.0.1, ::1 and the addresses of this host's name.
 */
#ifndef RPC_ALLOW_H
#define RPC_ALLOW_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "rpc/prefix.h"

struct allow_rule {
	uint32_t mask, address; /* in network order */
};

/* Zero-initialised: permits nobody.  Owns rules and own. */
struct allow {
	bool is_absent; /* there is no file */
	size_t count;
	struct allow_rule *rules;
	struct prefix_list own; /* permitted if is_absent */
};

/* Called with each line that is of no use, or not of the one that it seems to be of. */
typedef void allow_tell(unsigned line, const char *problem, void *context);

/* Reads the rules of a file that is open.  0 or a negative errno. */
int allow_read(FILE *file, struct allow *ret, allow_tell *tell, void *context)
	__attribute__((warn_unused_result));

/* Reads the file of that path; own, of which *ret keeps a copy, stands in where there is
 * none.  0 or a negative errno. */
int allow_load(const char *path, const struct prefix_list *own, struct allow *ret,
	allow_tell *tell, void *context) __attribute__((warn_unused_result));

/* 127.0.0.1, ::1 and the addresses of this host's name.  It may ask DNS, so it is called
 * before the loop only.  0 or -ENOMEM. */
int allow_own_addresses(struct prefix_list *ret) __attribute__((warn_unused_result));

bool allow_permits(const struct allow *allow, const struct in6_addr *caller);

void allow_done(struct allow *allow);

#endif
