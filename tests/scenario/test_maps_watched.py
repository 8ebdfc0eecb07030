"""A map that someone else has touched is noticed, told once, and as the table says again; nothing else happens
in these cases that would publish it. Read with the format's own tool: db5.3_dump."""
import os
import re
import shutil
import subprocess
import time
import unittest

from dracd_box import Case
from test_dracd_maps import rows

MAPS = """
map postfix {{ type = hash keys = postfix path = "{dir}/maps/postfix" }}
map other {{ type = hash keys = postfix path = "{dir}/maps/other" }}
"""
LEASE = {"203.0.113.9": "OK"}
STRANGER = "198.51.100.66"


def load(path, *addresses):
    """Puts rows as postmap writes them into a Berkeley DB file, which is made if it is not there."""
    text = "".join(f" {address}\\00\n OK\\00\n" for address in addresses)
    subprocess.run(["db5.3_load", "-t", "hash", path], check=True, text=True,
                   input=f"VERSION=3\nformat=print\ntype=hash\nHEADER=END\n{text}DATA=END\n")


class Watched(Case):
    """A dracd with a lease in two maps."""

    config = "lease_time = 1h\n"

    def setUp(self):
        super().setUp()
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.path = self.dracd.path("maps/postfix.db")
        self.away = self.dracd.path("away")
        self.dracd.write_config(self.config + MAPS.format(dir=self.dracd.directory))
        self.assertEqual(self.dracd.control("reload")[-1], "OK reloaded")
        self.assertIn("published=yes", self.dracd.login("203.0.113.9", "wait_ms=10000"))
        self.assertEqual(rows(self.path), LEASE)

    def is_good(self):
        """True if the map is whole; one that is just being replaced by a test may not be readable."""
        try:
            return rows(self.path) == LEASE
        except (subprocess.CalledProcessError, IndexError):
            return False

    def assert_rebuilt(self, what):
        """It was noticed by an event, told in one line, and the other map was left alone."""
        self.dracd.wait_for_log(f"map postfix: {self.path} {what}; rebuilt")
        self.assertTrue(self.is_good())
        found = re.findall(r"map \w+: .*; (?:to be )?rebuilt", self.dracd.text())
        self.assertEqual(len(found), 1, found)
        self.assertNotIn("cannot", self.dracd.text())

    def assert_refused_then_good(self, what, error, mend):
        """It is in the way: an alarm; and once it is mended the map is published without anybody's help."""
        self.dracd.wait_for_log("map postfix: cannot ")
        self.assertRegex(self.dracd.text(), f"map postfix: {self.path} (?:{what}); to be rebuilt")
        self.assertRegex(self.dracd.text(), f"map postfix: cannot .*: {error}; retrying")
        status = self.dracd.control("status")
        self.assertIn("state=critical", status[0])
        mend()
        started = time.monotonic()
        self.dracd.wait_for_log("map postfix: published again")
        self.assertTrue(self.is_good())
        # as it has been touched; the other map, of the same directory, may not be back yet
        self.assertIn(" state=warning ", self.dracd.control("maps name=postfix")[0])
        return time.monotonic() - started


