/* No address of this host is ever leased. */
#include "dracd/own_address.h"

#include "dracd/netlink.h"

/* IFA_ADDRESS is that of the other side, if there is an IFA_LOCAL. */
static int take_address(const struct nlmsghdr *message, struct prefix_set *ret)
{
	const struct ifaddrmsg *body = netlink_body(message);
	const struct rtattr *at = NULL, *found = NULL;

	while ((at = netlink_attribute(message, sizeof(*body), at)))
		if (at->rta_type == IFA_LOCAL || (at->rta_type == IFA_ADDRESS && !found))
			found = at;
	return found ? netlink_add(found, body->ifa_family, ret) : 0;
}

int own_address_read(int netlink, struct prefix_set *ret)
{
	return netlink_ask(netlink, RTM_GETADDR, take_address, ret);
}
