/* What server.c and connection.c share; for nobody else. */
#ifndef DRACD_SERVER_INTERNAL_H
#define DRACD_SERVER_INTERNAL_H

#include "dracd/server.h"

enum {
	READ_SIZE = 16 * 1024
}; /* read at once, beyond what is left of before */

struct connection {
	struct server *server;
	struct connection *previous, *next;
	int fd;
	sd_event_source *source;
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
};

struct server {
	struct server_settings settings;
	sd_event *event;
	int fd;
	int spare_fd; /* given up for a moment when descriptors run out */
	sd_event_source *source;
	sd_event_source *reaper;
	struct connection *connections;
	unsigned count;
	bool overloaded;
	char *scratch; /* where octets are consumed: request_max + READ_SIZE + 1 */
	struct connection *consuming; /* whose octets are in the scratch just now */
};

/* A connection on fd, which is taken over. */
int connection_add(struct server *server, int fd);

/* Frees a connection at once: not under the feet of a caller that uses it. */
void connection_free(struct connection *connection);

/* The deferred source that frees the connections that are closing; userdata is the
 * server. */
int server_on_reap(sd_event_source *source, void *userdata);

#endif