@unittest.skipUnless(shutil.which("db5.3_load"), "db5.3_load (package db5.3-util) is missing")
@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Touched(Watched):
    def test_deleted(self):
        os.unlink(self.path)
        self.assert_rebuilt("is gone")

    def test_moved_away(self):
        os.rename(self.path, self.away)
        self.assert_rebuilt("is gone")

    def test_truncated(self):
        os.truncate(self.path, 0)
        os.utime(self.path)  # truncate(2) raises no event but IN_MODIFY
        self.assert_rebuilt("was truncated by someone else")

    def test_replaced_by_a_map_that_lists_a_stranger(self):
        load(self.away, STRANGER)
        os.rename(self.away, self.path)
        self.assert_rebuilt("was replaced by someone else")

    def test_edited_in_place(self):
        load(self.path, STRANGER)
        self.assert_rebuilt("was changed by someone else")

    def test_edited_in_place_by_one_who_keeps_it_open(self):
        with open(self.path, "r+b", buffering=0) as file:
            file.seek(-5, os.SEEK_END)
            file.write(b"\0")
            self.assert_rebuilt("was changed by someone else")

    def test_given_another_mode(self):
        os.chmod(self.path, 0o666)
        self.assert_rebuilt("was given another owner or mode")
        self.assertEqual(os.stat(self.path).st_mode & 0o7777, 0o644)

    def test_replaced_by_a_directory(self):
        os.unlink(self.path)
        os.mkdir(self.path)
        took = self.assert_refused_then_good("was replaced by what is no file|is gone", "Operation not permitted",
                                             lambda: os.rmdir(self.path))
        self.assertLess(took, 4, "not by the event, but by the next retry")

    def test_replaced_by_a_symbolic_link(self):
        load(self.dracd.path("target"), STRANGER)
        before = os.stat(self.dracd.path("target"))
        os.symlink(self.dracd.path("target"), self.away)
        os.rename(self.away, self.path)
        took = self.assert_refused_then_good("was replaced by what is no file", "Operation not permitted",
                                             lambda: os.unlink(self.path))
        self.assertLess(took, 4, "not by the event, but by the next retry")
        after = os.stat(self.dracd.path("target"))
        self.assertEqual((after.st_size, after.st_mtime_ns), (before.st_size, before.st_mtime_ns))

    def test_directory_that_others_may_write_to(self):
        maps = self.dracd.path("maps")
        os.chmod(maps, 0o775)
        took = self.assert_refused_then_good("stands in a directory that others can change",
                                             "Operation not permitted", lambda: os.chmod(maps, 0o755))
        self.assertLess(took, 4, "not by the event, but by the next retry")

    def test_directory_moved_away_and_back(self):
        maps = self.dracd.path("maps")
        os.rename(maps, self.away)
        self.assert_refused_then_good("is gone", "No such file or directory", lambda: os.rename(self.away, maps))
        # and it is watched again
        os.unlink(self.path)
        self.dracd.wait_for(lambda: self.dracd.text().count("is gone") == 3, "the map to be missed again")
        self.dracd.wait_for(self.is_good, "the map to be rebuilt")

    def test_directory_replaced_by_an_empty_one(self):
        maps = self.dracd.path("maps")
        os.mkdir(f"{maps}.new", 0o755)
        os.rename(maps, self.away)
        os.rename(f"{maps}.new", maps)
        self.dracd.wait_for(self.is_good, "the map to be written anew")
        for _ in range(3):  # the new one is watched
            os.unlink(self.path)
            self.dracd.wait_for(self.is_good, "the map to be rebuilt")

    def test_parent_of_the_directory_replaced(self):
        """No event tells of it."""
        self.dracd.stop()
        upper = self.dracd.path("upper")
        os.makedirs(f"{upper}/maps", 0o755)
        self.dracd.write_config(self.config + MAPS.format(dir=upper))
        self.dracd.start()
        shutil.copytree(upper, f"{upper}.new", copy_function=os.link)
        os.unlink(f"{upper}.new/maps/postfix.db")
        load(f"{upper}.new/maps/postfix.db", STRANGER)
        os.rename(upper, f"{upper}.old")
        os.rename(f"{upper}.new", upper)
        self.path = f"{upper}/maps/postfix.db"
        self.dracd.wait_for(self.is_good, "the map to be written anew")


@unittest.skipUnless(shutil.which("db5.3_load"), "db5.3_load (package db5.3-util) is missing")
@unittest.skipUnless(shutil.which("strace"), "strace is missing")
@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Unwatched(Watched):
    """The limit of watches of this account is reached."""

    def setUp(self):
        super().setUp()
        self.dracd.stop()
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-e",
                             "trace=inotify_add_watch", "-e", "inject=inotify_add_watch:error=ENOSPC"]
        self.dracd.start()

    def test_replaced(self):
        self.assertIn("map postfix: cannot watch its directory", self.dracd.text())
        load(self.away, STRANGER)
        os.rename(self.away, self.path)
        self.dracd.wait_for_log(f"map postfix: {self.path} was replaced by someone else; rebuilt")
        self.assertTrue(self.is_good())


@unittest.skipUnless(shutil.which("db5.3_load"), "db5.3_load (package db5.3-util) is missing")
@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Quiet(Watched):
    """Its own publications are nobody else's."""

    config = "lease_time = 1h\n"

    def test_publications_find_nothing(self):
        inodes = set()
        for n in range(30):
            self.assertIn("published=yes", self.dracd.login(f"203.0.113.{n + 10}", "wait_ms=10000"))
            inodes.add(os.stat(self.path).st_ino)
        self.assertGreater(len(inodes), 5)
        written = os.stat(self.path).st_ctime_ns
        os.unlink(self.dracd.path("maps/other.db"))  # what its events cause comes after that of all before
        self.dracd.wait_for_log("other.db is gone; rebuilt")
        self.assertEqual(os.stat(self.path).st_ctime_ns, written)
        self.assertNotIn("map postfix:", self.dracd.text())


if __name__ == "__main__":
    unittest.main()
