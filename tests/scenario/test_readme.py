"""The recipes of the README and of drac-postlogin(8) are those that the interop tests run, to the letter."""

import unittest

from tests.site import dovecot, postfix, sendmail, site


class Recipes(unittest.TestCase):
    """Each recipe is in the README."""

    @classmethod
    def setUpClass(cls):
        with open("README.md", encoding="utf-8") as file:
            cls.readme = file.read()

    def _has(self, text):
        self.assertTrue(text in self.readme, f"not in README.md:\n{text}")

    def test_dovecot(self):
        for mode in dovecot.PORTS:
            self._has(dovecot.recipe(mode))

    def test_dovecot_in_the_manual(self):
        with open("client/drac-postlogin.8", encoding="utf-8") as file:
            manual = file.read()
        for mode in dovecot.PORTS:
            block = f".Bd -literal\n{dovecot.recipe(mode, protocols=('imap',))}.Ed\n"
            self.assertTrue(block in manual, f"not in drac-postlogin.8:\n{block}")

    def test_postfix(self):
        policy = postfix.RESTRICTIONS.replace("@ASK@", postfix.ASK["policy"])
        self._has("smtpd_relay_restrictions =\n" + policy)
        for line in postfix.ASK.values():
            self._has(line + "\n")

    def test_sendmail(self):
        for line in sendmail.RECIPES.values():
            self._has(line)

    def test_maps(self):
        for line in site.LOOKUPS_AND_MAPS.splitlines():
            if line.startswith("map "):
                self._has(line + "\n")
