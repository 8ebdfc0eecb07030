"""Leases of users whose mail session lasts: `renew` on the report socket, and dracctl's use of it."""
import os
import subprocess
import unittest

from dracd_box import PATIENCE, Case, Dracd, fields

DRACCTL = os.path.abspath(os.path.join(os.environ.get("B", "build/out"), "client", "dracctl"))
HEADER = "username\tproto\tpid\tip\n"
LEASE_MS = 1800000


class Sessions(Case):
    def ask(self, line):
        with self.dracd.stream("report") as report:
            return report.ask(line)

    def lease(self, address):
        """The row of `list`, None if there is none."""
        for line in self.dracd.control("list"):
            if fields(line).get("address") == address:
                return fields(line)
        return None

    def dracctl(self, text, *options):
        """Exit status, output and error output of dracctl renew -."""
        done = subprocess.run([DRACCTL, "-s", self.dracd.path("report"), "renew", "-", *options],
                              input=text, capture_output=True, encoding="utf-8", timeout=PATIENCE)
        return done.returncode, done.stdout, done.stderr


class Renewals(Sessions):
    def test_a_live_lease_is_extended_and_nothing_else_of_it_changes(self):
        before = fields(self.dracd.login("203.0.113.9", "user=bob service=imap ttl_ms=60000"))
        row = self.lease("203.0.113.9")
        answer = self.ask("renew address=203.0.113.9 user=bob service=imap")
        self.assertTrue(answer.startswith("OK renewed address=203.0.113.9 "), answer)
        after = fields(answer)
        self.assertGreaterEqual(int(after["boot_ms"]), int(before["boot_ms"]) - 60000 + LEASE_MS)
        self.assertNotIn("published", after)
        now = self.lease("203.0.113.9")
        self.assertEqual(now["until_ms"], after["until_ms"])
        for same in ("users", "user", "service", "logins", "granted_ms"):
            self.assertEqual(now[same], row[same])
        status = next(fields(line) for line in self.dracd.control("status") if line.startswith("logins "))
        self.assertEqual((status["granted"], status["renewed"], status["refused"]), ("1", "0", "0"))
        self.dracd.wait_for_log("renewed 203.0.113.9 user=bob service=imap until=")

    def test_never_shortened(self):
        first = fields(self.dracd.login("203.0.113.9", "user=bob service=imap ttl_ms=7200000"))
        again = fields(self.ask("renew address=203.0.113.9 user=bob service=imap"))
        self.assertEqual(again["boot_ms"], first["boot_ms"])

    def test_no_lease_is_granted(self):
        self.assertEqual(self.ask("renew address=203.0.113.9 user=bob service=imap"),
                         "NO reason=no_lease address=203.0.113.9")
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.dracd.login("203.0.113.9", "user=bob service=imap")
        self.assertEqual(self.ask("renew address=203.0.113.9 user=eve service=imap"),
                         "NO reason=no_lease address=203.0.113.9")
        self.assertEqual(self.ask("renew address=203.0.113.10 user=bob service=imap"),
                         "NO reason=no_lease address=203.0.113.10")
        # that is no refused login: check does not tell of it, and no info line does
        self.assertNotIn("refused_reason", " ".join(self.dracd.control("check address=203.0.113.10")))

    def test_what_was_revoked_is_not_brought_back(self):
        for request in ("address=203.0.113.9", "address=203.0.113.9 hold_ms=0", "user=bob",
                        "user=bob hold_ms=0"):
            with self.subTest(request):
                self.dracd.login("203.0.113.9", "user=bob service=imap")
                self.assertTrue(self.dracd.admits("203.0.113.9"))
                self.dracd.control("revoke " + request)
                answer = self.ask("renew address=203.0.113.9 user=bob service=imap")
                self.assertTrue(answer.startswith("NO reason="), answer)
                self.assertFalse(self.dracd.admits("203.0.113.9"))
                self.dracd.control("unblock " + request.split(" ")[0])
        # one of two users: the other's session keeps the lease, his does not
        self.dracd.login("203.0.113.9", "user=bob service=imap")
        self.dracd.login("203.0.113.9", "user=eve service=imap")
        self.dracd.control("revoke user=bob hold_ms=0")
        self.assertTrue(self.ask("renew address=203.0.113.9 user=eve service=imap").startswith("OK"))
        self.assertEqual(self.ask("renew address=203.0.113.9 user=bob service=imap"),
                         "NO reason=no_lease address=203.0.113.9")

    def test_judged_as_a_login(self):
        self.dracd.login("203.0.113.9", "user=bob service=imap")
        self.assertEqual(self.ask("renew address=203.0.113.9 user=bob service=submission"),
                         "NO reason=service address=203.0.113.9 hint=service")
        self.assertEqual(self.ask("renew address=10.0.0.1 user=bob service=imap"),
                         "NO reason=private address=10.0.0.1 hint=lease_special")
        for bad in ("renew address=203.0.113.9 user=bob", "renew address=203.0.113.9 service=imap",
                    "renew address=203.0.113.9 user=bob service=imap ttl_ms=1"):
            self.assertTrue(self.ask(bad).startswith("ERR reason=syntax"), bad)
        self.assertTrue(self.dracd.control("renew address=203.0.113.9 user=bob service=imap")[-1]
                        .startswith("ERR"))

    def test_mapped_address(self):
        self.dracd.login("203.0.113.9", "user=bob service=imap")
        self.assertTrue(self.ask("renew address=::ffff:203.0.113.9 user=bob service=imap")
                        .startswith("OK renewed address=203.0.113.9 "))


