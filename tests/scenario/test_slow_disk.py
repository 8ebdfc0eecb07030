"""A disk whose fsync takes long (tests/bench/slow_sync.c): who shares a commit with whom, and what ends meanwhile."""
import os
import subprocess
import time
import unittest
from unittest import mock

import dracd_box

TOOLS = os.path.abspath(os.path.join(dracd_box.BUILD, "tests/bench"))
SLOW = {"LD_PRELOAD": f"{TOOLS}/slow_sync.so", "SLOW_SYNC_USEC": "300000", "SLOW_SYNC_ONLY": "/state",
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def boot_seconds():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SlowDisk(unittest.TestCase):
    """One daemon each."""

    def setUp(self):
        self.dracd = dracd_box.Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"))
        self.dracd.write_config(f'map list {{ type = relayhosts path = "{self.dracd.path("maps/list")}" }}\n')
        with mock.patch.dict(os.environ, SLOW):
            self.dracd.start()

    def login(self, *lines):
        """Reports logins at once; when the leases end, by the boot clock in seconds."""
        with self.dracd.stream("report") as report:
            report.send("".join(f"login {line}\n" for line in lines))
            return [int(dracd_box.fields(report.line())["boot_ms"]) / 1000 for _ in lines]

    def listed(self):
        with open(self.dracd.path("maps/list"), encoding="utf-8") as file:
            return sorted(line for line in file.read().splitlines() if line[:1].isdigit())

    def await_line(self, address):
        self.dracd.wait_for_log(f"ended {address} reason=expired")
        self.assertEqual(self.dracd.text().count(f"ended {address} "), 1)

    def commits(self):
        """How many there have been."""
        words = [f"{TOOLS}/table_size", self.dracd.path("state/table")]
        return int(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.split()[0])

    def test_busy_reporters_share_their_commits(self):
        """Eight reporters, each with its next login ready when it is answered, 24 logins: one, as nobody
        knows of the others yet, then twice eight, then seven. In two groups that wait for each
        other they would take six commits."""
        before = self.commits()
        subprocess.run([f"{TOOLS}/clients", "login", self.dracd.path("report"), "8", "60", "0", "24"],
                       stdout=subprocess.DEVNULL, check=True)
        self.assertLessEqual(self.commits() - before, 5)

    @dracd_box.tried_again
    def test_end_that_a_revocation_brings_forward(self):
        """What is left of a lease when a user is revoked ends while that is being stored, and then another
        lease: the map and the log have passed the first end before it can be read."""
        self.login("address=203.0.113.1 user=eve ttl_ms=3600000")
        _, end = self.login("address=203.0.113.1 user=bob ttl_ms=4000", "address=203.0.113.2 user=amy ttl_ms=4050")
        self.dracd.wait_for(lambda: self.listed() == ["203.0.113.1", "203.0.113.2"], "both in the map")
        if boot_seconds() >= end - 0.1:
            raise dracd_box.TooSlow("the first lease has ended too early")
        time.sleep(end - 0.1 - boot_seconds())
        answer = self.dracd.control("revoke user=eve")[-1]
        self.assertIn("OK revoked", answer)
        if dracd_box.fields(answer)["leases"] != "0":
            raise dracd_box.TooSlow("nothing was left of it, so the revocation has ended it itself")
        self.assertGreater(boot_seconds(), end, "too fast for the test")
        self.await_line("203.0.113.1")
        self.await_line("203.0.113.2")
        self.dracd.wait_for(lambda: self.listed() == [], "none in the map")

    @dracd_box.tried_again
    def test_ends_are_published_while_a_revocation_is_stored(self):
        ends = self.login(*(f"address=203.0.113.{n} user=amy ttl_ms={4000 + 300 * n}" for n in range(3)))
        self.dracd.wait_for(lambda: len(self.listed()) == 3, "all in the map")
        with self.dracd.stream("control") as control:
            time.sleep(max(ends[0] - 0.1 - boot_seconds(), 0))
            control.send("revoke user=eve\n" )
            self.dracd.wait_for(lambda: self.listed() == ["203.0.113.1", "203.0.113.2"], "the first out of the map")
            self.dracd.wait_for(lambda: self.listed() == ["203.0.113.2"], "the second out of the map")
            if "revoked user=eve" in self.dracd.text():
                raise dracd_box.TooSlow("the revocation was stored too early")
            self.assertIn("OK revoked", control.line())
        for number in range(3):
            self.await_line(f"203.0.113.{number}")

    @dracd_box.tried_again
    def test_end_of_a_lease_that_is_stored_too_late(self):
        """It is over before it can be read, and another lease has ended in between."""
        ends, = self.login("address=203.0.113.2 user=amy ttl_ms=4000")
        with self.dracd.stream("control") as one, self.dracd.stream("control") as two:
            time.sleep(ends - 1.5 - boot_seconds())
            one.send("revoke address=198.51.100.1\n")
            two.send("revoke address=198.51.100.2\n")
            late, = self.login("address=203.0.113.1 user=bob ttl_ms=1000")
            if late >= ends:
                raise dracd_box.TooSlow("the login came too late")
            self.assertGreater(boot_seconds(), ends, "too fast for the test")
            self.assertEqual([one.line()[:10], two.line()[:10]], ["OK revoked"] * 2)
        self.await_line("203.0.113.1")
        self.await_line("203.0.113.2")
        self.dracd.wait_for(lambda: self.listed() == [], "none in the map")


if __name__ == "__main__":
    unittest.main()
