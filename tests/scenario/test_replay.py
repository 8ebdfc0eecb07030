"""What was recorded and is sent again, by one who may only send what others have said: nobody is let in by it."""
import unittest

from dracd_box import Case
from rpc_box import SUCCESS, answered, ipv4, message
from rpc_box import Case as RpcCase

TIMES = 10
ADDRESSES = [f"203.0.113.{n}" for n in range(9, 14)] + ["2001:db8::9"]


class Renewals(Case):
    """A renewal says that a login still lasts, and is nothing without it."""

    def record(self, ttl_ms):
        """Logins, and the renewals that follow them."""
        lines = []
        for n, address in enumerate(ADDRESSES):
            self.assertTrue(self.dracd.login(address, f"user=u{n} service=imap ttl_ms={ttl_ms}").startswith("OK granted"))
            lines.append(f"renew address={address} user=u{n} service=imap")
        return lines

    def replay(self, lines):
        with self.dracd.stream("report") as report:
            for line in lines * TIMES:
                self.assertRegex(report.ask(line), "^NO reason=(no_lease|revoked) ", line)
        self.assertEqual(self.dracd.control("list"), ["OK count=0"])
        for address in ADDRESSES:
            self.assertFalse(self.dracd.admits(address))

    def test_after_the_end(self):
        lines = self.record(1000)
        self.dracd.wait_for(lambda: self.dracd.control("list") == ["OK count=0"], "the end of all")
        self.replay(lines)

    def test_after_a_revocation(self):
        lines = self.record(600 * 1000)
        for address in ADDRESSES:
            self.dracd.control(f"revoke address={address}")
        self.replay(lines)

    def test_after_a_flush_and_a_restart(self):
        lines = self.record(600 * 1000)
        self.dracd.control("flush")
        self.dracd.stop()
        self.dracd.start()
        self.replay(lines)


class Calls(RpcCase):
    """A datagram that the network brings twice is one call, also when the lease was ended in between."""

    def test_after_a_revocation_that_holds_nobody_out(self):
        client = self.udp()
        call = message(7, 1, 1, ipv4("203.0.113.9"))
        self.assertEqual(client.ask(call), answered(7, SUCCESS))
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.dracd.control("revoke address=203.0.113.9 hold_ms=0")
        for _ in range(TIMES):
            self.assertEqual(client.ask(call), answered(7, SUCCESS))
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertEqual(self.dracd.control("list"), ["OK count=0"])


if __name__ == "__main__":
    unittest.main()
