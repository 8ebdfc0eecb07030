/* One dump at a time; nothing is waited for. */
#include "dracd/netlink.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dracd/cleanup.h"

enum {
	MESSAGES_SIZE = 32768, /* as much as the kernel gives at once */
	TRIES = 3,             /* while it changes */
};

struct request {
	struct nlmsghdr header;
	struct rtgenmsg body;
};

/* What one dump tells. */
struct dump {
	netlink_take *take;
	struct prefix_set *ret;
	bool is_over, is_torn;
};

/* Skips what is left of an earlier dump, of a dracd that died within it. */
static void drain(int fd)
{
	char octets[MESSAGES_SIZE];

	while (recv(fd, octets, sizeof(octets), MSG_DONTWAIT) > 0)
		;
}

static int ask(int fd, int question)
{
	const struct request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
			.nlmsg_type = (uint16_t)question,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.rtgen_family = AF_UNSPEC},
	};
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	return sendto(fd, &request, request.header.nlmsg_len, MSG_DONTWAIT,
		       (const struct sockaddr *)&kernel, sizeof(kernel)) < 0
		       ? -errno
		       : 0;
}

static int read_messages(struct dump *dump, const char *at, size_t length)
{
	int r = 0;

	while (length >= sizeof(struct nlmsghdr) && r == 0) {
		const struct nlmsghdr *message = (const void *)at;
		size_t size = message->nlmsg_len;

		if (size < sizeof(*message) || size > length)
			return -EIO;
		if (message->nlmsg_flags & NLM_F_DUMP_INTR)
			dump->is_torn = true;
		if (message->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		if (message->nlmsg_type == NLMSG_DONE)
			dump->is_over = true;
		else if (message->nlmsg_type >= NLMSG_MIN_TYPE)
			r = dump->take(message, dump->ret);
		size = NLMSG_ALIGN(size) < length ? NLMSG_ALIGN(size) : length;
		at += size;
		length -= size;
	}
	return r;
}

/* The kernel has it ready, or makes it within the call. */
static int receive(int fd, struct dump *dump)
{
	_Alignas(struct nlmsghdr) char octets[MESSAGES_SIZE];
	struct sockaddr_nl from = {0};
	socklen_t from_size = sizeof(from);
	ssize_t got = recvfrom(fd, octets, sizeof(octets), MSG_DONTWAIT,
		(struct sockaddr *)&from, &from_size);

	if (got < 0)
		return -errno;
	if (from.nl_pid != 0) /* not from the kernel */
		return 0;
	return read_messages(dump, octets, (size_t)got);
}

int netlink_ask(int netlink, int question, netlink_take *take, struct prefix_set *ret)
{
	_cleanup_(close_fd) int own = -1;
	struct dump dump = {.take = take, .ret = ret, .is_torn = true};
	int r = 0;

	if (netlink < 0) {
		own = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		if (own < 0)
			return -errno;
		netlink = own;
	}
	for (unsigned tries = TRIES; tries > 0 && dump.is_torn && r == 0; tries--) {
		prefix_set_done(ret);
		*ret = (struct prefix_set){0};
		dump.is_torn = dump.is_over = false;
		drain(netlink);
		r = ask(netlink, question);
		while (r == 0 && !dump.is_over)
			r = receive(netlink, &dump);
	}
	return r == 0 && dump.is_torn ? -EAGAIN : r;
}

const struct rtattr *netlink_attribute(
	const struct nlmsghdr *message, size_t body, const struct rtattr *after)
{
	const char *start = (const char *)(const void *)message;
	const char *end = start + message->nlmsg_len;
	const char *at =
		after ? (const char *)(const void *)after + RTA_ALIGN(after->rta_len)
		      : start + NLMSG_SPACE(body);
	const struct rtattr *found = (const void *)at;

	if (end - at < (ptrdiff_t)sizeof(*found) || found->rta_len < sizeof(*found) ||
		found->rta_len > end - at)
		return NULL;
	return found;
}

int netlink_add(const struct rtattr *attribute, int family, struct prefix_set *ret)
{
	size_t size = family == AF_INET ? 4 : 16;
	struct address address = {.length = 128};

	if ((family != AF_INET && family != AF_INET6) ||
		attribute->rta_len != RTA_LENGTH(size))
		return 0;
	if (size == 4) /* v4-mapped */
		memset(address.ip.s6_addr + 10, 0xff, 2);
	memcpy(address.ip.s6_addr + 16 - size, netlink_data(attribute), size);
	return prefix_set_add(ret, &address);
}
