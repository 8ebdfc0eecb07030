/*
 * Connections.  Nothing is waited for: what a connection has is taken, at most so much
 * in a turn, and it is left alone until there is more.
 *
 * They are in the order of their last whole call.  At its limit the server closes the
 * one that is idle longest, and any is closed IDLE_USEC after its last whole call, so a
 * writer that sends an octet now and then is idle too.  Those whose call is under way are
 * never closed for room.
 *
 * They have an epoll(7) of their own, which is one source for the loop: as a source each,
 * a thousand that are ready at once would be slow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rpc/log.h"
#include "rpc/record.h"
#include "rpc/transport.h"

enum {
	READY_MAX = 64,   /* connections served in one turn of the loop */
	ACCEPT_MAX = 64,  /* and accepted */
	READ_SIZE = 4096, /* and octets read of each */
	CALLS_MAX = 16,   /* under way of one connection; then it is not read on */
	LISTENERS_MAX = 32,
	STOP_TURNS = 64, /* as of the loop, for what has come before a stop */
};

#define IDLE_USEC (60 * UINT64_C(1000000))

struct connection {
	struct tcp *tcp;
	int fd; /* -1: closed, while calls are under way */
	struct in6_addr caller;
	unsigned calls;  /* under way */
	bool is_watched; /* for what there is to read */
	bool is_ended; /* by the peer, who may still read: closed with the last answer */
	uint64_t end_usec;
	struct connection *older, *newer;
	struct record record;
};

struct tcp {
	sd_event *event;
	struct gateway *gateway;
	int epoll_fd;
	sd_event_source *source, *timer;
	int spare_fd; /* to be given up for one more connection */
	unsigned listener_count;
	int listeners[LISTENERS_MAX];
	unsigned count, connections_max;
	struct connection *oldest, *newest;
};

static uint64_t now_of(const struct tcp *tcp)
{
	uint64_t now_usec = 0;

	(void)sd_event_now(tcp->event, CLOCK_BOOTTIME, &now_usec);
	return now_usec;
}

/* ---- the list ---- */

static void unlink_connection(struct connection *connection)
{
	struct tcp *tcp = connection->tcp;

	*(connection->older ? &connection->older->newer : &tcp->oldest) =
		connection->newer;
	*(connection->newer ? &connection->newer->older : &tcp->newest) =
		connection->older;
}

static void append_connection(struct connection *connection)
{
	struct tcp *tcp = connection->tcp;

	connection->end_usec = now_of(tcp) + IDLE_USEC;
	connection->newer = NULL;
	connection->older = tcp->newest;
	*(tcp->newest ? &tcp->newest->newer : &tcp->oldest) = connection;
	tcp->newest = connection;
}

static void set_timer(struct tcp *tcp)
{
	if (!tcp->oldest)
		return;
	(void)sd_event_source_set_time(tcp->timer, tcp->oldest->end_usec);
	(void)sd_event_source_set_enabled(tcp->timer, SD_EVENT_ONESHOT);
}

/* ---- life of a connection ---- */

/* It is freed when its last call is answered. */
static void close_connection(struct connection *connection)
{
	if (connection->fd < 0)
		return;
	close(connection->fd);
	connection->fd = -1;
	unlink_connection(connection);
	connection->tcp->count--;
	if (connection->calls == 0)
		free(connection);
}

/* Closes the one that is idle longest and has no call under way.  False: there is none.
 */
static bool close_idlest(struct tcp *tcp)
{
	for (struct connection *at = tcp->oldest; at; at = at->newer)
		if (at->calls == 0) {
			close_connection(at);
			return true;
		}
	return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct tcp *tcp = userdata;
	uint64_t now_usec = now_of(tcp);

	(void)source;
	(void)usec;
	while (tcp->oldest && tcp->oldest->end_usec <= now_usec) {
		struct connection *oldest = tcp->oldest;

		if (oldest->calls > 0) {
			unlink_connection(oldest);
			append_connection(oldest);
		} else {
			close_connection(oldest);
		}
	}
	set_timer(tcp);
	return 0;
}