class Networks(Sessions):
    config = "ipv6_prefix = 64\nservice pop3 { lease = yes lease_time = 120m }\n"

    def test_the_lease_of_a_network_and_the_time_of_a_service(self):
        self.dracd.login("2001:db8:1:2::5", "user=bob service=imap")
        answer = self.ask("renew address=2001:db8:1:2::6 user=bob service=pop3")
        self.assertTrue(answer.startswith("OK renewed address=2001:db8:1:2::/64 "), answer)
        self.assertGreater(int(fields(answer)["left_ms"]), 7100000)


@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Map(Sessions):
    config = 'map m {{ type = hash keys = postfix path = "{dir}/state/m" }}\n'

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        self.dracd.write_config(self.config.format(dir=self.dracd.directory))
        self.dracd.start()

    def map_file(self):
        status = os.stat(self.dracd.path("state/m.db"))
        return status.st_ino, status.st_mtime_ns

    def test_a_renewal_is_no_work_for_a_map_and_outlives_the_old_end(self):
        old = fields(self.dracd.login("203.0.113.9", "user=bob service=imap ttl_ms=1500 wait_ms=5000"))
        self.assertEqual(old["published"], "yes")
        written = self.map_file()
        self.assertTrue(self.ask("renew address=203.0.113.9 user=bob service=imap").startswith("OK"))
        # the end of a lease that was not renewed tells when the old end is past for the map too
        self.dracd.login("203.0.113.10", "user=eve service=imap ttl_ms=1500 wait_ms=5000")
        self.assertNotEqual(self.map_file(), written)
        self.dracd.wait_for_log("ended 203.0.113.10")
        self.dracd.wait_for(lambda: "entries=1 " in self.dracd.control("maps")[0], "the end in the map")
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.assertFalse(self.dracd.admits("203.0.113.10"))
        written = self.map_file()
        self.assertTrue(self.ask("renew address=203.0.113.9 user=bob service=imap").startswith("OK"))
        self.dracd.control("maps")
        self.assertEqual(self.map_file(), written)


class Command(Sessions):
    def test_each_session_finds_its_lease(self):
        for n in range(200):
            self.dracd.login(f"198.51.100.{n}", f"user=u{n} service=imap ttl_ms=60000")
        text = HEADER
        for n in range(200):
            text += f"u{n}\timap\t{n}\t198.51.100.{n}\n" * (1 + n % 2)
        text += "eve\timap\t900\t203.0.113.1\neve\tsubmission\t901\t198.51.100.1\n\timap\t902\t\n"
        self.assertEqual(self.dracctl(text),
                         (0, "renewed the leases of 300 of 303 sessions (1 without a lease, 1 refused, "
                             "1 without an address or user)\n", ""))
        for line in self.dracd.control("list")[:-1]:
            self.assertGreater(int(fields(line)["left_ms"]), 1700000)
        self.assertEqual(self.dracctl(text, "--quiet"), (0, "", ""))
        self.assertEqual(self.dracctl(HEADER), (0, "renewed the leases of 0 of 0 sessions\n", ""))

    def test_columns_of_dovecot_2_4_and_a_file(self):
        self.dracd.login("2001:db8::9", "user=b%C3%B6b%20b service=imap ttl_ms=60000")
        path = self.dracd.path("who")
        with open(path, "w", encoding="utf-8") as file:
            file.write("username\tservice\tpid\tip\tdest_ip\nböb b\timap\t1\t2001:db8::9\t2001:db8::25\n")
        done = subprocess.run([DRACCTL, "-s", self.dracd.path("report"), "renew", path],
                              capture_output=True, encoding="utf-8", timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "renewed the leases of 1 of 1 sessions\n", ""))

    def test_malformed_input_renews_nothing(self):
        before = fields(self.dracd.login("203.0.113.9", "user=bob service=imap ttl_ms=60000"))["until_ms"]
        good = "bob\timap\t1\t203.0.113.9\n"
        for text, problem in (("", "line 1: there is no header"),
                              ("doveadm: Fatal: no such command\n", "line 1: this is no header"),
                              (HEADER + good + "bob\timap\n", "line 3: it has not as many columns"),
                              (HEADER + good + "bob\timap\t1\t203.0.1", "line 3: it is not whole"),
                              (HEADER + good + "bob\timap\t1\tnowhere\n", "line 3: its ip is not")):
            with self.subTest(problem):
                status, out, err = self.dracctl(text)
                self.assertEqual((status, out), (2, ""))
                self.assertIn(problem, err)
                self.assertEqual(err.count("\n"), 1)
        self.assertEqual(self.lease("203.0.113.9")["until_ms"], before)

    def test_a_user_that_cannot_be_is_refused_and_the_others_are_not(self):
        self.dracd.login("203.0.113.9", "user=bob service=imap ttl_ms=60000")
        text = HEADER + "x" * 300 + "\timap\t1\t203.0.113.9\n" + "y" * 3000 + "\timap\t1\t203.0.113.9\n" \
            + "bob\tIMAP%\t1\t203.0.113.9\nbob\timap\t2\t203.0.113.9\n"
        self.assertEqual(self.dracctl(text), (0, "renewed the leases of 1 of 4 sessions (3 refused)\n", ""))

    def test_dracd_is_not_there(self):
        self.dracd.stop()
        status, out, err = self.dracctl(HEADER + "bob\timap\t1\t203.0.113.9\n")
        self.assertEqual((status, out), (3, ""))
        self.assertIn("dracd is not running", err)


class NoReporter(Sessions):
    config = 'reporters = {"65533"}\n'

    def test_not_among_the_reporters(self):
        rows = "".join(f"u{n}\timap\t{n}\t203.0.113.9\n" for n in range(300))
        status, out, err = self.dracctl(HEADER + rows)
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, "dracctl: not permitted: this account is not among the reporters of drac.conf\n")
