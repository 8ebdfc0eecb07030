/*
 * Calls by UDP that come again: a client sends the same xid from the same port when no
 * answer has come, so an answer that was lost is given again, and a call whose answer is
 * on its way is not made twice.
 *
 * A table of fixed size, in which a call may displace another: then a duplicate is taken
 * for a new call, which costs a renewal.
 */
#ifndef RPC_DUPLICATES_H
#define RPC_DUPLICATES_H

#include <netinet/in.h>
#include <stdint.h>

#include "rpc/call.h"

enum {
	DUPLICATES_MAX = 4096
};

struct duplicate_key {
	struct in6_addr caller;
	struct in6_addr address;
	uint32_t xid;
	uint32_t version;
	uint32_t port;
};

struct duplicate {
	struct duplicate_key key;
	uint64_t time_usec; /* 0: free */

	enum {
		DUPLICATE_PENDING,
		DUPLICATE_ANSWERED,
	} state;
	enum call_status status;
};

/* Zero-initialised: empty. */
struct duplicates {
	struct duplicate items[DUPLICATES_MAX];
};

enum duplicate_answer {
	DUPLICATES_NEW, /* and noted as pending */
	DUPLICATES_PENDING,
	DUPLICATES_ANSWERED, /* *ret_status is the answer it had */
};

enum duplicate_answer duplicates_find(struct duplicates *duplicates,
	const struct duplicate_key *key, uint64_t now_usec, enum call_status *ret_status);

/* Notes the answer, unless it is that trying again makes sense. */
void duplicates_answered(struct duplicates *duplicates, const struct duplicate_key *key,
	enum call_status status);

#endif
