/*
 * Listening sockets: bound with mode and group, accepting within limits.
 *
 * The connections of a server have an epoll(7) of their own, which is one source for the
 * loop.  As a source each, thousands of them that are ready at once would cost seconds:
 * sd-event asks for all that are ready before each one that it serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "dracd/abandon.h"
#include "dracd/cleanup.h"
#include "dracd/server_internal.h"

enum {
	ACCEPT_MAX = 64, /* connections accepted per turn of the loop */
	/* every process of an MTA at once, after a restart: what does not fit is turned
	 * away, as MTAs do not wait to connect.  net.core.somaxconn may make it less */
	LISTEN_BACKLOG = 4096,
};

/* ---- accepting ---- */

/* Out of descriptors: lets the caller go at once rather than hang in the queue. */
static void refuse_one(struct server *server)
{
	int fd;

	close_fd(&server->spare_fd);
	fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		abandon_connection(fd);
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct server *server = userdata;

	(void)source;
	(void)events;
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (accepted < 0 && (errno == EMFILE || errno == ENFILE))
			refuse_one(server);
		if (accepted < 0)
			break;
		connection_add(server, accepted);
	}
	return 0;
}

/* ---- life ---- */

static int temporary_name(const struct server_settings *settings, struct sockaddr_un *ret)
{
	int length;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	length = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s.new", settings->path);
	return length < 0 || (size_t)length >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

/* Under a temporary name until it is complete; so a client never meets one that it may
 * not yet use, nor one left by a dead process. */
static int bind_socket(const struct server_settings *settings, int *ret)
{
	_cleanup_(close_fd) int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name;
	int r = temporary_name(settings, &name);

	if (fd < 0)
		return -errno;
	if (r < 0)
		return r;
	(void)unlink(name.sun_path);
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		return -errno;
	if ((settings->group != (gid_t)-1 &&
		    chown(name.sun_path, (uid_t)-1, settings->group) < 0) ||
		chmod(name.sun_path, settings->mode) < 0 ||
		listen(fd, LISTEN_BACKLOG) < 0) {
		r = -errno;
		(void)unlink(name.sun_path);
		return r;
	}
	*ret = take_fd(&fd);
	return 0;
}

int server_appear(struct server *server)
{
	struct sockaddr_un name;
	int r = temporary_name(&server->settings, &name);

	if (server->settings.inherited_fd >= 0)
		return 0;
	if (r == 0 && rename(name.sun_path, server->settings.path) < 0)
		r = -errno;
	server->has_name = r == 0;
	return r;
}

void server_set_limit(struct server *server, unsigned connections_max)
{
	server->settings.connections_max = connections_max;
}

bool server_has_appeared(const struct server *server)
{
	return server->has_name || server->settings.inherited_fd >= 0;
}

void server_replaced(struct server *server)
{
	server->is_replaced = true;
}

static void remove_name(struct server *server)
{
	struct sockaddr_un name;

	if (server->fd < 0 || server->settings.inherited_fd >= 0 || server->is_replaced)
		return;
	if (server->has_name)
		(void)unlink(server->settings.path);
	else if (temporary_name(&server->settings, &name) == 0)
		(void)unlink(name.sun_path);
}

static int start_server(struct server *server)
{
	size_t size = server->settings.protocol->request_max + READ_SIZE + 1;
	int r;

	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	server->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	server->scratch = malloc(size);
	if (!server->scratch || server->spare_fd < 0 || server->poll_fd < 0)
		return -ENOMEM;
	r = sd_event_add_defer(server->event, &server->reaper, server_on_reap, server);
	if (r >= 0)
		r = sd_event_source_set_enabled(server->reaper, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(server->event, &server->ready, server->poll_fd,
			EPOLLIN, server_on_ready, server);
	if (r >= 0)
		r = server_add_timer(server);
	if (r < 0)
		return r;
	if (server->settings.inherited_fd >= 0) {
		server->fd = server->settings.inherited_fd;
		if (fcntl(server->fd, F_SETFL, O_NONBLOCK) < 0)
			return -errno;
	} else {
		r = bind_socket(&server->settings, &server->fd);
	}
	if (r >= 0)
		r = sd_event_add_io(server->event, &server->source, server->fd, EPOLLIN,
			on_accept, server);
	return r;
}

int server_open(
	sd_event *event, const struct server_settings *settings, struct server **ret)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->settings = *settings;
	server->event = event;
	server->fd = server->spare_fd = server->poll_fd = -1;
	r = start_server(server);
	if (r < 0) {
		server_close(server);
		return r;
	}
	*ret = server;
	return 0;
}

struct server *server_close(struct server *server)
{
	if (!server)
		return NULL;
	remove_name(server);
	sd_event_source_disable_unref(server->source);
	if (server->fd >= 0) /* with the connections that wait there */
		abandon_socket(server->fd);
	while (server->connections)
		connection_free(server->connections);
	sd_event_source_disable_unref(server->ready);
	close_fd(&server->poll_fd);
	sd_event_source_disable_unref(server->reaper);
	sd_event_source_disable_unref(server->overdue);
	free(server->holders);
	close_fd(&server->spare_fd);
	free(server->scratch);
	free(server);
	return NULL;
}

void *server_context(const struct server *server)
{
	return server->settings.context;
}

int server_stop_accepting(struct server *server)
{
	return sd_event_source_set_enabled(server->source, SD_EVENT_OFF);
}

unsigned server_connection_count(const struct server *server)
{
	return server->count;
}

bool server_is_owed(const struct server *server)
{
	for (const struct connection *at = server->connections; at; at = at->next)
		if (!at->closing && (at->expected_place || at->holds > 0))
			return true;
	return false;
}
