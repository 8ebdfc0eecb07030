"""A text in a map's place that dracd has not written: a list that somebody keeps by hand."""
import os
import signal
import unittest

from dracd_box import Dracd

HAND = "# scanners\n10.1.2.3\n10.1.2.4\n"


class ForeignList(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.dracd.write_config("".join(f'map {name} {{ type = relayhosts path = "{self.file(name)}" }}\n'
                                        for name in ("list", "other")))

    def file(self, name="list"):
        return self.dracd.path(f"maps/{name}")

    def write(self, text, name="list"):
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name="list"):
        with open(self.file(name), encoding="utf-8") as file:
            return file.read()

    def rows(self, name="list"):
        return self.read(name).splitlines()[1:]

    def login(self, published="yes"):
        self.assertIn(f"published={published}", self.dracd.login("203.0.113.9", "user=bob wait_ms=10000"))

    def test_is_left_alone_until_it_is_moved_away(self):
        self.write(HAND)
        for end in (signal.SIGTERM, signal.SIGKILL, None):
            self.dracd.start()
            self.login(published="no")
            self.dracd.wait_for_log(
                f"map list: cannot overwrite what dracd has not written (move it away first) {self.file()}")
            self.assertIn("state=error", self.dracd.control("maps name=list")[0])
            self.assertIn("state=critical", "\n".join(self.dracd.control("status")))
            self.assertTrue(self.dracd.control("maps rebuild=yes")[-1].startswith("OK"))
            self.assertEqual(self.read(), HAND)
            self.assertEqual(self.rows("other"), ["203.0.113.9"])
            if end:
                self.dracd.stop(end)
                self.dracd.wait_for(lambda: self.rows("other") == [], "the withdrawal of the other")
                self.assertEqual(self.read(), HAND)
        self.assertNotIn("cannot withdraw", self.dracd.text())
        os.rename(self.file(), self.file("kept"))
        self.dracd.wait_for_log("map list: published again")
        self.assertEqual(self.rows(), ["203.0.113.9"])
        self.assertEqual(sorted(os.listdir(self.dracd.path("maps"))),
                         [".list.spare", ".other.spare", "kept", "list", "other"])

    def test_empty_file_and_one_of_ours_are_replaced(self):
        self.write("")
        self.dracd.start()
        self.login()
        self.dracd.stop()
        os.unlink(self.file(".list.spare"))
        self.dracd.start()
        self.assertEqual(self.rows(), ["203.0.113.9"])

    def test_one_that_was_published_before_is_rebuilt_whatever_is_in_it(self):
        self.dracd.start()
        self.login()
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.write(HAND)
            self.dracd.wait_for(lambda: self.rows() == ["203.0.113.9"], "the map to be rebuilt")
            self.dracd.stop(how)
            self.dracd.wait_for(lambda: self.rows() == [], "the withdrawal")
            self.write(HAND)
            self.dracd.start()
            self.assertEqual(self.rows(), ["203.0.113.9"])
