/* What server.c and connection.c share; for nobody else. */
#ifndef DRACD_SERVER_INTERNAL_H
#define DRACD_SERVER_INTERNAL_H

#include "dracd/server.h"

enum {
	READ_SIZE = 16 * 1024,   /* read at once, beyond what is left of before */
	SEND_BUFFER = 16 * 1024, /* of the kernel, which doubles it */
	READY_MAX = 64,          /* connections served per turn of the loop */
	REQUEST_SECONDS = 10,    /* for a request to become whole */
};

struct connection {
	struct server *server;
	struct connection *previous, *next;
	struct connection *expected_next,
		**expected_place; /* NULL: nothing is expected */
	uint64_t due_usec;        /* when what is expected must be whole */
	int fd;
	int file;        /* that was handed over; -1: none */
	uint32_t events; /* waited for */
	void *state;
	struct peer peer;
	char *in; /* what is left of a request that is not yet whole, or not yet wanted */
	size_t in_length;
	char *out; /* what the peer has not yet taken */
	size_t out_length, out_sent;
	unsigned holds;
	bool paused;
	bool at_end;  /* the peer sends no more */
	bool closing; /* to be freed by the reaper */
	struct connection *next_closing;
};

/* An account that has connections. */
struct holder {
	uid_t uid;
	unsigned count;
};

struct server {
	struct server_settings settings;
	sd_event *event;
	int fd;
	bool has_name; /* the socket's path is ours; else, until then, the temporary one
			*/
	bool is_replaced;
	int spare_fd; /* given up for a moment when descriptors run out */
	sd_event_source *source;
	int poll_fd; /* epoll(7) of the connections */
	sd_event_source *ready;
	sd_event_source *reaper;
	struct connection *connections;
	struct connection *closing;
	unsigned count;
	unsigned crowd; /* the most there were since memory was given back */
	/* when it was logged; 0: never */
	uint64_t full_said_usec, share_said_usec, files_said_usec, denied_said_usec;
	size_t holder_count;
	struct holder *holders;
	struct connection *expected; /* that owe a request, the next one due first */
	struct connection **expected_last;
	sd_event_source *overdue;
	char *scratch; /* where octets are consumed: request_max + READ_SIZE + 1 */
	struct connection *consuming; /* whose octets are in the scratch just now */
};

/* Takes over an accepted fd: a connection, or closed if there is no room for one. */
void connection_add(struct server *server, int fd);

/* Frees a connection at once: not under the feet of a caller that uses it. */
void connection_free(struct connection *connection);

/* A request that was expected has not come in time. */
void connection_overdue(struct connection *connection);

/* Connections have something to read, or room to write: the source of poll_fd. */
int server_on_ready(sd_event_source *source, int fd, uint32_t events, void *userdata);

/* ---- connection_file.c ---- */

/* recv(2) without waiting; a descriptor that comes along is kept if the protocol takes
 * such.  Returns the number of octets, 0 at the end, or a negative errno; -EBADMSG: there
 * came descriptors that nobody wants, which are closed. */
ssize_t connection_receive(struct connection *connection, char *data, size_t size)
	__attribute__((warn_unused_result));

/* ---- server_limit.c ---- */

/* True if another connection of uid is within the limits; else it has been logged. */
bool server_has_room(struct server *server, uid_t uid);

/* Logs that a connection of uid is closed since it handed descriptors over. */
void server_say_files(struct server *server, uid_t uid);

/* Counts a connection of uid.  0 or -ENOMEM. */
int server_count_in(struct server *server, uid_t uid) __attribute__((warn_unused_result));
void server_count_out(struct server *server, uid_t uid);

/* Memory of connections that are gone goes back to the system. */
void server_give_back(struct server *server);

/* The timer of what is expected. */
int server_add_timer(struct server *server) __attribute__((warn_unused_result));

/* From now on a whole request is expected within REQUEST_SECONDS; not twice. */
void connection_expect(struct connection *connection);

/* It has come, or is not the peer's to send just now.  May be called at any time. */
void connection_expect_no_more(struct connection *connection);

/* The deferred source that frees the connections that are closing; userdata is the
 * server. */
int server_on_reap(sd_event_source *source, void *userdata);

#endif
