"""dracctl maps and dracctl maps --rebuild, on a dracd that runs."""
import json
import os
import subprocess
import unittest

from dracctl_box import DRACCTL, PATIENCE
from dracd_box import Case

MAPS = """
map postfix {{ type = hash keys = postfix path = "{dir}/maps/postfix" }}
map drac {{ type = hash keys = sendmail path = "{dir}/maps/drac" }}
"""


@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Shown(Case):
    config = "lease_time = 1h\n"

    def setUp(self):
        super().setUp()
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.path = self.dracd.path("maps/postfix.db")
        self.dracd.write_config(self.config + MAPS.format(dir=self.dracd.directory))
        self.assertEqual(self.dracd.control("reload")[-1], "OK reloaded")

    def maps(self, *arguments):
        """Exit status, standard output and standard error of dracctl maps."""
        done = subprocess.run([DRACCTL, "-s", self.dracd.path("control"), "maps", *arguments],
                              capture_output=True, encoding="utf-8", timeout=PATIENCE, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def state(self, name):
        """What stands in the JSON of one map."""
        return json.loads(self.maps(name, "--json")[1])[0]

    def identity(self, name):
        status = os.stat(self.dracd.path(f"maps/{name}.db"))
        return status.st_ino, status.st_ctime_ns

    def test_what_is_shown(self):
        self.assertIn("published=yes", self.dracd.login("203.0.113.9", "wait_ms=10000"))
        status, out, err = self.maps()
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, fr"\Apostfix: hash, 1 entry, published \d+ s ago, pending 0, ok\n    {self.path}\n"
                              fr"drac: hash, 1 entry, published \d+ s ago, pending 0, ok\n    .*/maps/drac\.db\n\Z")
        status, out, err = self.maps("drac")
        self.assertEqual((status, err, out.count("\n"), out[:6]), (0, "", 2, "drac: "))
        self.assertEqual(self.maps("none"), (3, "", 'dracctl: there is no map none: "dracctl maps" names them\n'))

    def test_rebuilt_when_the_command_returns(self):
        for _ in range(3):
            before = [self.identity(name) for name in ("postfix", "drac")]
            self.assertEqual(self.maps("--rebuild")[0], 0)
            after = [self.identity(name) for name in ("postfix", "drac")]
            self.assertTrue(all(old != new for old, new in zip(before, after)))
        self.assertEqual(self.maps("drac", "--rebuild")[0], 0)
        self.assertEqual(self.identity("postfix"), after[0])
        self.assertNotEqual(self.identity("drac"), after[1])

    def test_error_is_told_and_the_other_map_is_rebuilt(self):
        before = self.identity("drac")
        os.unlink(self.path)
        os.mkdir(self.path)
        status, out, _ = self.maps("--rebuild")
        self.assertEqual(status, 2)
        self.assertIn(f"    {self.path}\n    ERROR: cannot check old file: Operation not permitted\n", out)
        self.assertEqual(self.state("postfix")["state"], "error")
        self.assertEqual(self.state("drac")["state"], "ok")
        self.assertNotEqual(self.identity("drac"), before)
        self.assertEqual(self.maps("drac")[0], 0)
        os.rmdir(self.path)
        self.dracd.wait_for(lambda: self.state("postfix")["state"] == "warning", "the map to recover")
        status, out, _ = self.maps()
        self.assertEqual(status, 1)
        self.assertRegex(out, r"    WARNING: (is gone|was replaced by what is no file), \d+ s ago; rebuilt\n")

    def test_rebuild_of_a_map_in_error_does_not_wait_for_its_next_retry(self):
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        while self.dracd.text().count("cannot open directory") < 2:  # one line for each map
            self.assertEqual(self.maps("--rebuild")[0], 2)
        os.rename(self.dracd.path("away"), self.dracd.path("maps"))
        status, out, _ = self.maps("--rebuild")
        self.assertEqual((status, out.count("ERROR")), (1, 0), out)

    def test_without_dracd(self):
        self.dracd.stop()
        status, out, err = self.maps("--rebuild")
        self.assertEqual((status, out), (3, ""))
        self.assertIn("dracd is not running", err)


if __name__ == "__main__":
    unittest.main()