static void watch(struct connection *connection, bool is_watched)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

	if (is_watched == connection->is_watched)
		return;
	connection->is_watched = is_watched;
	(void)epoll_ctl(connection->tcp->epoll_fd,
		is_watched ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, connection->fd, &event);
}

static void add_connection(struct tcp *tcp, int fd, const struct sockaddr *peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	bool was_empty = !tcp->oldest;

	if (!connection) {
		close(fd);
		return;
	}
	connection->tcp = tcp;
	connection->fd = fd;
	connection->caller = prefix_of_sockaddr(peer);
	append_connection(connection);
	tcp->count++;
	watch(connection, true);
	if (was_empty)
		set_timer(tcp);
}

/* ---- calls ---- */

/* It does not read what it asks for.  The end is read later, and closes it: with a reset,
 * since the system would keep for minutes what is not read. */
static void end_abruptly(const struct connection *connection)
{
	const struct linger reset = {.l_onoff = 1};

	(void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	(void)shutdown(connection->fd, SHUT_RDWR);
}

/* Called once for each call; the connection may have gone. */
static void answer_tcp(const struct origin *origin, const struct reply *reply)
{
	struct connection *connection = origin->transport;
	unsigned char mark[4];
	struct iovec data[] = {
		{mark, sizeof(mark)},
		{(void *)(uintptr_t)reply->data, reply->length},
	};
	const struct msghdr message = {.msg_iov = data, .msg_iovlen = 2};

	connection->calls--;
	if (connection->fd < 0) {
		if (connection->calls == 0)
			free(connection);
		return;
	}
	record_mark(reply->length, mark);
	if (sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) !=
		(ssize_t)(sizeof(mark) + reply->length))
		end_abruptly(connection);
	if (!connection->is_ended)
		watch(connection, connection->calls < CALLS_MAX);
	else if (connection->calls == 0)
		close_connection(connection);
}

/* Takes a whole record.  False if the connection is to be closed. */
static bool take_record(struct connection *connection)
{
	const struct origin origin = {
		.caller = connection->caller,
		.answer = answer_tcp,
		.transport = connection,
	};

	unlink_connection(connection);
	append_connection(connection);
	connection->calls++;
	if (gateway_take(connection->tcp->gateway, connection->record.data,
		    connection->record.length, &origin)) {
		record_reset(&connection->record);
		return true;
	}
	connection->calls--;
	return false;
}

/* Takes all that was read.  False if the connection is to be closed. */
static bool take_octets(
	struct connection *connection, const unsigned char *octets, size_t length)
{
	while (length > 0) {
		size_t taken;
		int r = record_feed(&connection->record, octets, length, &taken);

		if (r < 0 || (r == RECORD_WHOLE && !take_record(connection)))
			return false;
		octets += taken;
		length -= taken;
	}
	return true;
}

static void serve(struct connection *connection)
{
	unsigned char octets[READ_SIZE];
	ssize_t length = recv(connection->fd, octets, sizeof(octets), MSG_DONTWAIT);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length == 0 && connection->calls > 0) {
		connection->is_ended = true;
		watch(connection, false);
		return;
	}
	if (length <= 0 || !take_octets(connection, octets, (size_t)length))
		close_connection(connection);
	else
		watch(connection, connection->calls < CALLS_MAX);
}

/* ---- accepting ---- */

