"""bash completion of dracctl, in a real bash that has nothing else, with a real dracd to ask."""
import os
import subprocess
import unittest

from dracctl_box import DRACCTL, PATIENCE
from dracd_box import Dracd

COMPLETION = os.path.abspath("packaging/dracctl.bash-completion")
# What bash does at a Tab: it cuts the line at COMP_WORDBREAKS, calls the function, takes COMPREPLY.
DRIVER = r"""
. "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9 COMP_KEY=9
complete -p dracctl >/dev/null || exit 1
IFS=' ' read -r -a COMP_WORDS <<<"$2"
[[ $2 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_dracctl dracctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""
COMMANDS = {"status", "list", "check", "add", "revoke", "unblock", "blocks", "flush", "reload", "renew", "recipe",
            "maps", "import-drac"}


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dracd = Dracd()
        cls.addClassCleanup(cls.dracd.remove)
        cls.dracd.start()
        for address in ("203.0.113.9", "203.0.113.10", "198.51.100.7", "2001:db8:1::9", "2001:db8:2::9"):
            cls.dracd.login(address)
        cls.dracd.control("revoke address=198.51.100.7 hold_ms=60000")
        cls.dracd.control("revoke user=$(>" + cls.dracd.path("touched") + ").x hold_ms=60000")

    def offers(self, line):
        """What is offered behind the line, which names the test's own socket."""
        whole = line.replace("dracctl ", f"dracctl -s {self.dracd.path('control')} ", 1)
        done = subprocess.run(["bash", "--norc", "--noprofile", "-c", DRIVER, "bash", COMPLETION, whole],
                              capture_output=True, encoding="utf-8", timeout=PATIENCE, stdin=subprocess.DEVNULL,
                              env={"PATH": os.path.dirname(DRACCTL) + ":/usr/bin:/bin"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        got = done.stdout.split()
        self.assertEqual(len(got), len(set(got)))
        return set(got)

    def test_commands(self):
        self.assertEqual(self.offers("dracctl "), COMMANDS | {"--json", "--help", "--version"})
        self.assertEqual(self.offers("dracctl re"), {"revoke", "reload", "renew", "recipe"})
        self.assertEqual(self.offers("dracctl --json st"), {"status"})
        self.assertEqual(self.offers("dracctl x"), set())

    def test_options_are_those_of_the_command(self):
        self.assertEqual(self.offers("dracctl list --"), {"--user", "--service", "--expiring", "--json"})
        self.assertEqual(self.offers("dracctl revoke 203.0.113.9 --"), {"--user", "--hold", "--reason"})
        self.assertEqual(self.offers("dracctl flush -"), {"--yes"})
        self.assertEqual(self.offers("dracctl list --user "), set())
        self.assertEqual(self.offers("dracctl list --service "), {"imap", "pop3"})

    def test_addresses(self):
        self.assertEqual(self.offers("dracctl check 203."), {"203.0.113.9", "203.0.113.10"})
        self.assertEqual(self.offers("dracctl revoke 203.0.113.1"), {"203.0.113.10"})
        self.assertEqual(self.offers("dracctl unblock 198"), {"198.51.100.7"})
        # bash replaces only what stands behind the last colon
        self.assertEqual(self.offers("dracctl check 2001:db8:"), {"1::9", "2::9"})
        self.assertEqual(self.offers("dracctl check 2001:db8:2:"), {":9"})
        self.assertEqual(self.offers("dracctl check 20"), {"203.0.113.9", "203.0.113.10", "2001:db8:1::9",
                                                           "2001:db8:2::9"})

    def test_names_of_users_are_neither_offered_nor_run(self):
        self.assertIn("touched).x", "\n".join(self.dracd.control("blocks")))
        self.assertNotIn(".x", " ".join(self.offers("dracctl unblock ")))
        self.assertFalse(os.path.exists(self.dracd.path("touched")))

    def test_recipes(self):
        self.assertEqual(self.offers("dracctl recipe p"), {"postfix-policy"})
        self.assertEqual(self.offers("dracctl recipe dovecot-2.3"), {"dovecot-2.3", "dovecot-2.3-script"})

    def test_maps(self):
        self.assertEqual(self.offers("dracctl maps --"), {"--rebuild", "--verify", "--json"})
        self.assertEqual(self.offers("dracctl maps "), set())
        self.dracd.write_config(f'map exim {{ type = iplsearch path = "{self.dracd.path("list")}" }}')
        self.dracd.control("reload")
        for words in ("", "--rebuild ", "--verify ", "--json "):
            self.assertEqual(self.offers(f"dracctl maps {words}"), {"exim"})

    def test_files(self):
        for command in ("renew", "import-drac"):
            self.assertEqual(self.offers(f"dracctl {command} {self.dracd.path('drac.c')}"),
                             {self.dracd.path("drac.conf")})

    def test_without_dracd_nothing_is_said(self):
        self.assertEqual(self.offers("dracctl -s /nonexistent check "), set())


if __name__ == "__main__":
    unittest.main()
