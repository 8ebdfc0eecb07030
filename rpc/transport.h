/* Datagrams and connections: octets in, calls to the gateway, answers out. */
#ifndef RPC_TRANSPORT_H
#define RPC_TRANSPORT_H

#include <systemd/sd-event.h>

#include "rpc/gateway.h"

struct udp;
struct tcp;

/* Serves a bound datagram socket, which it takes over, also when it fails. */
int udp_new(sd_event *event, int fd, struct gateway *gateway, struct udp **ret)
	__attribute__((warn_unused_result));
/* Takes the calls that have come, as many as in one turn of the loop, and no more; they
 * are answered.  NULL is a no-op. */
void udp_stop(struct udp *udp);
/* After the gateway's end, too. */
struct udp *udp_free(struct udp *udp);

/* Serves connections, so many at most: the one that was idle longest makes room. */
int tcp_new(sd_event *event, unsigned connections_max, struct gateway *gateway,
	struct tcp **ret) __attribute__((warn_unused_result));
/* Also serves a listening socket, which it takes over, also when it fails. */
int tcp_add_listener(struct tcp *tcp, int fd) __attribute__((warn_unused_result));
/* Takes the calls that have come, and no more; they are answered.  The listening sockets
 * are closed. */
void tcp_stop(struct tcp *tcp);
/* After the gateway's end, which answers those that wait. */
struct tcp *tcp_free(struct tcp *tcp);

#endif
