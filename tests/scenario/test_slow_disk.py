"""A disk whose fsync takes long (tests/bench/slow_sync.c): who shares a commit with whom."""
import os
import subprocess
import unittest
from unittest import mock

import dracd_box

TOOLS = os.path.abspath(os.path.join(dracd_box.BUILD, "tests/bench"))
SLOW = {"LD_PRELOAD": f"{TOOLS}/slow_sync.so", "SLOW_SYNC_USEC": "300000",
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


class SlowDisk(unittest.TestCase):
    """One daemon each."""

    def setUp(self):
        self.dracd = dracd_box.Dracd()
        self.addCleanup(self.dracd.remove)
        with mock.patch.dict(os.environ, SLOW):
            self.dracd.start()

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


if __name__ == "__main__":
    unittest.main()
