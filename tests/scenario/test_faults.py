"""What the disk and the table can do to dracd: a sync that takes long, a table that is damaged."""
import os
import shutil
import time
import unittest

from dracd_box import Dracd, fields
from test_dracd_maps import rows

MAP = """
map postfix {{ type = hash keys = postfix path = "{dir}/maps/postfix" interval = 0 end_interval = 0 }}
"""


@unittest.skipUnless(shutil.which("db5.3_dump"), "db5.3_dump (package db5.3-util) is missing")
@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Faults(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.dracd.write_config(MAP.format(dir=self.dracd.directory))

    def map(self):
        return rows(self.dracd.path("maps/postfix.db"))

    def start_slow(self, call, usec):
        """dracd, with every such call delayed."""
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-e",
                             f"inject={call}:delay_enter={usec}"]
        self.dracd.start()

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_waiting_logins_when_maps_are_slow_to_write(self):
        self.start_slow("fsync", 100000)  # two for each publication
        for n in range(4):
            # nine times as long as the last took would be too late
            answer = self.dracd.login(f"203.0.113.{n}", "wait_ms=1500")
            self.assertIn("published=yes", answer)
            self.assertIn(f"203.0.113.{n}", self.map())

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_renewal_that_is_stored_after_the_old_end(self):
        self.start_slow("fdatasync", 400000)
        answer = self.dracd.login("203.0.113.9", "ttl_ms=2000 wait_ms=10000")
        self.assertIn("published=yes", answer)
        end = int(fields(answer)["boot_ms"])
        now = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
        self.assertLess(now, end - 150, "the machine is too slow for this test")
        time.sleep((end - 150 - now) / 1000)
        with self.dracd.stream("report") as report:
            report.send("login address=203.0.113.9\n")
            self.dracd.wait_for(lambda: self.map() == {}, "the end to be published meanwhile")
            self.assertTrue(report.line().startswith("OK renewed"))
        self.dracd.wait_for(lambda: self.map() == {"203.0.113.9": "OK"}, "the renewal in the map")
        self.assertTrue(self.dracd.admits("203.0.113.9"))

    def test_table_that_is_damaged_while_in_use_ends_dracd(self):
        self.dracd.start()
        self.assertIn("published=yes", self.dracd.login("203.0.113.9", "wait_ms=10000"))
        with open(self.dracd.path("state/table/data.mdb"), "r+b") as table:
            table.seek(8192)  # behind the two pages that say where the others are
            table.write(bytes(os.fstat(table.fileno()).st_size - 8192))
        self.dracd.login("203.0.113.10")
        self.assertNotEqual(self.dracd.process.wait(30), 0)
        self.dracd.wait_for(self.dracd.guardian_is_done, "the lookups to go")
        self.dracd.wait_for(lambda: self.map() == {}, "the map to be withdrawn")
        self.assertIn("table: it can no longer be used; ending", self.dracd.text())
        self.dracd.start()
        self.assertIn("it is damaged; moved aside as table.aside-", self.dracd.text())
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"))


if __name__ == "__main__":
    unittest.main()
