"""The recipes of the README and of drac-postlogin(8) are those that the interop tests run, to the letter."""

import re
import subprocess
import unittest

import dracctl_box
from tests.site import dovecot, exim, old_drac, postfix, recipes, sendmail, site


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

    def test_exim(self):
        for text in exim.RECIPES.values():
            self._has(text)

    def test_from_drac(self):
        self._has("\n" + old_drac.MAP)
        self._has("\n" + old_drac.LINK)
        self._has("\n" + old_drac.UNDO)
        for line in old_drac.FORGET.splitlines():
            self._has(line)

    def test_packages(self):
        """What tests/packages installs to build with, but for what the tests alone need."""
        wanted = subprocess.run(["tests/packages", "list"], stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
        told = re.search(r"^apt-get install (.*)$", self.readme, re.MULTILINE)[1].split()
        for name in wanted.split():
            if name in ("gcc", "pkg-config", "rpcsvc-proto") or (name.startswith("lib") and name.endswith("-dev")):
                self.assertTrue(name in told or name in ("libc6-dev", "libcmocka-dev"), name)

    def test_maps(self):
        for line in (site.LOOKUPS_AND_MAPS + site.EXIM).splitlines():
            if line.startswith("map "):
                self._has(line + "\n")


def status_lines():
    """What a dracd with the lookups and maps of the site says of them."""
    lines = ["dracd version=1 state=ok mode=enforce up_ms=1"]
    for line in (site.LOOKUPS_AND_MAPS + site.EXIM + "".join(site.FORMATS.values())).splitlines():
        words = line.replace("=", " ").replace('"', " ").split()
        values = dict(zip(words[3:-1:2], words[4:-1:2]))
        extra = "".join(f" {key}={value}" for key, value in values.items())
        lines.append(f"{words[0]} name={words[1]}{extra}")
    return "\n".join(lines + ["OK"]) + "\n"


class Printed(dracctl_box.Dracctl):
    """dracctl recipe prints the same texts, for whatever paths dracd has."""

    def test_the_texts_are_those_that_are_tested(self):
        for name, text in recipes.tested().items():
            with self.subTest(name):
                self.assertEqual(self.run_program("recipe", name, answer=status_lines()), 0)
                self.assertEqual(recipes.text_of(self.out), text)

    def test_names_that_apply(self):
        self.assertEqual(self.run_program("recipe", answer=status_lines()), 0)
        self.assertEqual([line.split()[0] for line in self.out.splitlines()],
                         sorted(recipes.tested(), key=list(
                             line.split()[0] for line in self.out.splitlines()).index))
        self.assertEqual({line.split()[0] for line in self.out.splitlines()}, set(recipes.tested()))
        only = "dracd version=1 state=ok\nlookup name=a protocol=policy path=/x/y\nOK\n"
        self.assertEqual(self.run_program("recipe", answer=only), 0)
        self.assertEqual([line.split()[0] for line in self.out.splitlines() if line[0] != "d"], ["postfix-policy"])

    def test_other_paths(self):
        status = ("dracd version=1 state=ok\n"
                  "lookup name=s protocol=socketmap path=/run/a/s\n"
                  "lookup name=p protocol=socketmap path=/var/spool/postfix/b/p\n"
                  "map name=x type=btree keys=sendmail path=/m/x\nmap name=y type=btree keys=postfix path=/m/y\n"
                  "map name=z type=hash keys=access path=/m/other\nmap name=z type=hash keys=access path=/m/access\n"
                  "OK\n")
        for name, part in (("postfix-socketmap", "    check_client_access socketmap:unix:b/p:drac\n"),
                           ("sendmail-socket", "FEATURE(`drac', `socket -o unix:/run/a/s')dnl\n"),
                           ("sendmail-btree", "FEATURE(`drac', `btree -o /m/x')dnl\n"),
                           ("postfix-btree", "    check_client_access btree:/m/y\n"),
                           ("sendmail-sequence", "Kaccleases hash -o -T<TMPF> /m/other\n"),
                           ("sendmail-access", "pushdef(`MAIL_SETTINGS_DIR', `/m/')dnl\n")):
            with self.subTest(name):
                self.assertEqual(self.run_program("recipe", name, answer=status), 0)
                self.assertIn(part, self.out)

    def test_what_is_not_there(self):
        """Then what to do is said, as the README says it."""
        with open("README.md", encoding="utf-8") as file:
            readme = file.read()
        for name in recipes.tested():
            if name.startswith("dovecot"):
                continue
            with self.subTest(name):
                self.assertEqual(self.run_program("recipe", name, answer="dracd version=1 state=ok\nOK\n"), 1)
                self.assertEqual(self.out, "")
                self.assertTrue(self.err.startswith(f"dracctl: recipe {name}: dracd has no "), self.err)
                for line in self.err.splitlines():
                    if line.startswith(("lookup ", "map ", "usermod ", "install ", "systemctl ")):
                        self.assertTrue(line in readme or line.startswith("lookup "), line)

    def test_without_dracd_and_without_such_a_recipe(self):
        self.assertEqual(self.run_program("recipe", "postfix-policy"), 3)
        self.assertIn("dracd is not running", self.err)
        self.assertEqual(self.run_program("recipe"), 3)
        self.assertEqual(self.run_program("recipe", "exim"), 2)
        self.assertIn("no such recipe: exim; there are dovecot-2.3, ", self.err)
        self.assertEqual(self.run_program("recipe", "a", "b"), 2)


if __name__ == "__main__":
    unittest.main()
