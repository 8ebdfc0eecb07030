/* Octets of a connection, and the descriptor that may come with them: unix(7),
 * SCM_RIGHTS. */
#include <errno.h>
#include <sys/socket.h>

#include "dracd/abandon.h"
#include "dracd/server_internal.h"

/* A protocol that takes files takes one.  -EBADMSG: they came unasked. */
static int take_files(struct connection *connection, const int *files, size_t count)
{
	const struct protocol *protocol = connection->server->settings.protocol;

	if (count == 1 && connection->file < 0 && protocol->takes_files &&
		protocol->takes_files(connection)) {
		connection->file = files[0];
		return 0;
	}
	abandon_files(files, count);
	server_say_files(connection->server, connection->peer.uid);
	return -EBADMSG;
}

ssize_t connection_receive(struct connection *connection, char *data, size_t size)
{
	int files[FILES_MAX];
	size_t count;
	ssize_t got = receive_with_files(connection->fd, data, size, files, &count);

	if (count > 0 && take_files(connection, files, count) < 0)
		return -EBADMSG;
	return got;
}

int connection_take_file(struct connection *connection)
{
	int file = connection->file;

	connection->file = -1;
	return file;
}
