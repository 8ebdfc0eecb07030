/* Listening sockets: bound with mode and group, accepting within limits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "dracd/cleanup.h"
#include "dracd/server_internal.h"

enum {
	ACCEPT_MAX = 64, /* connections accepted per turn of the loop */
	LISTEN_BACKLOG = 1024,
};

/* ---- accepting ---- */

/* Out of descriptors: lets the caller go at once rather than hang in the queue. */
static void refuse_one(struct server *server)
{
	int fd;

	close_fd(&server->spare_fd);
	fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
	close_fd(&fd);
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

/* Binds under a temporary name and moves the socket into place when it is complete; so a
 * client never meets one that it may not yet use, nor one left by a dead process. */
static int bind_socket(const struct server_settings *settings, int *ret)
{
	_cleanup_(close_fd) int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int r = 0;

	if (fd < 0)
		return -errno;
	r = snprintf(name.sun_path, sizeof(name.sun_path), "%s.new", settings->path);
	if (r < 0 || (size_t)r >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	(void)unlink(name.sun_path);
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		return -errno;
	if ((settings->group != (gid_t)-1 &&
		    chown(name.sun_path, (uid_t)-1, settings->group) < 0) ||
		chmod(name.sun_path, settings->mode) < 0 ||
		listen(fd, LISTEN_BACKLOG) < 0 ||
		rename(name.sun_path, settings->path) < 0) {
		r = -errno;
		(void)unlink(name.sun_path);
		return r;
	}
	*ret = take_fd(&fd);
	return 0;
}

static int start_server(struct server *server)
{
	size_t size = server->settings.protocol->request_max + READ_SIZE + 1;
	int r;

	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	server->scratch = malloc(size);
	if (!server->scratch || server->spare_fd < 0)
		return -ENOMEM;
	r = sd_event_add_defer(server->event, &server->reaper, server_on_reap, server);
	if (r >= 0)
		r = sd_event_source_set_enabled(server->reaper, SD_EVENT_OFF);
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
	server->fd = server->spare_fd = -1;
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
	if (server->fd >= 0 && server->settings.inherited_fd < 0)
		(void)unlink(server->settings.path);
	sd_event_source_disable_unref(server->source);
	close_fd(&server->fd);
	while (server->connections)
		connection_free(server->connections);
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

unsigned server_connection_count(const struct server *server)
{
	return server->count;
}
