/*
 * Registration with rpcbind, where clients of other hosts ask for the port.
 *
 * libtirpc waits for rpcbind's answer, for up to a minute, so a child process asks; a
 * gateway that rpcbind does not know serves whoever knows its port.
 */
#ifndef RPC_RPCBIND_H
#define RPC_RPCBIND_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "rpc/listen.h"

struct rpcbind;

/* Registers now and again every RPCBIND_MINUTES, for rpcbind forgets when it restarts.
 * SIGCHLD has to be blocked.  sockets is borrowed. */
int rpcbind_new(sd_event *event, const struct listen_sockets *sockets,
	struct rpcbind **ret) __attribute__((warn_unused_result));

/* Takes the registration back, in ten seconds at most.  NULL is a no-op.  Returns NULL.
 */
struct rpcbind *rpcbind_free(struct rpcbind *rpcbind);

#endif
