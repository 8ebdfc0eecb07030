"""One user who logs in from ever new addresses: the table has a bound, and others have their place.

EXHAUSTION_LOGINS=1000000 makes it a full run; here it is some thousand.
"""
import os
import unittest

from dracd_box import Case, fields

LOGINS = int(os.environ.get("EXHAUSTION_LOGINS", "20000"))
PER_USER, ALL, AT_ONCE = 8, 40, 500
ENDS = {"granted": "OK granted", "renewed": "OK renewed", "user": "NO reason=max_leases_per_user",
        "full": "NO reason=max_leases"}


def of_a_network(number):
    """An address of one /64."""
    return f"2001:db8:1:2::{number >> 16:x}:{number & 0xffff:x}"


class Exhaustion(Case):
    config = f"max_leases = {ALL}\nmax_leases_per_user = {PER_USER}\ndurability = process\n"

    def report(self, lines):
        """How many answers of each kind; AT_ONCE are under way at a time."""
        counts = dict.fromkeys(ENDS, 0)
        with self.dracd.stream("report") as report:
            for begin in range(0, len(lines), AT_ONCE):
                batch = lines[begin:begin + AT_ONCE]
                report.send("".join(f"{line}\n" for line in batch))
                for _ in batch:
                    words = " ".join(report.line().split(" ")[:2])
                    counts[next(kind for kind, text in ENDS.items() if text == words)] += 1
        return counts

    def leases(self):
        return int(fields(next(line for line in self.dracd.control("status") if line.startswith("leases ")))["count"])

    def test_one_user_in_a_network(self):
        counts = self.report([f"login address={of_a_network(n)} user=eve service=imap" for n in range(1, LOGINS + 1)])
        self.assertEqual(counts, {"granted": PER_USER, "renewed": 0, "user": LOGINS - PER_USER, "full": 0})
        self.assertEqual(self.leases(), PER_USER)
        self.assertTrue(self.dracd.admits(of_a_network(1)), "what she had stays")
        self.assertFalse(self.dracd.admits(of_a_network(LOGINS)))
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"), "others come in")
        self.assertTrue(self.dracd.admits("203.0.113.9"))

    def test_one_user_in_leases_of_others(self):
        """As many as of her own, also if somebody else opens them."""
        joined = range(1, PER_USER + 2)
        self.report([f"login address={of_a_network(n)} user=user{n} service=imap" for n in joined])
        counts = self.report([f"login address={of_a_network(n)} user=eve service=imap" for n in joined])
        self.assertEqual(counts, {"granted": 0, "renewed": PER_USER, "user": 1, "full": 0})
        again = self.report([f"login address={of_a_network(n)} user=eve service=imap" for n in joined])
        self.assertEqual(again, counts, "where she is in she stays")

    def test_many_users(self):
        """The table is full: nobody's lease is taken away, and renewals go on."""
        counts = self.report([f"login address={of_a_network(n)} user=user{n} service=imap"
                              for n in range(1, LOGINS // 4 + 1)])
        self.assertEqual(counts, {"granted": ALL, "renewed": 0, "user": 0, "full": LOGINS // 4 - ALL})
        self.assertEqual(self.leases(), ALL)
        for n in (1, ALL):
            self.assertTrue(self.dracd.admits(of_a_network(n)))
        again = self.dracd.login(of_a_network(1), "user=user1 service=imap")
        self.assertTrue(again.startswith("OK renewed"), again)


if __name__ == "__main__":
    unittest.main()
