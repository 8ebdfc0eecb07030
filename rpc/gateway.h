/*
 * What every call passes, however it came: may this caller report, is it within the
 * limits, tell dracd, answer.
 *
 * What is answered:
 *
 *   ADD_SUCCESS  the lease is stored; or the site has decided that this address shall
 *                have none ("refused = success"): old clients take any failure for a
 *                fault of the server, and Cyrus then reports nobody any more
 *   ADD_PERM     this caller may not report
 *   ADD_SYSERR   no lease now, and trying again makes sense: dracd is down, or a limit
 */
#ifndef RPC_GATEWAY_H
#define RPC_GATEWAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "rpc/allow.h"
#include "rpc/call.h"
#include "rpc/prefix.h"
#include "rpc/settings.h"

/* Where a call came from and how it is answered; copied while it waits. */
struct origin {
	struct in6_addr caller;
	uint32_t port;
	bool is_datagram;
	/* Called once for each call that was taken. */
	void (*answer)(const struct origin *origin, const struct reply *reply);
	void *transport;

	/* of a datagram */
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} peer;

	union {
		struct in_pktinfo ipv4;
		struct in6_pktinfo ipv6;
	} local; /* which it was sent to */
};

struct gateway;

/* Reads the file of callers, and logs what is to be known of it.  0 or a negative errno.
 */
int gateway_load_allow(const struct settings *settings, const struct prefix_list *own,
	struct allow *ret) __attribute__((warn_unused_result));

/* Takes the settings over, also when it fails.  own: see allow.h; borrowed. */
int gateway_new(sd_event *event, struct settings *settings, const struct prefix_list *own,
	struct gateway **ret) __attribute__((warn_unused_result));

/* Callers that wait are answered first.  NULL is a no-op.  Returns NULL. */
struct gateway *gateway_free(struct gateway *gateway);

/* Takes the settings over if it succeeds; else nothing is changed. */
int gateway_reload(struct gateway *gateway, struct settings *settings)
	__attribute__((warn_unused_result));

const struct settings *gateway_settings(const struct gateway *gateway);

/* Takes a datagram or record.  False: it is no call, and is not answered. */
bool gateway_take(struct gateway *gateway, const void *data, size_t length,
	const struct origin *origin);

/* To be called when nothing more is there to be taken. */
void gateway_flush(struct gateway *gateway);

/* True if every call that was taken is answered. */
bool gateway_is_idle(const struct gateway *gateway);

#endif
