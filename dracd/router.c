/* A default route has one router, or several that share the load, and one of IPv4 may go
 * by a router of IPv6. */
#include "dracd/router.h"

#include <stddef.h>
#include <sys/socket.h>

/* struct rtvia: the family, and its address. */
static int take_via(const struct rtattr *attribute, struct prefix_set *ret)
{
	const struct rtvia *via = netlink_data(attribute);

	struct {
		struct rtattr attribute;
		unsigned char address[16];
	} plain = {0};

	size_t size = attribute->rta_len - RTA_LENGTH(0);

	if (size < sizeof(*via) || size - sizeof(*via) > sizeof(plain.address))
		return 0;
	size -= sizeof(*via);
	plain.attribute.rta_len = (unsigned short)RTA_LENGTH(size);
	for (size_t i = 0; i < size; i++)
		plain.address[i] = via->rtvia_addr[i];
	return netlink_add(&plain.attribute, via->rtvia_family, ret);
}

static int take_one(const struct rtattr *attribute, int family, struct prefix_set *ret)
{
	if (attribute->rta_type == RTA_GATEWAY)
		return netlink_add(attribute, family, ret);
	return attribute->rta_type == RTA_VIA ? take_via(attribute, ret) : 0;
}

/* Each next hop is a struct rtnexthop with attributes of its own. */
static int take_several(
	const struct rtattr *attribute, int family, struct prefix_set *ret)
{
	const char *at = netlink_data(attribute);
	const char *end = (const char *)(const void *)attribute + attribute->rta_len;
	int r = 0;

	while (r == 0 && end - at >= (ptrdiff_t)sizeof(struct rtnexthop)) {
		const struct rtnexthop *hop = (const void *)at;
		const char *inner = at + sizeof(*hop), *stop = at + hop->rtnh_len;

		if (hop->rtnh_len < sizeof(*hop) || stop > end)
			break;
		while (r == 0 && stop - inner >= (ptrdiff_t)sizeof(struct rtattr)) {
			const struct rtattr *found = (const void *)inner;

			if (found->rta_len < sizeof(*found) ||
				found->rta_len > stop - inner)
				break;
			r = take_one(found, family, ret);
			inner += RTA_ALIGN(found->rta_len);
		}
		at += RTA_ALIGN((size_t)hop->rtnh_len); /* as RTNH_ALIGN */
	}
	return r;
}

int router_take(const struct nlmsghdr *message, struct prefix_set *ret)
{
	const struct rtmsg *body = netlink_body(message);
	const struct rtattr *at = NULL;
	int r = 0;

	if (body->rtm_dst_len != 0 || body->rtm_type != RTN_UNICAST)
		return 0;
	while (r == 0 && (at = netlink_attribute(message, sizeof(*body), at)))
		r = at->rta_type == RTA_MULTIPATH
			    ? take_several(at, body->rtm_family, ret)
			    : take_one(at, body->rtm_family, ret);
	return r;
}

int router_read(int netlink, struct prefix_set *ret)
{
	return netlink_ask(netlink, RTM_GETROUTE, router_take, ret);
}
