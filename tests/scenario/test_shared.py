"""Many users behind one address: the log names each, and log and status warn once."""
import unittest

from dracd_box import Case, fields

USERS = 5


class Shared(Case):
    config = f"warn_users_per_address = {USERS}\n"

    def warnings(self):
        return [fields(line)["text"] for line in self.dracd.control("status") if line.startswith("warning ")]

    def test_warning(self):
        for n in range(USERS - 1):
            self.dracd.login("203.0.113.9", f"user=user{n}")
        self.assertEqual(self.warnings(), [])
        self.assertIn("state=ok", self.dracd.control("status")[0])
        for n in range(USERS - 1, USERS + 3):
            self.dracd.login("203.0.113.9", f"user=user{n}")
        self.assertEqual(len(self.warnings()), 1)
        self.assertTrue(self.warnings()[0].startswith(f"203.0.113.9%20has%20{USERS + 3}%20users"), self.warnings())
        self.assertIn("state=warning", self.dracd.control("status")[0])
        self.assertEqual(self.dracd.text().count("shared 203.0.113.9 users="), 1, "said once")
        for n in range(USERS + 3):
            self.assertRegex(self.dracd.text(), rf"(granted|renewed) 203.0.113.9 user=user{n} ")
        self.dracd.control("revoke address=203.0.113.9")
        self.assertEqual(self.warnings(), [])


if __name__ == "__main__":
    unittest.main()
