#include "dracd/router.h"

#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

/* A route in the kernel's form, under construction. */
struct route {
	_Alignas(struct nlmsghdr) char octets[512];
};

static struct nlmsghdr *message(struct route *route)
{
	return (struct nlmsghdr *)(void *)route->octets;
}

static struct route new_route(int family, unsigned prefix, unsigned type)
{
	struct route route = {0};
	struct rtmsg *body = NLMSG_DATA(message(&route));

	message(&route)->nlmsg_len = NLMSG_SPACE(sizeof(*body));
	message(&route)->nlmsg_type = RTM_NEWROUTE;
	body->rtm_family = (unsigned char)family;
	body->rtm_dst_len = (unsigned char)prefix;
	body->rtm_type = (unsigned char)type;
	return route;
}

static void append(struct route *route, unsigned type, const void *data, size_t size)
{
	struct rtattr *at =
		(struct rtattr *)(void *)(route->octets + message(route)->nlmsg_len);

	at->rta_type = (unsigned short)type;
	at->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(at), data, size);
	message(route)->nlmsg_len += (unsigned)RTA_SPACE(size);
}

static void assert_taken(struct route *route, size_t count, ...)
{
	struct prefix_set routers = {0};
	va_list expected;

	assert_int_equal(router_take(message(route), &routers), 0);
	assert_int_equal(routers.count, count);
	va_start(expected, count);
	for (size_t i = 0; i < count; i++) {
		struct address address = address_of(va_arg(expected, const char *));

		assert_non_null(prefix_set_find(&routers, &address));
	}
	va_end(expected);
	prefix_set_done(&routers);
}

static const unsigned char ipv4[] = {203, 0, 113, 1};
static const unsigned char ipv6[16] = {0x20, 1, 0xd, 0xb8, [15] = 5};

static void test_one_router(void **state)
{
	struct route route = new_route(AF_INET, 0, RTN_UNICAST);

	(void)state;
	append(&route, RTA_TABLE, "\376\0\0\0", 4);
	append(&route, RTA_GATEWAY, ipv4, 4);
	assert_taken(&route, 1, "203.0.113.1");
	route = new_route(AF_INET6, 0, RTN_UNICAST);
	append(&route, RTA_GATEWAY, ipv6, 16);
	assert_taken(&route, 1, "2001:db8::5");
}

static void test_no_default_route(void **state)
{
	struct route route = new_route(AF_INET, 1, RTN_UNICAST);

	(void)state;
	append(&route, RTA_GATEWAY, ipv4, 4);
	assert_taken(&route, 0);
	route = new_route(AF_INET, 0, RTN_UNREACHABLE);
	append(&route, RTA_GATEWAY, ipv4, 4);
	assert_taken(&route, 0);
	route = new_route(AF_INET, 0, RTN_UNICAST); /* by a wire alone */
	append(&route, RTA_OIF, "\1\0\0\0", 4);
	assert_taken(&route, 0);
	route = new_route(AF_INET6, 0, RTN_UNICAST);
	append(&route, RTA_GATEWAY, ipv4, 4); /* of the wrong length */
	assert_taken(&route, 0);
}

static void test_ipv4_by_a_router_of_ipv6(void **state)
{
	struct route route = new_route(AF_INET, 0, RTN_UNICAST);
	unsigned char via[18] = {0};
	const sa_family_t family = AF_INET6;

	(void)state;
	memcpy(via, &family, 2);
	memcpy(via + 2, ipv6, 16);
	append(&route, RTA_VIA, via, sizeof(via));
	assert_taken(&route, 1, "2001:db8::5");
	route = new_route(AF_INET, 0, RTN_UNICAST);
	append(&route, RTA_VIA, via, 1);
	assert_taken(&route, 0);
}

static void test_several(void **state)
{
	struct {
		struct rtnexthop hop;
		struct rtattr attribute;
		unsigned char ip[4];
	} hops[2] = {0};
	struct route route = new_route(AF_INET, 0, RTN_UNICAST);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		hops[i].hop.rtnh_len = sizeof(hops[i]);
		hops[i].attribute.rta_len = RTA_LENGTH(4);
		hops[i].attribute.rta_type = RTA_GATEWAY;
		memcpy(hops[i].ip, ipv4, 4);
		hops[i].ip[3] = (unsigned char)(i + 1);
	}
	append(&route, RTA_MULTIPATH, hops, sizeof(hops));
	assert_taken(&route, 2, "203.0.113.1", "203.0.113.2");
	hops[1].hop.rtnh_len = 60; /* beyond the end */
	route = new_route(AF_INET, 0, RTN_UNICAST);
	append(&route, RTA_MULTIPATH, hops, sizeof(hops));
	assert_taken(&route, 1, "203.0.113.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_router),
		cmocka_unit_test(test_no_default_route),
		cmocka_unit_test(test_ipv4_by_a_router_of_ipv6),
		cmocka_unit_test(test_several),
	};

	return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
