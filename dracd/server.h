/*
 * Listening sockets and their connections: bytes in, bytes out, limits (server_limit.c).
 *
 * A server knows nothing of what is said on it: its protocol consumes octets as they come
 * and writes answers.  An idle connection costs a few hundred octets; octets of a request
 * that is not yet whole are kept per connection, up to the protocol's limit.
 */
#ifndef DRACD_SERVER_H
#define DRACD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct server;
struct connection;

struct peer {
	uid_t uid; /* (uid_t)-1 if the kernel did not tell */
	gid_t gid;
	pid_t pid;
};

struct protocol {
	const char *name;
	size_t request_max; /* octets of one request */
	/* Whether a descriptor may come with a request of this peer.  May be NULL: none.
	 */
	bool (*takes_files)(const struct connection *connection);

	/* A connection was accepted; *ret_state is the protocol's own.  A negative errno
	 * refuses it.  May be NULL. */
	int (*opened)(struct connection *connection, void **ret_state);

	/* Takes one request from the start of data (writable, length octets, one octet of
	 * room after them) and returns how many octets it was; 0 if it is not yet whole;
	 * a negative errno to close once what was written, or is held back, has been
	 * sent.  Not called while paused. */
	ssize_t (*consume)(struct connection *connection, char *data, size_t length);

	/* The peer has ended its side; what it sent last, length octets, is not a whole
	 * request, and not empty.  May be NULL: then it is passed over. */
	void (*ended)(struct connection *connection, const char *data, size_t length);

	/* What was written has been sent, after it could not be at once.  May be NULL. */
	void (*drained)(struct connection *connection);

	/* The request that is expected has not come whole in time, and the connection is
	 * about to be finished.  May be NULL. */
	void (*overdue)(struct connection *connection);

	/* What one is told, before it is closed, for which there is no room.  May be
	 * NULL. */
	const char *no_room;

	/* The connection is closing; state is to be released.  May be NULL. */
	void (*closed)(struct connection *connection);
};

enum {
	WRITE_BUFFER_MAX = 2 * 1024 * 1024
};

struct server_settings {
	const struct protocol *protocol;
	const char *path; /* to bind; borrowed */
	gid_t group;
	mode_t mode;
	int inherited_fd;         /* a listening socket from systemd instead; -1: none */
	unsigned connections_max; /* one account has at most three quarters of them */
	void *context;            /* for the protocol */
};

/* Binds the socket under a temporary name and listens: all that can fail.  Nobody sees it
 * before server_appear(). */
int server_open(sd_event *event, const struct server_settings *settings,
	struct server **ret) __attribute__((warn_unused_result));

/* Gives the socket its name; one that has it is replaced.  0 or a negative errno. */
int server_appear(struct server *server) __attribute__((warn_unused_result));

/* From now on no further connections beyond so many. */
void server_set_limit(struct server *server, unsigned connections_max);

bool server_has_appeared(const struct server *server);

/* The name has been given to another server, so it is not ours to remove any more. */
void server_replaced(struct server *server);

/* Closes all connections, and unlinks the socket unless it was inherited.  NULL is a
 * no-op. Returns NULL. */
struct server *server_close(struct server *server);

/* Who connects from now on waits in the socket's queue; who is connected is served.  A
 * negative errno if that cannot be. */
int server_stop_accepting(struct server *server) __attribute__((warn_unused_result));

void *server_context(const struct server *server);
unsigned server_connection_count(const struct server *server);

/* True while some connection owes its first request or the rest of one, or has an answer
 * to come. */
bool server_is_owed(const struct server *server);

/* ---- for protocols ---- */

struct server *connection_server(const struct connection *connection);
void *connection_state(const struct connection *connection);
const struct peer *connection_peer(const struct connection *connection);

/* Logs that this peer is none whose reports count; once a minute. */
void server_say_denied(struct server *server, const struct peer *peer);

/* True if the peer's process is in the group, by SO_PEERCRED or SO_PEERGROUPS. */
bool connection_peer_in_group(const struct connection *connection, gid_t group);

/* Sends data, or keeps what the peer does not take at once; nothing is consumed until
 * that is sent.  More than a bounded amount closes the connection. */
void connection_write(struct connection *connection, const void *data, size_t length);

/* True while octets wait to be sent. */
bool connection_is_choked(const struct connection *connection);

/* A descriptor of the connection for the caller to send by, and to close; it outlives the
 * connection.  -1: that cannot be, or octets wait to be sent. */
int connection_share(const struct connection *connection)
	__attribute__((warn_unused_result));

/* The descriptor that came last, to be closed by the caller; -1: none has come since.  It
 * came with what has been read by now, and no more than one is kept. */
int connection_take_file(struct connection *connection)
	__attribute__((warn_unused_result));

/* Takes no more from the peer, not even what has been read; closes when nothing is owed
 * to him.  A consumer that calls it returns all that it was given. */
void connection_finish(struct connection *connection);

/* While held a connection whose peer has ended its sending stays open for an answer. */
void connection_hold(struct connection *connection);
void connection_release(struct connection *connection);

/* While paused nothing is read; resuming consumes what is there. */
void connection_pause(struct connection *connection);
void connection_resume(struct connection *connection);

#endif
