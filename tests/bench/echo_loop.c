/*
 * The least that a lookup server can be in dracd's own code: its sockets, connections and
 * sd-event loop, with a protocol that sends each netstring back.
 *
 *   echo_loop SOCKET
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/server.h"

enum {
	CONNECTIONS_MAX = 1024,
	REQUEST_MAX = 10007, /* as socketmap.c */
};

static ssize_t consume_echo(struct connection *connection, char *data, size_t length)
{
	const char *colon = memchr(data, ':', length);
	size_t whole;

	if (!colon)
		return 0;
	whole = (size_t)(colon - data) + 1 + strtoul(data, NULL, 10) + 1;
	if (whole > length)
		return 0;
	connection_write(connection, data, whole);
	return (ssize_t)whole;
}

int main(int argc, char *argv[])
{
	static const struct protocol protocol = {
		.name = "echo",
		.request_max = REQUEST_MAX,
		.consume = consume_echo,
	};
	struct server_settings settings = {
		.protocol = &protocol,
		.path = argc == 2 ? argv[1] : "",
		.group = (gid_t)-1,
		.mode = 0600,
		.inherited_fd = -1,
		.connections_max = CONNECTIONS_MAX,
	};
	struct server *server;
	sd_event *event;
	int r;

	r = sd_event_default(&event);
	if (r >= 0)
		r = server_open(event, &settings, &server);
	if (r >= 0)
		r = server_appear(server);
	if (r >= 0)
		r = sd_event_loop(event);
	fprintf(stderr, "echo_loop: %s\n", strerror(-r));
	return EXIT_FAILURE;
}
