/* getifaddrs(3) asks the kernel by netlink; no address of this host is ever leased. */
#include "dracd/own_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

static bool to_address(const struct sockaddr *from, struct address *ret)
{
	char text[INET6_ADDRSTRLEN];
	const void *ip;

	if (!from)
		return false;
	if (from->sa_family == AF_INET)
		ip = &((const struct sockaddr_in *)(const void *)from)->sin_addr;
	else if (from->sa_family == AF_INET6)
		ip = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
	else
		return false;
	return inet_ntop(from->sa_family, ip, text, sizeof(text)) &&
	       address_parse(text, ret) == 0;
}

int own_address_read(struct prefix_set *ret)
{
	struct ifaddrs *all;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *at = all; at && r == 0; at = at->ifa_next) {
		struct address address;

		if (to_address(at->ifa_addr, &address))
			r = prefix_set_add(ret, &address);
	}
	freeifaddrs(all);
	return r;
}
