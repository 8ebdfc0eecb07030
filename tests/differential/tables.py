"""Random tables: addresses of all shapes, logins, orders, and the clients that will ask."""
import ipaddress
import math

from tests.differential.oracle import prefix

ROWS_MAX = 2000
# open to leases by lease_special, besides the global addresses
SPECIAL = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "2001:db8::/32", "fc00::/7")
DENIED = ("10.9.0.0/16", "192.168.66.6", "2001:db8:dead::/48", "fd5a::bad")


def random_v4(random):
    base, bits = random.choice((("10.0.0.0", 24), ("10.1.2.0", 8), ("10.9.0.0", 17), ("172.16.0.0", 20),
                                ("192.168.66.0", 6), ("81.2.3.0", 8), ("101.0.0.0", 10)))
    return int(ipaddress.ip_address(base)) + random.getrandbits(bits)


def random_v6(random):
    """Zero groups are where the spellings differ, so there are many of them."""
    groups = [random.choice((0, 0, 1, 0x77, random.getrandbits(16), random.getrandbits(16))) for _ in range(8)]
    for at in range(*sorted((random.randrange(2, 9), random.randrange(2, 9)))):
        groups[at] = 0
    start = random.choice(((0x2001, 0xdb8), (0x2001, 0xdb8, 1), (0xfd5a,), (0xfd5a, 0, 0), (0x2a00, 0), (0x2a01,),
                           (0x2001, 0xdb8, 0xdead)))
    groups[:len(start)] = start
    return int.from_bytes(b"".join(group.to_bytes(2, "big") for group in groups), "big")


def random_host(random):
    if random.random() < 0.5:
        return ipaddress.IPv4Address(random_v4(random))
    return ipaddress.IPv6Address(random_v6(random))


def spell(random, host):
    """One of the texts of an address."""
    if host.version == 4:
        return random.choice((str(host), str(host), f"::ffff:{host}"))
    return random.choice((str(host), host.exploded, str(host).upper()))


def random_network(random, hosts):
    """Often about a host, so that leases lie within each other."""
    host = random.choice(hosts) if random.random() < 0.7 else random_host(random)
    lengths = (8, 16, 20, 24, 30) if host.version == 4 else (32, 48, 56, 64, 80, 112)
    return ipaddress.ip_network(f"{host}/{random.choice(lengths)}", strict=False)


def is_open(network):
    """Whether dracctl may add it: no part of it is special without lease_special."""
    return any(network.version == other.version and network.subnet_of(other)
               for other in map(ipaddress.ip_network, SPECIAL))


def random_steps(random):
    """(verb, what, user or hold) in the order of time; the number of rows is even on a logarithmic scale."""
    rows = int(math.exp(random.uniform(0, math.log(ROWS_MAX + 1)))) - 1 if random.random() < 0.98 else ROWS_MAX
    users = [f"u{number}@x.net" for number in range(max(1, rows // random.choice((1, 2, 10))))]
    hosts = [random_host(random) for _ in range(rows)]
    steps = [("login", spell(random, host), random.choice(users)) for host in hosts]
    orders = []
    for _ in range(min(rows, random.randrange(8))):
        network = random_network(random, hosts)
        if is_open(network):
            orders.append(("add", str(network), random.choice(users)))
    for _ in range(min(rows, random.randrange(8))):
        host = random.choice(hosts)
        network = ipaddress.ip_network((host, random.choice((host.max_prefixlen, host.max_prefixlen * 3 // 4))),
                                       strict=False)
        orders.append(("revoke", str(network), random.random() < 0.5))
    for _ in range(min(rows, random.randrange(4))):
        orders.append(("revoke_user", random.choice(users), random.random() < 0.5))
    random.shuffle(orders)
    again = [("login", spell(random, random.choice(hosts)), random.choice(users)) for _ in range(rows // 8)]
    return steps + orders + again


def near(random, network):
    """A host in or about the network."""
    bits = network.max_prefixlen - network.prefixlen
    number = int(network.network_address)
    how = random.randrange(4)
    if how < 2:
        number += random.getrandbits(bits) if bits else 0
    elif how == 2:
        number ^= 1 << random.randrange(bits, min(bits + 17, network.max_prefixlen))
    else:
        number ^= 1 << random.randrange(network.max_prefixlen)
    return prefix(str(type(network.network_address)(number)))


def random_clients(random, networks):
    """Who asks: hosts in and about the leases and what was revoked, and strangers."""
    clients = {near(random, network) for network in networks}
    clients |= {prefix(str(random_host(random))) for _ in range(8)}
    return sorted(clients, key=lambda host: (host.version, host))
