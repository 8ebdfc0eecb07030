"""Who else may be behind an address. Many users: the log names each, and log and status warn once a lease. This host and its
routers, if they cannot be told: log and status warn."""
import ctypes
import fcntl
import os
import socket
import struct
import unittest

from dracd_box import Case, Dracd, fields

USERS = 5


class Shared(Case):
    config = f"warn_users_per_address = {USERS}\n"

    def warnings(self):
        return [fields(line)["text"] for line in self.dracd.control("status") if line.startswith("warning ")]

    def test_warning(self):
        for n in range(USERS - 1):
            self.dracd.login("203.0.113.9", f"user=user{n}")
        self.assertEqual(self.warnings(), [])
        self.assertIn("state=ok", self.dracd.control("status")[0])
        for n in range(USERS - 1, USERS + 3):
            self.dracd.login("203.0.113.9", f"user=user{n}")
        self.assertEqual(len(self.warnings()), 1)
        self.assertTrue(self.warnings()[0].startswith(f"203.0.113.9%20has%20{USERS + 3}%20users"), self.warnings())
        self.assertIn("state=warning", self.dracd.control("status")[0])
        self.assertEqual(self.dracd.text().count("shared 203.0.113.9 users="), 1, "said once")
        for n in range(USERS + 3):
            self.assertRegex(self.dracd.text(), rf"(granted|renewed) 203.0.113.9 user=user{n} ")
        self.dracd.control("revoke address=203.0.113.9")
        self.assertEqual(self.warnings(), [])

    def share(self, address, ttl="", users=USERS):
        for n in range(users):
            self.assertTrue(self.dracd.login(address, f"user=user{n}{ttl}").startswith("OK "))

    def said(self, address):
        return self.dracd.text().count(f"shared {address} users=")

    def test_the_next_lease_is_told_again(self):
        self.share("203.0.113.9", " ttl_ms=1000")
        self.dracd.wait_for_log("ended 203.0.113.9")
        self.share("203.0.113.9")
        self.dracd.wait_for(lambda: self.said("203.0.113.9") == 2, "it to be told again")


class VeryMany(Shared):
    config = "warn_users_per_address = 2\nmax_leases_per_user = 1000\n"
    MANY = 256

    def test_those_that_are_over_make_room(self):
        """In a list that nobody has looked at."""
        addresses = [f"203.0.113.{n}" for n in range(self.MANY)]
        for address in addresses:
            self.share(address, " ttl_ms=6000", users=2)
        self.dracd.wait_for_log(f"shared {addresses[-1]} users=")
        self.dracd.wait_for_log(f"ended {addresses[-1]}")
        self.share("198.51.100.9", users=2)
        self.dracd.wait_for_log("shared 198.51.100.9 users=")


class Own(unittest.TestCase):
    def start(self, netlink):
        """With this socket, as from systemd."""
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        passed = fcntl.fcntl(netlink, fcntl.F_DUPFD, 100)
        self.dracd.tracer = ["bash", "-c", f'LISTEN_PID=$$ exec "$@" 3<&{passed} {passed}<&-', "bash"]
        self.dracd.start(env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "addresses"}, pass_fds=[passed])
        os.close(passed)
        self.addCleanup(self.dracd.stop)

    def state(self):
        return fields(self.dracd.control("status")[0])["state"]

    def test_cannot_be_read(self):
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self.addCleanup(netlink.close)
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # a filter of one instruction: none passes
        program = struct.pack("HL", 1, ctypes.addressof(nothing))
        netlink.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER
        self.start(netlink)
        self.assertIn("cannot read the addresses of this host", self.dracd.text())
        self.assertEqual(self.state(), "warning")
        self.assertIn("the%20addresses%20of%20this%20host", str(self.dracd.control("status")))
        netlink.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER
        self.dracd.control("reload")  # finds that the kernel still has an answer for the last question
        self.dracd.control("reload")
        self.assertEqual(self.state(), "ok")


def load_tests(loader, _tests, _pattern):
    """The one case of VeryMany that is its own."""
    suite = loader.loadTestsFromTestCase(Shared)
    suite.addTest(VeryMany("test_those_that_are_over_make_room"))
    suite.addTests(loader.loadTestsFromTestCase(Own))
    return suite


if __name__ == "__main__":
    unittest.main()
