/* Octets of a connection, and the descriptor that may come with them: unix(7),
 * SCM_RIGHTS. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dracd/server_internal.h"

/* Room for one: the kernel gives us no others. */
struct rights {
	_Alignas(struct cmsghdr) char data[CMSG_LEN(sizeof(int))];
};

static void keep_file(struct connection *connection, struct msghdr *message)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (!header || header->cmsg_level != SOL_SOCKET ||
		header->cmsg_type != SCM_RIGHTS ||
		header->cmsg_len < CMSG_LEN(sizeof(connection->file)))
		return;
	if (connection->file >= 0)
		close(connection->file);
	memcpy(&connection->file, CMSG_DATA(header), sizeof(connection->file));
}

ssize_t connection_receive(struct connection *connection, char *data, size_t size)
{
	const struct protocol *protocol = connection->server->settings.protocol;
	struct rights rights;
	struct iovec octets = {data, size};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1};
	ssize_t got;

	if (protocol->takes_files && protocol->takes_files(connection)) {
		message.msg_control = rights.data;
		message.msg_controllen = sizeof(rights.data);
	}
	got = recvmsg(connection->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got >= 0 && message.msg_controllen > 0)
		keep_file(connection, &message);
	return got;
}

int connection_take_file(struct connection *connection)
{
	int file = connection->file;

	connection->file = -1;
	return file;
}
