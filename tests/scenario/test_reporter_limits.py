"""What one reporter can take, whatever it reports: drac.conf(5), reporter NAME { ... }."""
import os
import signal
import time
import unittest

from dracd_box import Case, fields

MAX, RATE, FLOOD = 3, 5, 200
SECONDS = 60 * 1000


class Limited(Case):
    """The account of the tests is the reporter; the administrator is not one."""
    limits = ""

    def setUp(self):
        self.config = f"reporter {os.getuid()} {{ {self.limits} }}\n"
        super().setUp()

    def verb(self, address, words="user=bob@x.net service=imap"):
        return " ".join(self.dracd.login(address, words).split(" ")[:2])

    def told(self):
        """Of the reporter, by status."""
        lines = [fields(line) for line in self.dracd.control("status") if line.startswith("reporter ")]
        return next(line for line in lines if line["name"] == str(os.getuid()))

    def refused(self, reason):
        """So many logins, by status."""
        line = next(line for line in self.dracd.control("status") if line.startswith("logins "))
        return int(fields(line).get(f"refused_{reason}", 0))


class Leases(Limited):
    limits = f"max_leases = {MAX}"
    FULL = "NO reason=max_leases_per_reporter"

    def fill(self):
        for n in range(MAX):
            self.assertEqual(self.verb(f"203.0.113.{n}", f"user=user{n}"), "OK granted")

    def test_so_many_and_no_more(self):
        self.fill()
        answer = self.dracd.login("203.0.113.9", "user=bob")
        self.assertEqual(answer, f"{self.FULL} address=203.0.113.9 hint=reporter")
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertEqual(self.verb("203.0.113.1", "user=bob"), "OK renewed", "what it has may last")
        self.assertEqual(self.told()["leases"], str(MAX))
        self.assertEqual(self.told()["limit"], str(MAX))
        self.assertEqual(self.refused("max_leases_per_reporter"), 1)
        self.dracd.wait_for_log("refused 203.0.113.9 user=bob reason=max_leases_per_reporter")

    def test_others_have_their_place(self):
        self.fill()
        self.assertTrue(self.dracd.control("add address=203.0.113.20")[0].startswith("OK granted"))
        self.assertTrue(self.dracd.admits("203.0.113.20"))

    def test_it_can_not_renew_what_others_have_granted(self):
        added = f"add address=203.0.113.20 ttl_ms={10 * SECONDS}"
        self.assertTrue(self.dracd.control(added)[0].startswith("OK granted"))
        self.fill()
        self.assertEqual(self.verb("203.0.113.20"), self.FULL)
        left = int(fields(self.dracd.control("check address=203.0.113.20")[0])["left_ms"])
        self.assertLessEqual(left, 10 * SECONDS, "the lease is as it was")

    def test_it_can_not_prolong_the_sessions_of_others(self):
        for address, grant in (("203.0.113.20", lambda line: self.dracd.control(f"add {line}")[0]),
                               ("203.0.113.21", lambda line: self.dracd.login(line.split()[0][8:], line.split(" ", 1)[1]))):
            words = f"address={address} user=bob service=imap"
            self.assertTrue(grant(f"{words} ttl_ms={SECONDS}").startswith("OK granted"))
            with self.dracd.stream("report") as report:
                told = report.ask(f"renew {words}")
            left = int(fields(self.dracd.control(f"check address={address}")[0])["left_ms"])
            if address == "203.0.113.21":  # its own
                self.assertTrue(told.startswith("OK renewed"), told)
                self.assertGreater(left, SECONDS)
            else:
                self.assertTrue(told.startswith(self.FULL), told)
                self.assertLessEqual(left, SECONDS)
        with self.dracd.stream("report") as report:
            told = report.ask("renew address=203.0.113.22 user=bob service=imap")
        self.assertTrue(told.startswith("NO reason=no_lease"), told)

    def test_what_others_take_over_is_no_longer_its(self):
        self.fill()
        self.dracd.control("add address=203.0.113.0")
        self.assertEqual(self.told()["leases"], str(MAX - 1))
        self.assertEqual(self.verb("203.0.113.9"), "OK granted")

    def test_what_lasts_by_it_is_its_whoever_reports_it_later(self):
        """Else it could have one last for long, and go on to the next."""
        for n in range(MAX):
            self.assertEqual(self.verb(f"203.0.113.{n}", f"user=u{n} ttl_ms={3600 * SECONDS}"), "OK granted")
        self.dracd.control(f"add address=203.0.113.0 ttl_ms={10 * SECONDS}")
        self.assertEqual(self.told()["leases"], str(MAX))
        self.assertEqual(self.verb("203.0.113.9"), self.FULL)

    def test_it_has_not_forgotten_after_a_kill(self):
        self.fill()
        self.dracd.stop(signal.SIGKILL)
        self.dracd.start()
        self.assertEqual(self.told()["leases"], str(MAX))
        self.assertEqual(self.verb("203.0.113.9"), self.FULL)

    def test_what_is_over_makes_room(self):
        for n in range(MAX):
            self.assertEqual(self.verb(f"203.0.113.{n}", f"user=u{n} ttl_ms=1000"), "OK granted")
        self.assertEqual(self.verb("203.0.113.9"), self.FULL)
        self.dracd.wait_for(lambda: self.verb("203.0.113.9") == "OK granted", "room")

    def test_revoked_ones_make_room(self):
        self.fill()
        self.dracd.control("revoke address=203.0.113.0")
        self.assertEqual(self.verb("203.0.113.9"), "OK granted")

    def test_a_reload_changes_it(self):
        self.fill()
        self.dracd.write_config(f"reporter {os.getuid()} {{ max_leases = {MAX + 1} }}\n")
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertEqual(self.verb("203.0.113.9"), "OK granted")
        self.assertEqual(self.verb("203.0.113.10"), self.FULL)


