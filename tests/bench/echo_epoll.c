/*
 * The least that a lookup server can be at all: epoll, recv, send.  It does not keep what
 * comes in parts, has no limits, and believes its clients.
 *
 *   echo_epoll SOCKET
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 1024,
	BACKLOG = 1024,
};

static int listen_on(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(name.sun_path))
		return -1;
	memcpy(name.sun_path, path, strlen(path) + 1);
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
		listen(fd, BACKLOG) < 0)
		return -1;
	return fd;
}

static void accept_one(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		close(fd);
}

static void echo(int fd)
{
	char data[16 * 1024];
	ssize_t length = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (length <= 0)
		close(fd);
	else
		(void)!send(fd, data, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int main(int argc, char *argv[])
{
	struct epoll_event events[EVENTS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int listener = listen_on(argc == 2 ? argv[1] : "");
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};

	if (listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
		perror("echo_epoll");
		return EXIT_FAILURE;
	}
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == listener)
				accept_one(epoll, listener);
			else
				echo(events[i].data.fd);
		}
	}
}
