"""dracd as process 1 of a container: its guardian dies with it, of which it warns, and dracd-withdraw does what the
guardian would have done.

Needs root, for a process namespace.
"""
import os
import signal
import subprocess
import unittest

from tests.scenario import map_types
from tests.scenario.dracd_box import BUILD, PATIENCE, Dracd

WITHDRAW = os.path.abspath(os.path.join(BUILD, "dracd", "dracd-withdraw"))
WARNING = "process 1 of a container: if it is killed, so is the guardian"


def child_of(pid):
    """The only one that a process has, as we see it."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return int(children.read())


class ProcessOne(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.dracd.write_config(map_types.config(self.dracd.path("maps"), "interval = 0"))

    def rows(self):
        return [map_types.rows(kind, self.dracd.path(f"maps/{kind}{map_types.LIVE[kind][1]}"))
                for kind in map_types.LIVE]

    def test_killed(self):
        self.dracd.tracer = ["unshare", "--pid", "--fork", "--kill-child"]
        self.dracd.start()
        self.addCleanup(self.dracd.process.kill)  # who waits for a process namespace does not end by SIGTERM
        self.assertIn(WARNING, self.dracd.text())
        self.assertIn("published=yes", self.dracd.login("203.0.113.9", "user=bob wait_ms=10000"))
        one = child_of(self.dracd.process.pid)
        guardian = child_of(one)
        os.kill(guardian, signal.SIGSTOP)  # it would have a moment, as the namespace dies last
        os.kill(one, signal.SIGKILL)
        self.dracd.process.wait(PATIENCE)
        self.dracd.wait_for(self.dracd.is_over, "the guardian to die")
        self.assertFalse(os.path.exists(f"/proc/{guardian}"))
        self.assertTrue(all(self.rows()), "somebody has withdrawn them: then there is nothing to warn of")
        done = subprocess.run([WITHDRAW, "-f", "-c", self.dracd.config], timeout=PATIENCE, check=False,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(any(self.rows()))
        self.assertFalse(os.path.exists(self.dracd.path("policy")))

    def test_elsewhere_nothing_is_said(self):
        self.dracd.start()
        self.assertNotIn(WARNING, self.dracd.text())


if __name__ == "__main__":
    unittest.main()
