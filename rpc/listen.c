/*
 * UDP from other hosts is a risk that somebody has to want: the sources of its datagrams
 * can be forged, and they are all that the permission to report hangs on.  So a datagram
 * socket that other hosts reach is opened, or taken from systemd, with "udp = yes" alone.
 */
#include "rpc/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "rpc/call.h"
#include "rpc/log.h"
#include "rpc/prefix.h"

enum {
	LISTEN_BACKLOG = 1024,
	BIND_TRIES = 40,
	BIND_WAIT_USEC = 50000,
};

union name {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static const char *kind_of(bool is_datagram)
{
	return is_datagram ? "UDP" : "TCP";
}

static bool may_serve(const struct settings *settings, const struct in6_addr *ip)
{
	return settings->udp == UDP_YES ||
	       (settings->udp == UDP_LOCAL && prefix_is_loopback(ip));
}

static void warn_of_udp(const struct listen_socket *item)
{
	char text[INET6_ADDRSTRLEN];

	if (!item->is_datagram || prefix_is_loopback(&item->ip))
		return;
	log_message(LOG_WARNING,
		"UDP on %s port %u: the source of a datagram can be forged, so whoever reaches this port can open the relay for any address, unless a packet filter keeps forged sources out",
		call_format_address(&item->ip, text), item->port);
}

static int add_socket(struct listen_sockets *sockets, const struct listen_socket *item)
{
	if (sockets->count == SOCKETS_MAX)
		return log_errno(LOG_ERR, -E2BIG, "more than %d sockets", SOCKETS_MAX);
	sockets->items[sockets->count++] = *item;
	warn_of_udp(item);
	return 0;
}

/* ---- bound by ourselves ---- */

static socklen_t fill_name(const struct in6_addr *ip, unsigned port, union name *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (IN6_IS_ADDR_V4MAPPED(ip)) {
		ret->ipv4.sin_family = AF_INET;
		ret->ipv4.sin_port = htons((uint16_t)port);
		memcpy(&ret->ipv4.sin_addr, ip->s6_addr + 12, 4);
		return sizeof(ret->ipv4);
	}
	ret->ipv6.sin6_family = AF_INET6;
	ret->ipv6.sin6_port = htons((uint16_t)port);
	ret->ipv6.sin6_addr = *ip;
	return sizeof(ret->ipv6);
}

static int bind_socket(const struct listen_socket *item, int *ret)
{
	const int on = 1;
	union name name;
	socklen_t size = fill_name(&item->ip, item->port, &name);
	int fd, r = 0;

	fd = socket(name.any.sa_family,
		(item->is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC |
			SOCK_NONBLOCK,
		0);
	if (fd < 0)
		return -errno;
	if (name.any.sa_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		r = -errno;
	/* connections of the one before us linger; a datagram socket could be shared */
	if (r == 0 && !item->is_datagram &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		r = -errno;
	if (r == 0 && bind(fd, &name.any, size) < 0)
		r = -errno;
	if (r == 0 && !item->is_datagram && listen(fd, LISTEN_BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	else
		*ret = fd;
	return r;
}

/* The child of a gateway that was killed may have been made that moment, and not have
 * closed its copies yet. */
static int bind_patiently(const struct listen_socket *item, int *ret)
{
	int r = bind_socket(item, ret);

	for (unsigned i = 1; i < BIND_TRIES && r == -EADDRINUSE; i++) {
		usleep(BIND_WAIT_USEC);
		r = bind_socket(item, ret);
	}
	return r;
}

/* An IPv6 address that this host does not have is passed over: ::1 is there by default,
 * and IPv6 may be switched off. */
static int open_socket(const struct listen_socket *item, struct listen_sockets *sockets)
{
	struct listen_socket opened = *item;
	char text[INET6_ADDRSTRLEN];
	int r = bind_patiently(item, &opened.fd);

	if ((r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) &&
		!IN6_IS_ADDR_V4MAPPED(&item->ip)) {
		log_errno(LOG_WARNING, r, "%s on %s is left out",
			kind_of(item->is_datagram), call_format_address(&item->ip, text));
		return 0;
	}
	if (r < 0)
		return log_errno(LOG_ERR, r, "%s on %s port %u",
			kind_of(item->is_datagram), call_format_address(&item->ip, text),
			item->port);
	return add_socket(sockets, &opened);
}

static int open_all(const struct settings *settings, struct listen_sockets *sockets)
{
	int r = 0;

	for (size_t i = 0; i < settings->listen.count && r == 0; i++) {
		struct listen_socket item = {
			.ip = settings->listen.items[i].ip,
			.port = settings->port,
		};

		r = open_socket(&item, sockets);
		item.is_datagram = true;
		if (r == 0 && may_serve(settings, &item.ip))
			r = open_socket(&item, sockets);
	}
	return r;
}

/* ---- passed by systemd ---- */

/* Returns -EINVAL for what is no socket of ours. */
static int inspect(int fd, struct listen_socket *ret)
{
	union name name;
	socklen_t size = sizeof(name);
	bool is_stream;

	memset(&name, 0, sizeof(name));
	is_stream = sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
	ret->is_datagram = sd_is_socket(fd, AF_UNSPEC, SOCK_DGRAM, -1) > 0;
	if ((!is_stream && !ret->is_datagram) || getsockname(fd, &name.any, &size) < 0 ||
		(name.any.sa_family != AF_INET && name.any.sa_family != AF_INET6))
		return -EINVAL;
	ret->fd = fd;
	ret->ip = prefix_of_sockaddr(&name.any);
	ret->port = ntohs(
		name.any.sa_family == AF_INET ? name.ipv4.sin_port : name.ipv6.sin6_port);
	return 0;
}

static int take_passed(
	int fd, const struct settings *settings, struct listen_sockets *sockets)
{
	struct listen_socket item;
	char text[INET6_ADDRSTRLEN];

	if (inspect(fd, &item) < 0)
		return log_errno(LOG_ERR, -EINVAL,
			"descriptor %d from systemd is no listening stream and no datagram socket of IPv4 or IPv6",
			fd);
	if (item.is_datagram && !may_serve(settings, &item.ip))
		return log_errno(LOG_ERR, -EPERM,
			"the socket unit has UDP on %s, which needs \"udp = %s\" in section rpc of drac.conf",
			call_format_address(&item.ip, text),
			prefix_is_loopback(&item.ip) ? "local" : "yes");
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return add_socket(sockets, &item);
}

int listen_open(const struct settings *settings, struct listen_sockets *ret)
{
	struct listen_sockets sockets = {0};
	int passed = sd_listen_fds(1), r = 0;

	if (passed < 0)
		return log_errno(LOG_ERR, passed, "sockets from systemd");
	for (int i = 0; i < passed && r == 0; i++)
		r = take_passed(SD_LISTEN_FDS_START + i, settings, &sockets);
	if (passed == 0)
		r = open_all(settings, &sockets);
	if (r == 0 && sockets.count == 0)
		r = log_errno(LOG_ERR, -EADDRNOTAVAIL, "no address to listen on");
	if (r < 0)
		listen_close(&sockets);
	else
		*ret = sockets;
	return r;
}

void listen_close(struct listen_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->items[i].fd >= 0)
			close(sockets->items[i].fd);
	sockets->count = 0;
}