/* Out of descriptors: lets the caller go at once rather than hang in the queue. */
static void refuse_one(struct tcp *tcp, int listener)
{
	int fd;

	if (tcp->spare_fd >= 0)
		close(tcp->spare_fd);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	tcp->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Takes one that was accepted, if there is room or can be made. */
static void take_one(struct tcp *tcp, int fd, const struct sockaddr *peer)
{
	if (tcp->count >= tcp->connections_max && !close_idlest(tcp))
		close(fd);
	else
		add_connection(tcp, fd, peer);
}

/* Accepts one.  False if there is none. */
static bool accept_one(struct tcp *tcp, int listener)
{
	struct sockaddr_in6 peer = {0};
	socklen_t size = sizeof(peer);
	int fd = accept4(
		listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		take_one(tcp, fd, (const struct sockaddr *)&peer);
	else if ((errno == EMFILE || errno == ENFILE) && !close_idlest(tcp))
		refuse_one(tcp, listener);
	return fd >= 0;
}

/* After the connections of this turn, since it may close others. */
static void accept_all(struct tcp *tcp)
{
	for (unsigned i = 0; i < tcp->listener_count; i++)
		for (unsigned j = 0; j < ACCEPT_MAX; j++)
			if (!accept_one(tcp, tcp->listeners[i]))
				break;
}

/* What is ready; a listener has no pointer.  False if that was all. */
static bool serve_ready(struct tcp *tcp)
{
	struct epoll_event ready[READY_MAX];
	int count = epoll_wait(tcp->epoll_fd, ready, READY_MAX, 0);
	bool is_accepting = false;

	for (int i = 0; i < count; i++) {
		if (ready[i].data.ptr)
			serve(ready[i].data.ptr);
		else
			is_accepting = true;
	}
	if (is_accepting)
		accept_all(tcp);
	gateway_flush(tcp->gateway);
	return count == READY_MAX;
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	(void)serve_ready(userdata);
	return 0;
}

/* ---- life ---- */

/* systemd's has another descriptor, and so goes on listening. */
static void close_listeners(struct tcp *tcp)
{
	for (; tcp->listener_count > 0; tcp->listener_count--) {
		int fd = tcp->listeners[tcp->listener_count - 1];

		(void)epoll_ctl(tcp->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		close(fd);
	}
}

int tcp_new(sd_event *event, unsigned connections_max, struct gateway *gateway,
	struct tcp **ret)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));
	int r;

	if (!tcp)
		return -ENOMEM;
	tcp->event = event;
	tcp->gateway = gateway;
	tcp->connections_max = connections_max;
	tcp->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	tcp->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = tcp->epoll_fd < 0 ? -errno : 0;
	if (r == 0)
		r = sd_event_add_io(
			event, &tcp->source, tcp->epoll_fd, EPOLLIN, on_ready, tcp);
	if (r >= 0)
		r = sd_event_add_time(event, &tcp->timer, CLOCK_BOOTTIME, UINT64_MAX,
			1000000, on_timer, tcp);
	if (r >= 0)
		r = sd_event_source_set_enabled(tcp->timer, SD_EVENT_OFF);
	if (r < 0)
		tcp_free(tcp);
	else
		*ret = tcp;
	return r < 0 ? r : 0;
}

int tcp_add_listener(struct tcp *tcp, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (tcp->listener_count == LISTENERS_MAX ||
		epoll_ctl(tcp->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		close(fd);
		return tcp->listener_count == LISTENERS_MAX ? -E2BIG : -errno;
	}
	tcp->listeners[tcp->listener_count++] = fd;
	return 0;
}

void tcp_stop(struct tcp *tcp)
{
	close_listeners(tcp);
	for (unsigned i = 0; i < STOP_TURNS && serve_ready(tcp); i++)
		continue;
	(void)sd_event_source_set_enabled(tcp->source, SD_EVENT_OFF);
}

struct tcp *tcp_free(struct tcp *tcp)
{
	if (!tcp)
		return NULL;
	while (tcp->oldest)
		close_connection(tcp->oldest);
	close_listeners(tcp);
	sd_event_source_unref(tcp->source);
	sd_event_source_unref(tcp->timer);
	if (tcp->epoll_fd >= 0)
		close(tcp->epoll_fd);
	if (tcp->spare_fd >= 0)
		close(tcp->spare_fd);
	free(tcp);
	return NULL;
}
