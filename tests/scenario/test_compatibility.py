"""The compatibility table of the README: whole, made by the script, and not to be edited unnoticed."""

import copy
import itertools
import unittest

from tests import compatibility

README = f"before\n{compatibility.BEGIN}{compatibility.END}after\n"
FOUND = {
    "release": "Debian 13",
    "servers": {"Dovecot": "2.4.1-4", "Postfix": "3.10.13", "Sendmail": "8.18.1", "Exim": "4.98.2"},
    "formats": [{"mta": mta, "missing": None, "addresses": ["IPv4", "IPv6", "/64"]}
                for mta in ("postfix-policy", "postfix-hash", "sendmail-drac-socket", "exim-cdb")],
    "logins": [{"protocol": protocol, "helper": helper, "mta": mta, "family": family, "passed": True}
               for protocol, helper, mta, family in itertools.product(
                   ("imap", "pop3"), compatibility.HELPERS, compatibility.WAYS, compatibility.FAMILIES)],
}


class Table(unittest.TestCase):
    """What the script writes, and what its check sees."""

    def setUp(self):
        self.found = copy.deepcopy(FOUND)
        self.readme = compatibility.written(README, [FOUND])

    def test_written_agrees(self):
        self.assertEqual(compatibility.differences(self.readme, FOUND), [])
        self.assertTrue(self.readme.startswith("before\n") and self.readme.endswith("after\n"))
        self.assertEqual(compatibility.written(self.readme, [FOUND]), self.readme)

    def test_point_release_is_the_same_in_kind(self):
        self.found["servers"] = {"Dovecot": "2.4.1-5", "Postfix": "3.10.14", "Sendmail": "8.18.2+b1",
                                 "Exim": "4.98"}
        self.assertEqual(compatibility.differences(self.readme, self.found), [])

    def test_new_version_is_noticed(self):
        self.found["servers"]["Postfix"] = "3.11.0"
        self.assertEqual(len(compatibility.differences(self.readme, self.found)), 2 * (3 + 1))

    def test_failure_is_shown_and_noticed(self):
        self.found["logins"][0]["passed"] = False
        self.assertEqual(len(compatibility.differences(self.readme, self.found)), 2)
        self.assertIn("| POP3; IMAP fails |", compatibility.written(README, [self.found]))

    def test_what_was_not_tried_is_no_success(self):
        self.found["logins"] = [login for login in FOUND["logins"] if login["mta"] != "sendmail-access"]
        self.assertIn("access_db | not tried | not tried", compatibility.written(README, [self.found]))
        self.assertEqual(len(compatibility.differences(self.readme, self.found)), 2)

    def test_edited_cell_row_or_copy_is_noticed(self):
        row = next(line for line in self.readme.splitlines(True) if "socketmap" in line)
        for edited in (row.replace("IMAP, POP3", "IMAP", 1), "", row + row):
            with self.subTest(edited):
                self.assertTrue(compatibility.differences(self.readme.replace(row, edited), FOUND))

    def test_formats_are_told_apart(self):
        hash_, cdb = self.found["formats"][1], self.found["formats"][3]
        hash_.update(missing="no Berkeley DB", addresses=[])
        cdb["addresses"] = ["IPv4", "IPv6"]
        self.assertEqual(compatibility.format_rows(self.found), [
            ["Debian 13", "Postfix 3.10.13", "policy", "", "hash: no Berkeley DB"],
            ["Debian 13", "Sendmail 8.18.1", "FEATURE(drac) socket", "", ""],
            ["Debian 13", "Exim 4.98.2", "", "cdb", ""]])
        self.assertEqual(len(compatibility.differences(self.readme, self.found)), 2 * 2)
        cdb["addresses"] = ["IPv4", "/64"]
        self.assertIn("| cdb fails |", compatibility.written(README, [self.found]))

    def test_unknown_release_is_told_apart(self):
        self.found["release"] = "Debian forky"
        self.assertIsNone(compatibility.differences(self.readme, self.found))

    def test_oldest_first(self):
        newest = {**FOUND, "release": "Debian forky"}
        older = {**FOUND, "release": "Debian 9"}
        rows = compatibility.read_rows(compatibility.written(README, [newest, FOUND, older]))
        for step, some in ((3, rows[:9]), (len(compatibility.WAYS), rows[9:])):
            self.assertEqual([row[0] for row in some[::step]], ["Debian 9", "Debian 13", "Debian forky"])

    def test_no_release_gets_lost(self):
        for releases in ([], [{**FOUND, "release": "Debian 12"}]):
            with self.assertRaisesRegex(ValueError, "no run of"):
                compatibility.written(self.readme, releases)

    def test_marks_are_needed(self):
        with self.assertRaisesRegex(ValueError, "marks"):
            compatibility.written("before\nafter\n", [FOUND])

    def test_the_readme_has_every_way(self):
        with open("README.md", encoding="utf-8") as file:
            rows = compatibility.read_rows(file.read())
        for release in ("Debian 12", "Debian 13", "Debian forky"):
            ways = [row[2] for row in rows if row[0] == release and row[1].startswith("Dovecot")]
            self.assertEqual(len(ways), len(compatibility.WAYS), release)
            for server, way in compatibility.WAYS.values():
                self.assertTrue(any(text.startswith(server) and text.endswith(f", {way}") for text in ways), way)
