/*
 * libtirpc's decoders on a memory buffer.
 *
 * xdr_callmsg() refuses what has another RPC version, which RFC 5531 wants answered, and
 * allocates for credentials unless it is given room: both are seen to here.  Its own
 * server code is not used; it blocks on each connection.
 */
#include "rpc/call.h"

#include <arpa/inet.h>
#include <string.h>

#include "rpc/drac.h"

enum {
	WORD = 4,
	HEADER_WORDS = 3, /* xid, direction, version of RPC */
	VERSION_FIRST = DRAC_IPV4,
	VERSION_LAST = DRAC_IPV6,
};

static uint32_t word_at(const unsigned char *data, unsigned index)
{
	uint32_t word;

	memcpy(&word, data + (size_t)index * WORD, WORD);
	return ntohl(word);
}

static void encode_reply(struct rpc_msg *message, struct reply *ret)
{
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)ret->data, sizeof(ret->data), XDR_ENCODE);
	ret->length = xdr_replymsg(&xdrs, message) ? xdr_getpos(&xdrs) : 0;
	xdr_destroy(&xdrs);
}

static struct rpc_msg accepted(uint32_t xid, enum accept_stat status)
{
	struct rpc_msg message = {.rm_xid = xid, .rm_direction = REPLY};

	message.rm_reply.rp_stat = MSG_ACCEPTED;
	message.acpted_rply.ar_stat = status;
	message.acpted_rply.ar_verf.oa_flavor = AUTH_NONE;
	message.acpted_rply.ar_results.proc = (xdrproc_t)(void (*)(void))xdr_void;
	return message;
}

static enum call_kind answer_accepted(
	uint32_t xid, enum accept_stat status, struct reply *ret)
{
	struct rpc_msg message = accepted(xid, status);

	if (status == PROG_MISMATCH) {
		message.acpted_rply.ar_vers.low = VERSION_FIRST;
		message.acpted_rply.ar_vers.high = VERSION_LAST;
	}
	encode_reply(&message, ret);
	return CALL_ANSWERED;
}

static enum call_kind answer_denied(
	uint32_t xid, enum reject_stat status, struct reply *ret)
{
	struct rpc_msg message = {.rm_xid = xid, .rm_direction = REPLY};

	message.rm_reply.rp_stat = MSG_DENIED;
	message.rjcted_rply.rj_stat = status;
	if (status == RPC_MISMATCH) {
		message.rjcted_rply.rj_vers.low = RPC_MSG_VERSION;
		message.rjcted_rply.rj_vers.high = RPC_MSG_VERSION;
	} else {
		message.rjcted_rply.rj_why = AUTH_REJECTEDCRED;
	}
	encode_reply(&message, ret);
	return CALL_ANSWERED;
}

static bool_t decode_address4(XDR *xdrs, struct in6_addr *ret)
{
	drac_address4 address;
	uint32_t octets;

	if (!xdr_drac_address4(xdrs, &address))
		return FALSE;
	octets = htonl((uint32_t)address);
	*ret = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
	memcpy(ret->s6_addr + 12, &octets, sizeof(octets));
	return TRUE;
}

static bool_t decode_address6(XDR *xdrs, struct in6_addr *ret)
{
	struct drac_address6 address;

	if (!xdr_drac_address6(xdrs, &address))
		return FALSE;
	memcpy(ret->s6_addr, address.octets, sizeof(ret->s6_addr));
	return TRUE;
}

/* What the header asks for, and the argument that follows it. */
static enum call_kind decode_body(XDR *xdrs, const struct rpc_msg *message,
	struct call *ret, struct reply *ret_reply)
{
	const struct call_body *body = &message->rm_call;
	struct call call = {.xid = message->rm_xid, .version = (uint32_t)body->cb_vers};
	bool_t whole;

	if (body->cb_cred.oa_flavor != AUTH_NONE && body->cb_cred.oa_flavor != AUTH_SYS)
		return answer_denied(call.xid, AUTH_ERROR, ret_reply);
	if (body->cb_prog != DRAC_PROGRAM)
		return answer_accepted(call.xid, PROG_UNAVAIL, ret_reply);
	if (call.version < VERSION_FIRST || call.version > VERSION_LAST)
		return answer_accepted(call.xid, PROG_MISMATCH, ret_reply);
	if (body->cb_proc == NULLPROC)
		return answer_accepted(call.xid, SUCCESS, ret_reply);
	if (body->cb_proc != DRAC_ADD)
		return answer_accepted(call.xid, PROC_UNAVAIL, ret_reply);
	whole = call.version == DRAC_IPV4 ? decode_address4(xdrs, &call.address)
					  : decode_address6(xdrs, &call.address);
	if (!whole)
		return answer_accepted(call.xid, GARBAGE_ARGS, ret_reply);
	*ret = call;
	return CALL_ADD;
}

enum call_kind call_decode(
	const void *data, size_t length, struct call *ret, struct reply *ret_reply)
{
	char credential[MAX_AUTH_BYTES], verifier[MAX_AUTH_BYTES];
	unsigned char copy[CALL_SIZE_MAX];
	struct rpc_msg message = {0};
	enum call_kind kind = CALL_NONE;
	XDR xdrs;

	if (length > sizeof(copy))
		length = sizeof(copy);
	if (length < (size_t)HEADER_WORDS * WORD || word_at(data, 1) != CALL)
		return CALL_NONE;
	if (word_at(data, 2) != RPC_MSG_VERSION)
		return answer_denied(word_at(data, 0), RPC_MISMATCH, ret_reply);
	memcpy(copy, data, length);
	message.rm_call.cb_cred.oa_base = credential;
	message.rm_call.cb_verf.oa_base = verifier;
	xdrmem_create(&xdrs, (char *)copy, (unsigned)length, XDR_DECODE);
	if (xdr_callmsg(&xdrs, &message))
		kind = decode_body(&xdrs, &message, ret, ret_reply);
	xdr_destroy(&xdrs);
	return kind;
}

void call_answer(uint32_t xid, enum call_status status, struct reply *ret)
{
	static const enum drac_status wire[] = {
		[CALL_STATUS_SUCCESS] = DRAC_SUCCESS,
		[CALL_STATUS_PERM] = DRAC_PERM,
		[CALL_STATUS_SYSERR] = DRAC_SYSERR,
	};
	enum drac_status result = wire[status];
	struct rpc_msg message = accepted(xid, SUCCESS);

	message.acpted_rply.ar_results.where = (void *)&result;
	message.acpted_rply.ar_results.proc = (xdrproc_t)(void (*)(void))xdr_drac_status;
	encode_reply(&message, ret);
}

const char *call_format_address(
	const struct in6_addr *address, char text[INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(address))
		return inet_ntop(AF_INET, address->s6_addr + 12, text, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
}
