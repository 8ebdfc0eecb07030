/*
 * One message of the DRAC protocol: from octets to a call, from a status to octets.
 *
 * Pure functions on memory; XDR is libtirpc's.  What is no call for procedure 1 is
 * answered here and now (RFC 5531 says how), so callers of this know nothing of RPC.
 */
#ifndef RPC_CALL_H
#define RPC_CALL_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* The longest call: header, credential and verifier of 400 octets, 64 of address.
	 * What stands after the argument is passed over, as DRAC does. */
	CALL_SIZE_MAX = 1024,
	REPLY_SIZE_MAX = 64,
};

enum call_status {
	CALL_STATUS_SUCCESS,
	CALL_STATUS_PERM,
	CALL_STATUS_SYSERR,
};

struct call {
	uint32_t xid;
	uint32_t version;        /* 1 or 2 */
	struct in6_addr address; /* to be reported; IPv4 as v4-mapped */
};

struct reply {
	size_t length;
	unsigned char data[REPLY_SIZE_MAX];
};

enum call_kind {
	CALL_NONE,     /* no call, or none that can be answered */
	CALL_ANSWERED, /* *ret_reply is the answer: null procedure, or a mistake */
	CALL_ADD,      /* *ret is to be answered by call_answer() */
};

/* Decodes one datagram or record. */
enum call_kind call_decode(
	const void *data, size_t length, struct call *ret, struct reply *ret_reply);

void call_answer(uint32_t xid, enum call_status status, struct reply *ret);

/* The address in the text form that dracd's report socket takes; returns text. */
const char *call_format_address(
	const struct in6_addr *address, char text[INET6_ADDRSTRLEN]);

#endif
