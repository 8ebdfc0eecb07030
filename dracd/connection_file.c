/* Octets of a connection, and the descriptor that may come with them: unix(7),
 * SCM_RIGHTS. */
#include <errno.h>
#include <sys/socket.h>

#include "dracd/abandon.h"
#include "dracd/server_internal.h"

/* A protocol that takes files takes one. */
static bool takes_file(const struct connection *connection)
{
	const struct protocol *protocol = connection->server->settings.protocol;

	return connection->file < 0 && protocol->takes_files &&
	       protocol->takes_files(connection);
}

ssize_t connection_receive(struct connection *connection, char *data, size_t size)
{
	ssize_t got = receive_octets(connection->fd, data, size);

	if (got == -EBADMSG && takes_file(connection))
		got = receive_with_file(connection->fd, data, size, &connection->file);
	if (got == -EBADMSG) /* they came unasked */
		server_say_files(connection->server, connection->peer.uid);
	return got;
}

int connection_take_file(struct connection *connection)
{
	int file = connection->file;

	connection->file = -1;
	return file;
}
