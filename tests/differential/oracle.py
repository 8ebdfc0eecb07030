"""Who may relay, by the manuals alone: shares no code with dracd.

Prefixes are ipaddress networks, a host one of full length; an IPv4-mapped IPv6 address is its IPv4
address.
"""
import ipaddress


def prefix(text):
    """A host or network."""
    address, _, length = text.partition("/")
    host = ipaddress.ip_address(address)
    if host.version == 6 and host.ipv4_mapped:
        host = host.ipv4_mapped
    return ipaddress.ip_network(f"{host}/{length or host.max_prefixlen}")


def overlaps(network, others):
    return any(network.version == other.version and network.overlaps(other) for other in others)


def covers(networks):
    """A function that says whether one of them contains a host."""
    lengths = {version: {network.prefixlen for network in networks if network.version == version}
               for version in (4, 6)}
    return lambda host: any(host.supernet(new_prefix=length) in networks for length in lengths[host.version])


class Oracle:
    """The leases, as the manuals say that requests change them."""

    def __init__(self, ipv6_prefix, denied):
        self.ipv6_prefix = ipv6_prefix
        self.denied = {prefix(text) for text in denied}  # by drac.conf, for good
        self.clear()

    def clear(self):
        self.leases = {}  # prefix -> its users
        self.held, self.held_users = set(), set()

    def is_kept_out(self, network):
        return overlaps(network, self.denied) or overlaps(network, self.held)

    def login(self, address, user):
        """True if it gets a lease; `address` may be a network, as of `dracctl add`."""
        network = prefix(address)
        if self.is_kept_out(network) or user in self.held_users:
            return False
        if network.version == 6 and network.prefixlen == 128:
            widened = network.supernet(new_prefix=self.ipv6_prefix)
            network = network if self.is_kept_out(widened) else widened
        self.leases.setdefault(network, set()).add(user)
        return True

    def revoke(self, network, hold):
        """Leases within the network, and those that contain it, end."""
        revoked = prefix(network)
        for lease in [lease for lease in self.leases if overlaps(lease, {revoked})]:
            del self.leases[lease]
        if hold:
            self.held.add(revoked)

    def revoke_user(self, user, hold):
        for lease, users in list(self.leases.items()):
            if user in users:
                users.discard(user)
                if not users:
                    del self.leases[lease]
        if hold:
            self.held_users.add(user)

    def admitted(self, leases=None):
        """A function that says whether a host may relay, by all leases or by those given."""
        is_kept_out = covers(self.denied | self.held)
        has_lease = covers(self.leases if leases is None else leases)
        return lambda host: not is_kept_out(host) and has_lease(host)
