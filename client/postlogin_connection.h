/*
 * One login in served mode: a connection from Dovecot, and for a while one to dracd.
 *
 * Nothing here blocks.  A connection says what it waits for and until when, and is run
 * when that has come.
 */
#ifndef CLIENT_POSTLOGIN_CONNECTION_H
#define CLIENT_POSTLOGIN_CONNECTION_H

#include <poll.h>
#include <stdbool.h>

#include "client/postlogin.h"

struct connection;

/* Takes over fd, a non-blocking stream socket.  Returns NULL, with fd closed, if there is
 * no memory.  options is borrowed.  *spare is a connection to dracd that a login has left
 * to the next one, or -1; it is the caller's, shared by all.  Times are of
 * CLOCK_MONOTONIC, in milliseconds. */
struct connection *connection_new(
	int fd, const struct postlogin_options *options, int *spare, long long now_ms);

/* NULL is a no-op.  Returns NULL. */
struct connection *connection_free(struct connection *connection);

/* What the connection waits for, and when it wants to be run at the latest. */
struct pollfd connection_events(const struct connection *connection);
long long connection_wake_ms(const struct connection *connection);

/* Does what can be done.  False when the connection has ended and is to be freed. */
bool connection_run(struct connection *connection, long long now_ms)
	__attribute__((warn_unused_result));

/* The server is to end: do not wait long for a request that has not come. */
void connection_hurry(struct connection *connection, long long now_ms);

#endif
