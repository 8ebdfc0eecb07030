"""Each address of this host, and its default routers, get no lease, whatever lease_special says; at a reload they
are read again.

Needs root, for a network of its own.
"""
import json
import subprocess
import unittest

from tests.scenario.dracd_box import Case

WIRE = (
    "link set lo up",
    "link add wire type veth peer name far",
    "address add 203.0.113.2/24 dev wire",
    "address add 203.0.113.3/24 dev wire",
    "address add 2001:db8:5::2/64 dev wire nodad",
    "link set wire up",
    "link set far up",
    "route add default via 203.0.113.1",
    "-6 route add default via 2001:db8:5::1 dev wire",
)


def ip(words):
    """What ip(8) prints."""
    return subprocess.run(["ip", *words.split()], check=True, stdout=subprocess.PIPE, text=True).stdout


def own_addresses():
    """As the kernel has them, but for link-local ones, which are refused as such."""
    return {info["local"] for link in json.loads(ip("-json address")) for info in link["addr_info"]
            if info["scope"] != "link"}


class Routers(Case):
    config = 'lease_special = {"0.0.0.0/0", "::/0"}\n'

    @classmethod
    def setUpClass(cls):
        for words in WIRE:
            ip(words)

    @classmethod
    def tearDownClass(cls):
        ip("link delete wire")

    def verdict(self, address):
        return " ".join(self.dracd.login(address).split(" ")[:2])

    def test_own_addresses(self):
        addresses = own_addresses()
        self.assertGreaterEqual(addresses, {"203.0.113.2", "203.0.113.3", "2001:db8:5::2", "127.0.0.1", "::1"})
        for address in addresses:
            self.assertEqual(self.verdict(address), "NO reason=own_address", address)
        self.assertEqual(self.verdict("203.0.113.4"), "OK granted")

    def test_routers(self):
        for address in ("203.0.113.1", "::ffff:203.0.113.1", "2001:db8:5::1"):
            self.assertEqual(self.verdict(address), "NO reason=router", address)
        for address in ("203.0.113.9", "2001:db8:5::9"):
            self.assertEqual(self.verdict(address), "OK granted")
        added = self.dracd.control("add address=203.0.113.1")[0]
        self.assertTrue(added.startswith("NO reason=router "), added)

    def test_several_that_share_a_route(self):
        ip("route replace default nexthop via 203.0.113.7 nexthop via 203.0.113.8")
        self.addCleanup(ip, "route replace default via 203.0.113.1")
        ip("route add 198.51.100.0/24 via 203.0.113.9")  # no default route
        self.addCleanup(ip, "route delete 198.51.100.0/24")
        ip("route add default via 203.0.113.10 table 77")
        self.addCleanup(ip, "route flush table 77")
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        for address in ("203.0.113.7", "203.0.113.8", "203.0.113.10", "2001:db8:5::1"):
            self.assertEqual(self.verdict(address), "NO reason=router", address)
        self.assertEqual(self.verdict("203.0.113.9"), "OK granted")

    def test_others_after_a_reload(self):
        ip("route replace default via 203.0.113.7")
        self.addCleanup(ip, "route replace default via 203.0.113.1")
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertEqual(self.verdict("203.0.113.7"), "NO reason=router")
        self.assertEqual(self.verdict("203.0.113.1"), "OK granted")


if __name__ == "__main__":
    unittest.main()
