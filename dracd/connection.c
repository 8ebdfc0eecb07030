/* One connection of a server: octets in, octets out. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dracd/abandon.h"
#include "dracd/server_internal.h"

/* ---- closing ---- */

/* Connections are freed from the loop only, never under the feet of a caller. */
static void close_connection(struct connection *connection)
{
	struct server *server = connection->server;

	if (connection->closing)
		return;
	connection->closing = true;
	connection->next_closing = server->closing;
	server->closing = connection;
	(void)epoll_ctl(server->poll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	(void)sd_event_source_set_enabled(server->reaper, SD_EVENT_ONESHOT);
}

void connection_free(struct connection *connection)
{
	struct server *server = connection->server;

	if (server->settings.protocol->closed)
		server->settings.protocol->closed(connection);
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		server->connections = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	connection_expect_no_more(connection);
	server_count_out(server, connection->peer.uid);
	abandon_connection(connection->fd);
	close_aside(&connection->file);
	free(connection->in);
	free(connection->out);
	free(connection);
}

int server_on_reap(sd_event_source *source, void *userdata)
{
	struct server *server = userdata;

	(void)source;
	while (server->closing) {
		struct connection *connection = server->closing;

		server->closing = connection->next_closing;
		connection_free(connection);
	}
	server_give_back(server);
	return 0;
}

void connection_overdue(struct connection *connection)
{
	const struct protocol *protocol = connection->server->settings.protocol;

	connection_expect_no_more(connection);
	if (connection->closing)
		return;
	if (protocol->overdue)
		protocol->overdue(connection);
	connection_finish(connection);
}

/* Reads when there is room for what comes, writes when something waits. */
static void set_events(struct connection *connection)
{
	struct epoll_event wanted = {.data.ptr = connection};

	if (connection->closing)
		return;
	if (connection_is_choked(connection))
		wanted.events |= EPOLLOUT;
	else if (!connection->paused && !connection->at_end)
		wanted.events |= EPOLLIN;
	if (wanted.events == connection->events)
		return;
	connection->events = wanted.events;
	if (epoll_ctl(connection->server->poll_fd, EPOLL_CTL_MOD, connection->fd,
		    &wanted) < 0)
		close_connection(connection);
}

/* At the end of what the peer sends, and of what we owe him, he is done with. */
static void close_if_done(struct connection *connection)
{
	if (connection->at_end && connection->holds == 0 && !connection->paused &&
		!connection_is_choked(connection))
		close_connection(connection);
}

void connection_finish(struct connection *connection)
{
	connection->at_end = true;
	free(connection->in);
	connection->in = NULL;
	connection->in_length = 0;
	set_events(connection);
	close_if_done(connection);
}

/* ---- writing ---- */

bool connection_is_choked(const struct connection *connection)
{
	return connection->out_length > connection->out_sent;
}

int connection_share(const struct connection *connection)
{
	if (connection->closing || connection_is_choked(connection))
		return -1;
	return fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
}

static int keep_output(struct connection *connection, const char *data, size_t length)
{
	size_t waiting = connection->out_length - connection->out_sent;
	char *grown;

	if (waiting + length > WRITE_BUFFER_MAX)
		return -ENOBUFS;
	if (connection->out_sent) {
		memmove(connection->out, connection->out + connection->out_sent, waiting);
		connection->out_sent = 0;
		connection->out_length = waiting;
	}
	grown = realloc(connection->out, waiting + length);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + waiting, data, length);
	connection->out = grown;
	connection->out_length = waiting + length;
	return 0;
}

void connection_write(struct connection *connection, const void *data, size_t length)
{
	const char *at = data;
	ssize_t sent = 0;

	if (connection->closing)
		return;
	if (!connection_is_choked(connection)) {
		sent = send(connection->fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			close_connection(connection);
			return;
		}
		if (sent < 0)
			sent = 0;
	}
	if ((size_t)sent == length)
		return;
	if (keep_output(connection, at + sent, length - (size_t)sent) < 0)
		close_connection(connection);
	else
		set_events(connection);
}

static void flush_output(struct connection *connection)
{
	const struct protocol *protocol = connection->server->settings.protocol;
	ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
		connection->out_length - connection->out_sent,
		MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		close_connection(connection);
		return;
	}
	connection->out_sent += (size_t)sent;
	if (connection_is_choked(connection))
		return;
	free(connection->out);
	connection->out = NULL;
	connection->out_length = connection->out_sent = 0;
	if (protocol->drained)
		protocol->drained(connection);
}

/* ---- reading ---- */

static int keep_input(struct connection *connection, const char *data, size_t length)
{
	char *kept = NULL;

	if (length) {
		kept = malloc(length);
		if (!kept)
			return -ENOMEM;
		memcpy(kept, data, length);
	}
	free(connection->in);
	connection->in = kept;
	connection->in_length = length;
	return 0;
}

/* The time for a request begins with its first octet; while we do not read it stands
 * still. */
static void expect_rest(struct connection *connection, size_t left, bool has_taken)
{
	bool expected =
		left > 0 && !connection->paused && !connection_is_choked(connection);

	if (has_taken || !expected)
		connection_expect_no_more(connection);
	if (expected && !connection->expected_place)
		connection_expect(connection);
}

