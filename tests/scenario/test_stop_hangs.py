"""A dracd that hangs while it stops is ended by its guardian, and its leases are withdrawn. Takes the half minute
that a stop may last."""
import os
import signal
import time
import unittest
from unittest import mock

import map_types
from dracd_box import BUILD, PATIENCE, Dracd

LIMIT = 30
ATTEMPTS = 5
SLOW = {"LD_PRELOAD": os.path.abspath(f"{BUILD}/tests/bench/slow_sync.so"), "SLOW_SYNC_USEC": "400000",
        "SLOW_SYNC_ONLY": "/maps", "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


class StopHangs(unittest.TestCase):
    """Under a watchdog of a second, which counts no more once it stops. A slow disk gives us time while it does."""

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.dracd.write_config("watchdog = 1s\n" +
                                map_types.config(self.dracd.path("maps"), "interval = 0  end_interval = 0"))
        self.addCleanup(lambda: self.dracd.process.send_signal(signal.SIGCONT))

    def rows(self):
        """Of each map."""
        return {kind: map_types.rows(kind, self.dracd.path(f"maps/{kind}{map_types.LIVE[kind][1]}"))
                for kind in map_types.LIVE}

    def hang_while_it_stops(self):
        """Held when its sockets are gone. How long it then took to die; 0 if it was held too late, when it had closed
        its maps, or too early, when its guardian did not know yet that it stops."""
        with mock.patch.dict(os.environ, SLOW):
            self.dracd.start()
        self.assertIn("published=yes", self.dracd.login("203.0.113.9", "user=bob wait_ms=10000"))
        self.dracd.process.send_signal(signal.SIGTERM)
        self.dracd.wait_for(lambda: not os.path.exists(self.dracd.path("report")), "the socket to be gone")
        time.sleep(0.05)
        self.dracd.process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        if not all(self.rows().values()):
            self.dracd.process.send_signal(signal.SIGCONT)
        status = self.dracd.process.wait(LIMIT + PATIENCE)
        took = time.monotonic() - begun
        self.dracd.wait_for(self.dracd.is_over, "the guardian to withdraw")
        self.assertFalse(any(self.rows().values()))
        told = self.dracd.text(self.dracd.begins)
        if status == 0 or "dracd hangs: it has not moved for 1 s; it is killed" in told:
            return 0
        self.assertEqual(status, -signal.SIGKILL)
        self.assertIn(f"dracd hangs: it has not moved for {LIMIT} s; it is killed", told)
        return took

    def test_is_killed_and_withdrawn(self):
        took = next(filter(None, (self.hang_while_it_stops() for _ in range(ATTEMPTS))), 0)
        self.assertGreater(took, LIMIT - 5)


if __name__ == "__main__":
    unittest.main()
