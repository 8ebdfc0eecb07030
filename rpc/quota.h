/*
 * The gateway's own limits: how many logins a second it passes on, and for how many
 * addresses at a time leases may last that it has reported.
 *
 * Any local process may call the gateway, so these are what bounds the harm.  They are
 * counted in this process: a restart begins anew.
 */
#ifndef RPC_QUOTA_H
#define RPC_QUOTA_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct quota;

/* NULL: out of memory. */
struct quota *quota_new(void);

/* NULL is a no-op.  Returns NULL. */
struct quota *quota_free(struct quota *quota);

/* What is counted already stays counted.  0 or -ENOMEM, then nothing is changed. */
int quota_set_limits(struct quota *quota, unsigned max_leases, unsigned max_rate)
	__attribute__((warn_unused_result));

enum quota_answer {
	QUOTA_OK,
	QUOTA_RATE,
	QUOTA_LEASES,
};

/* Asks for a login of address; QUOTA_OK is to be followed by quota_settle(), to which
 * *ret_is_new is handed. */
enum quota_answer quota_take(struct quota *quota, const struct in6_addr *address,
	uint64_t now_usec, bool *ret_is_new);

/* left_usec: how long the lease lasts; 0: it was not granted. */
void quota_settle(struct quota *quota, const struct in6_addr *address, bool is_new,
	uint64_t now_usec, uint64_t left_usec);

#endif