class Rate(Limited):
    limits = f"max_rate = {RATE}"
    SLOWLY = "NO reason=max_rate"

    def flood(self, line):
        """How many of FLOOD requests at once are let through, and how many could be."""
        begun = time.monotonic()
        with self.dracd.stream("report") as report:
            report.send(f"{line}\n" * FLOOD)
            answers = [report.line() for _ in range(FLOOD)]
        passed = [answer for answer in answers if not answer.startswith(self.SLOWLY)]
        self.assertIn(f"{self.SLOWLY} address=203.0.113.9 hint=reporter", answers)
        return len(passed), 1 + RATE * (1 + time.monotonic() - begun)

    def test_so_many_a_second(self):
        passed, most = self.flood("login address=203.0.113.9 user=bob service=imap")
        self.assertGreaterEqual(passed, RATE, "a second's worth at once")
        self.assertLessEqual(passed, most)
        self.assertEqual(self.refused("max_rate"), FLOOD - passed)
        self.assertTrue(self.dracd.admits("203.0.113.9"), "others are answered")
        self.assertTrue(self.dracd.control("add address=203.0.113.20")[0].startswith("OK granted"))
        self.dracd.wait_for(lambda: self.verb("203.0.113.9") == "OK renewed", "the bucket to have something")

    def test_the_log_is_not_flooded(self):
        self.flood("login address=203.0.113.9 user=bob service=imap")
        self.flood("login address=203.0.113.9 user=bob service=imap")
        log = self.dracd.text()
        self.assertEqual(log.count(f"limited reporter={os.getuid()} refused=1 max_rate={RATE} "), 1, log)
        self.assertEqual(log.count("max_rate"), 1, log)

    def test_renewals_are_counted_too(self):
        self.verb("203.0.113.9", "user=bob service=imap")
        passed, most = self.flood("renew address=203.0.113.9 user=bob service=imap")
        self.assertLessEqual(passed, most)


class Time(Limited):
    limits = "lease_time_max = 2min"

    def left(self, address):
        return int(fields(self.dracd.control(f"check address={address}")[0])["left_ms"])

    def test_no_longer_than_that(self):
        for n, words in enumerate(("", f"ttl_ms={10 * SECONDS}", "service=imap")):
            self.assertEqual(self.verb(f"203.0.113.{n}", words), "OK granted")
            self.assertLessEqual(self.left(f"203.0.113.{n}"), 2 * SECONDS, words)
        self.dracd.control(f"add address=203.0.113.20 ttl_ms={10 * SECONDS}")
        self.assertGreater(self.left("203.0.113.20"), 9 * SECONDS)


if __name__ == "__main__":
    unittest.main()
