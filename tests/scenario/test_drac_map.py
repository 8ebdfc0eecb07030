"""A map in the place of DRAC's file: its keys, its values, its pages; and that renewals do not write it."""
import os
import struct
import time
import unittest

import map_types
import old_database
from dracd_box import Case, fields

LONGEST = 7200


@unittest.skipUnless(old_database.is_built(), "built without Berkeley DB")
class DracMap(Case):
    config = f"lease_time = 10min\nlease_time_max = {LONGEST}s\n"

    def setUp(self):
        super().setUp()
        text = "".join(f'map {kind} {{ type = {kind} keys = drac value = deadline page_size = 512 '
                       f'path = "{self.dracd.path("state/" + kind)}" }}\n' for kind in old_database.KINDS)
        self.dracd.write_config(self.config + text)
        self.assertEqual(self.dracd.control("reload")[-1], "OK reloaded")

    def file(self, kind):
        return self.dracd.path(f"state/{kind}.db")

    def test_keys_values_and_pages(self):
        begin = int(time.time())
        for address in ("203.0.113.9", "2001:db8::9", "::ffff:203.0.113.10"):
            self.assertIn("published=yes", self.dracd.login(address, "user=bob service=imap wait_ms=5000"))
        end = int(time.time())
        for kind in old_database.KINDS:
            with self.subTest(kind):
                rows = map_types.rows(kind, self.file(kind))
                self.assertEqual(set(rows), {"203.0.113.9", "203.0.113.10", "2001:db8::9",
                                             "ipv6:2001:db8:0:0:0:0:0:9"})
                for value in rows.values():
                    self.assertRegex(value, r"^\d{10}$")
                    self.assertTrue(begin + LONGEST <= int(value) <= end + LONGEST, value)
                with open(self.file(kind), "rb") as file:
                    self.assertEqual(struct.unpack_from("=I", file.read(512), 20)[0], 512)

    def test_a_renewal_does_not_write_it_and_it_compares_as_the_same(self):
        self.dracd.login("203.0.113.9", "user=bob service=imap wait_ms=5000")
        before = {kind: (os.stat(self.file(kind)).st_ino, map_types.rows(kind, self.file(kind)))
                  for kind in old_database.KINDS}
        second = int(time.time())
        self.dracd.wait_for(lambda: int(time.time()) > second, "another second")
        self.assertIn("OK renewed", self.dracd.login("203.0.113.9", "user=eve service=imap wait_ms=5000"))
        for line in self.dracd.control("maps verify=yes")[:-1]:
            self.assertEqual(fields(line)["verified"], "same", line)
        self.assertEqual(before, {kind: (os.stat(self.file(kind)).st_ino, map_types.rows(kind, self.file(kind)))
                                  for kind in old_database.KINDS})

    def test_the_end_of_a_lease_takes_its_row_whatever_the_value_says(self):
        self.dracd.login("203.0.113.9", "user=bob service=imap ttl_ms=1000 wait_ms=5000")
        self.dracd.login("2001:db8::9", "user=bob service=imap wait_ms=5000")
        self.dracd.wait_for_log("ended 203.0.113.9")
        wanted = {"2001:db8::9", "ipv6:2001:db8:0:0:0:0:0:9"}
        for kind in old_database.KINDS:
            self.dracd.wait_for(lambda k=kind: set(map_types.rows(k, self.file(k))) == wanted, "the end in the map")


if __name__ == "__main__":
    unittest.main()
