/*
 * A datagram is a call.  An answer goes out from the address that the call was sent to,
 * which a socket that is bound to all addresses has to be told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rpc/log.h"
#include "rpc/transport.h"

enum {
	DATAGRAMS_MAX = 32, /* taken in one turn of the loop */
};

struct udp {
	int fd;
	int family;
	struct gateway *gateway;
	sd_event_source *source;
};

union control {
	struct cmsghdr header;
	char data[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static struct msghdr message_of(struct origin *origin, struct iovec *data)
{
	return (struct msghdr){
		.msg_name = &origin->peer,
		.msg_namelen = sizeof(origin->peer),
		.msg_iov = data,
		.msg_iovlen = 1,
	};
}

/* Adds the address to answer from. */
static void add_local(
	struct msghdr *message, union control *control, const struct origin *origin)
{
	bool is_ipv4 = origin->peer.any.sa_family == AF_INET;
	size_t size = is_ipv4 ? sizeof(origin->local.ipv4) : sizeof(origin->local.ipv6);

	memset(control, 0, sizeof(*control));
	control->header.cmsg_level = is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
	control->header.cmsg_type = is_ipv4 ? IP_PKTINFO : IPV6_PKTINFO;
	control->header.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&control->header), &origin->local, size);
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(size);
}

/* An answer that finds no room is lost, as on any network: the client asks again. */
static void answer_udp(const struct origin *origin, const struct reply *reply)
{
	const struct udp *udp = origin->transport;
	struct iovec data = {(void *)(uintptr_t)reply->data, reply->length};
	struct origin to = *origin;
	struct msghdr message = message_of(&to, &data);
	union control control;

	message.msg_namelen =
		udp->family == AF_INET ? sizeof(to.peer.ipv4) : sizeof(to.peer.ipv6);
	add_local(&message, &control, origin);
	(void)sendmsg(udp->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Reads the address that the datagram was sent to. */
static void read_local(struct msghdr *message, struct origin *origin)
{
	memset(&origin->local, 0, sizeof(origin->local));
	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at;
		at = CMSG_NXTHDR(message, at)) {
		if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
			memcpy(&origin->local.ipv4, CMSG_DATA(at),
				sizeof(origin->local.ipv4));
			/* the route decides by which interface */
			origin->local.ipv4.ipi_ifindex = 0;
			origin->local.ipv4.ipi_spec_dst = origin->local.ipv4.ipi_addr;
		} else if (at->cmsg_level == IPPROTO_IPV6 &&
			   at->cmsg_type == IPV6_PKTINFO) {
			memcpy(&origin->local.ipv6, CMSG_DATA(at),
				sizeof(origin->local.ipv6));
			if (!IN6_IS_ADDR_LINKLOCAL(&origin->local.ipv6.ipi6_addr))
				origin->local.ipv6.ipi6_ifindex = 0;
		}
	}
}

/* Takes one datagram.  False if there is none. */
static bool take_datagram(struct udp *udp)
{
	struct origin origin = {
		.is_datagram = true, .answer = answer_udp, .transport = udp};
	unsigned char octets[CALL_SIZE_MAX];
	struct iovec data = {octets, sizeof(octets)};
	struct msghdr message = message_of(&origin, &data);
	union control control;
	ssize_t length;

	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	length = recvmsg(udp->fd, &message, MSG_DONTWAIT);
	if (length < 0)
		return errno != EAGAIN && errno != EINTR;
	origin.caller = prefix_of_sockaddr(&origin.peer.any);
	origin.port = udp->family == AF_INET ? origin.peer.ipv4.sin_port
					     : origin.peer.ipv6.sin6_port;
	read_local(&message, &origin);
	(void)gateway_take(udp->gateway, octets, (size_t)length, &origin);
	return true;
}

static void take_datagrams(struct udp *udp)
{
	for (unsigned i = 0; i < DATAGRAMS_MAX && take_datagram(udp); i++)
		continue;
	gateway_flush(udp->gateway);
}

static int on_datagram(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	take_datagrams(userdata);
	return 0;
}

static int ask_for_local(int fd, int family)
{
	const int on = 1;
	int r = family == AF_INET
			? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on))
			: setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));

	return r < 0 ? -errno : 0;
}

int udp_new(sd_event *event, int fd, struct gateway *gateway, struct udp **ret)
{
	struct udp *udp = calloc(1, sizeof(*udp));
	socklen_t size = sizeof(udp->family);
	int r;

	if (!udp) {
		close(fd);
		return -ENOMEM;
	}
	udp->fd = fd;
	udp->gateway = gateway;
	r = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &udp->family, &size) < 0 ? -errno : 0;
	if (r == 0)
		r = ask_for_local(fd, udp->family);
	if (r == 0)
		r = sd_event_add_io(event, &udp->source, fd, EPOLLIN, on_datagram, udp);
	if (r < 0)
		udp_free(udp);
	else
		*ret = udp;
	return r < 0 ? r : 0;
}

void udp_stop(struct udp *udp)
{
	if (!udp)
		return;
	take_datagrams(udp);
	(void)sd_event_source_set_enabled(udp->source, SD_EVENT_OFF);
}

struct udp *udp_free(struct udp *udp)
{
	if (!udp)
		return NULL;
	sd_event_source_unref(udp->source);
	close(udp->fd);
	free(udp);
	return NULL;
}
