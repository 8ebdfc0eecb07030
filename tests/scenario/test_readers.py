"""Eight readers look up session after session, as the MTA does it, while map after map is published, for each format:
what is always there is always found, what never was never is, and nothing is left behind.

READERS_PUBLICATIONS: how many, of all formats together; `make readers` is the full run.
"""
import os
import subprocess
import time
import unittest

import map_types
from dracd_box import Case

READER = os.path.abspath(os.path.join(map_types.BUILD, "tests", "reader", "reader"))
READERS = 8
KINDS = [kind for kind in ("hash", "btree", "lmdb", "cdb", "iplsearch", "lsearch", "relayhosts")
         if kind in map_types.LIVE]
PUBLICATIONS = -(-int(os.environ.get("READERS_PUBLICATIONS", "560")) // max(len(KINDS), 1))
ALWAYS, NEVER = "203.0.113.9", ("198.51.100.66", "203.0.113", "203.0.113.99")
NUL = ("hash", "btree", "lmdb")
IN_PLACE = "lmdb"
NO_VALUE = ("iplsearch", "relayhosts")


@unittest.skipUnless(KINDS, "no format is built in")
class Readers(Case):
    config = "lease_time = 24h\nlease_time_max = 24h\ndurability = process\n"

    def setUp(self):
        super().setUp()
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.readers = []
        self.addCleanup(self.kill_readers)

    def configure(self, kind):
        """This map alone, with one lease that stays."""
        self.dracd.write_config(self.config + map_types.config(
            self.dracd.path("maps"), "interval = 0 end_interval = 0", [kind]))
        self.assertEqual(self.dracd.control("reload")[-1], "OK reloaded")
        self.assertIn("published=yes", self.dracd.login(ALWAYS, "user=bob wait_ms=10000"))

    def path(self, kind):
        return self.dracd.path(f"maps/{kind}{map_types.LIVE[kind][1]}")

    def start_readers(self, kind):
        environment = os.environ | ({"TRAILING_NUL": "1"} if kind in NUL else {})
        for _ in range(READERS):
            self.readers.append(subprocess.Popen(
                [READER, kind, self.path(kind), ALWAYS, "" if kind in NO_VALUE else "OK", *NEVER],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment))

    def kill_readers(self):
        for reader in self.readers:
            reader.kill()
            reader.wait()
            reader.stdin.close()
            reader.stdout.close()
        self.readers = []

    def publish(self):
        """A lease that comes and goes, each time in the map when it is answered."""
        with self.dracd.stream("report") as report, self.dracd.stream("control") as control:
            for n in range(0, PUBLICATIONS, 2):
                address = f"198.51.100.{n // 2 % 180 + 70}"
                answer = report.ask(f"login address={address} user=u{n // 2 % 20} wait_ms=10000")
                self.assertIn("published=yes", answer)
                answer = control.ask(f"revoke address={address} hold_ms=0")
                self.assertIn("maps_late=0", answer)

    def end_readers(self):
        """How often they have looked up and opened; asserts that nothing went wrong."""
        lookups = opens = 0
        for reader in self.readers:
            reader.stdin.close()
        for reader in self.readers:
            said = reader.stdout.read().splitlines()
            self.assertEqual((reader.wait(), said[:-1]), (0, []))
            words = said[-1].split()
            self.assertGreater(int(words[1]), 0)
            lookups += int(words[1])
            opens += int(words[3])
        return lookups, opens

    def test_readers(self):
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.configure(kind)
                self.start_readers(kind)
                started = time.monotonic()
                self.publish()
                took = time.monotonic() - started
                lookups, opens = self.end_readers()
                print(f"# {kind}: {PUBLICATIONS} publications in {took:.1f} s, {READERS} readers, "
                      f"{lookups} lookups, {opens} opens", flush=True)
                if kind == IN_PLACE:
                    self.assertLess(opens, 2 * READERS, "changed in place: nobody has to open it again")
                else:
                    self.assertGreater(opens, READERS)
                self.assertEqual(set(map_types.rows(kind, self.path(kind))), {ALWAYS})
                self.assertEqual([name for name in os.listdir(self.dracd.path("maps")) if name.endswith(".tmp")], [])
            self.kill_readers()
        names = {os.path.basename(self.path(kind)) for kind in KINDS}
        self.assertEqual(set(os.listdir(self.dracd.path("maps"))), names | {f".{name}.spare" for name in names})
        self.assertNotIn("rebuilt", self.dracd.text())
        self.assertNotIn("cannot", self.dracd.text())


if __name__ == "__main__":
    unittest.main()