/* Consumes whole requests from the length octets in the scratch; keeps the rest. */
static void consume(struct connection *connection, size_t length)
{
	const struct protocol *protocol = connection->server->settings.protocol;
	char *data = connection->server->scratch;
	bool has_taken = false;

	connection->server->consuming = connection;
	while (length > 0 && !connection->paused && !connection->closing &&
		!connection_is_choked(connection)) {
		ssize_t taken = protocol->consume(connection, data, length);

		if (taken < 0 || (taken == 0 && length >= protocol->request_max)) {
			/* not closed: the peer may not yet have taken the last answer */
			connection_finish(connection);
			length = 0;
		}
		if (taken <= 0)
			break;
		has_taken = true;
		data += taken;
		length -= (size_t)taken;
	}
	connection->server->consuming = NULL;
	if (connection->closing)
		return;
	expect_rest(connection, length, has_taken);
	if (keep_input(connection, data, length) < 0)
		close_connection(connection);
}

/* Moves what was kept back to the scratch; returns its length. */
static size_t restore_input(struct connection *connection)
{
	if (connection->in_length)
		memcpy(connection->server->scratch, connection->in,
			connection->in_length);
	return connection->in_length;
}

/* What was sent before the end may be a request to some protocols. */
static void take_end(struct connection *connection, const char *data, size_t length)
{
	const struct protocol *protocol = connection->server->settings.protocol;

	connection->at_end = true;
	if (protocol->ended && length > 0)
		protocol->ended(connection, data, length);
}

static void read_input(struct connection *connection)
{
	char *scratch = connection->server->scratch;
	size_t length = restore_input(connection);
	ssize_t got = connection_receive(connection, scratch + length, READ_SIZE);

	if (got < 0) {
		if (got != -EAGAIN && got != -EINTR)
			close_connection(connection);
		return;
	}
	if (got == 0)
		take_end(connection, scratch, length);
	else
		consume(connection, length + (size_t)got);
}

static void update(struct connection *connection)
{
	close_if_done(connection);
	set_events(connection);
}

/* Consumes what was kept while the connection was paused or choked. */
static void consume_kept(struct connection *connection)
{
	if (connection->in_length)
		consume(connection, restore_input(connection));
}

static void on_events(struct connection *connection, uint32_t events)
{
	if (events & EPOLLOUT)
		flush_output(connection);
	if (events & EPOLLIN)
		read_input(connection);
	else if (events & EPOLLOUT && !connection_is_choked(connection))
		consume_kept(connection);
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
		close_connection(connection);
	update(connection);
}

int server_on_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct epoll_event ready[READY_MAX];
	int count = epoll_wait(fd, ready, READY_MAX, 0);

	(void)source;
	(void)events;
	(void)userdata;
	for (int i = 0; i < count; i++) {
		struct connection *connection = ready[i].data.ptr;

		/* one before it may have closed it; it is freed later only */
		if (!connection->closing)
			on_events(connection, ready[i].events);
	}
	return 0;
}

void connection_pause(struct connection *connection)
{
	connection->paused = true;
	set_events(connection);
}

void connection_resume(struct connection *connection)
{
	if (!connection->paused)
		return;
	connection->paused = false;
	/* called from within consume(): it goes on by itself */
	if (connection->closing || connection->server->consuming)
		return;
	consume_kept(connection);
	update(connection);
}

void connection_hold(struct connection *connection)
{
	connection->holds++;
}

void connection_release(struct connection *connection)
{
	connection->holds--;
	close_if_done(connection);
}

/* ---- accepting ---- */

static struct peer read_peer(int fd)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return (struct peer){.uid = (uid_t)-1, .gid = (gid_t)-1};
	return (struct peer){credentials.uid, credentials.gid, credentials.pid};
}

/* What a peer that takes no answers costs the kernel. */
static void bound_output(int fd)
{
	const int octets = SEND_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
}

static void refuse(const struct protocol *protocol, int fd)
{
	if (protocol->no_room)
		(void)!send(fd, protocol->no_room, strlen(protocol->no_room),
			MSG_NOSIGNAL | MSG_DONTWAIT);
	abandon_connection(fd);
}

/* A connection that is counted, watched, and listed. */
static struct connection *new_connection(
	struct server *server, int fd, const struct peer *peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = connection};

	if (!connection)
		return NULL;
	connection->server = server;
	connection->fd = fd;
	connection->file = -1;
	connection->events = wanted.events;
	connection->peer = *peer;
	if (server_count_in(server, peer->uid) < 0) {
		free(connection);
		return NULL;
	}
	if (epoll_ctl(server->poll_fd, EPOLL_CTL_ADD, fd, &wanted) < 0) {
		server_count_out(server, peer->uid);
		free(connection);
		return NULL;
	}
	connection->next = server->connections;
	if (connection->next)
		connection->next->previous = connection;
	server->connections = connection;
	return connection;
}

void connection_add(struct server *server, int fd)
{
	const struct protocol *protocol = server->settings.protocol;
	struct peer peer = read_peer(fd);
	struct connection *connection = NULL;

	if (server_has_room(server, peer.uid))
		connection = new_connection(server, fd, &peer);
	if (!connection) {
		refuse(protocol, fd);
		return;
	}
	bound_output(fd);
	receive_in_order(fd);
	connection_expect(connection);
	if (protocol->opened && protocol->opened(connection, &connection->state) < 0)
		close_connection(connection);
}

struct server *connection_server(const struct connection *connection)
{
	return connection->server;
}

void *connection_state(const struct connection *connection)
{
	return connection->state;
}

const struct peer *connection_peer(const struct connection *connection)
{
	return &connection->peer;
}

bool connection_peer_in_group(const struct connection *connection, gid_t group)
{
	gid_t groups[256];
	socklen_t size = sizeof(groups);

	if (group == (gid_t)-1)
		return false;
	if (connection->peer.gid == group)
		return true;
	if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}
