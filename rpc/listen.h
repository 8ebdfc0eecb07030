/* The gateway's sockets: passed by systemd, else bound as "listen" and "port" say. */
#ifndef RPC_LISTEN_H
#define RPC_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "rpc/settings.h"

enum {
	SOCKETS_MAX = 32
};

struct listen_socket {
	int fd; /* -1: taken by its user */
	bool is_datagram;
	struct in6_addr ip; /* IPv4 as v4-mapped */
	unsigned port;
};

struct listen_sockets {
	size_t count;
	struct listen_socket items[SOCKETS_MAX];
};

/* Says in the log what is wrong, and what others can reach.  0 or a negative errno. */
int listen_open(const struct settings *settings, struct listen_sockets *ret)
	__attribute__((warn_unused_result));

void listen_close(struct listen_sockets *sockets);

#endif
