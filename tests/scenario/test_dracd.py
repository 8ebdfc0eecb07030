"""dracd as its clients see it: logins, questions, orders, ends, and what survives its death."""
import os
import signal
import subprocess
import time
import unittest

from dracd_box import DRACD, Case, Dracd, fields


class Logins(Case):
    def test_login_opens_and_its_answer_says_until_when(self):
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        before = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
        answer = self.dracd.login("203.0.113.9")
        self.assertTrue(answer.startswith("OK granted address=203.0.113.9 "), answer)
        deadline = int(fields(answer)["boot_ms"])
        self.assertGreaterEqual(deadline, before + 1800000 - 1)
        self.assertLess(deadline, before + 1800000 + 5000)
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.assertFalse(self.dracd.admits("203.0.113.8"))
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK renewed "))
        self.dracd.wait_for_log("granted 203.0.113.9 user=bob@x.net service=imap until=")

    def test_mapped_address_is_its_ipv4_address(self):
        self.dracd.login("::ffff:203.0.113.9")
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.assertTrue(self.dracd.admits("::ffff:203.0.113.9"))

    def test_ipv6_in_all_spellings(self):
        self.dracd.login("2001:DB8:0:0:0:0:0:7")
        for key in ("2001:db8::7", "ipv6:2001:db8:0:0:0:0:0:7", "IPv6:2001:DB8::7"):
            self.assertEqual(self.dracd.socketmap(key), "5:OK OK")
        self.assertEqual(self.dracd.policy("2001:db8::7"), "action=OK")
        self.assertEqual(self.dracd.policy("2001:db8::8"), "action=DUNNO")

    def test_refused(self):
        rows = {
            "login address=10.0.0.1": "NO reason=private address=10.0.0.1 hint=lease_special",
            "login address=0.0.0.0": "NO reason=unspecified address=0.0.0.0",
            "login address=255.255.255.255": "NO reason=broadcast address=255.255.255.255",
            "login address=203.0.113.9 local=203.0.113.9":
                "NO reason=client_is_local address=203.0.113.9",
            "login address=203.0.113.9 service=submission":
                "NO reason=service address=203.0.113.9 hint=service",
        }
        for request, answer in rows.items():
            with self.subTest(request), self.dracd.stream("report") as report:
                self.assertEqual(report.ask(request), answer)
        # own_address, unless there is no network at all, not even loopback
        self.assertRegex(self.dracd.login("127.0.0.1"), "^NO reason=(own_address|loopback) ")
        self.dracd.wait_for_log("refused 10.0.0.1 reason=private (to permit: lease_special)")
        self.assertFalse(self.dracd.admits("203.0.113.9"))

    def test_malformed_requests_get_one_error_and_the_next_is_answered(self):
        rows = ["", " ", "login", "LOGIN address=203.0.113.9", "login  address=203.0.113.9",
                "login address=203.0.113.9 ", "login address=203.0.113.9 address=203.0.113.9",
                "login address=203.0.113.9 user=%zz", "login address=203.0.113.9 user=%00",
                "login address=203.0.113.9 user=a\tb", "login address=203.0.113.9 color=red",
                "login =x", "login address=203.0.113.999", "logout address=203.0.113.9",
                "login address=203.0.113.9 ttl_ms=-1", "x" * 2000, "login " + "a " * 30]
        with self.dracd.stream("report") as report:
            for row in rows:
                with self.subTest(row[:40]):
                    self.assertTrue(report.ask(row).startswith("ERR reason=syntax text="))
                    self.assertEqual(report.ask("noop"), "OK")
            report.send(b"login address=203.0.113.9 user=\xff\xfe\n")
            self.assertTrue(report.line().startswith("ERR reason=syntax"))
        self.assertFalse(self.dracd.admits("203.0.113.9"))

    def test_line_that_is_too_long_closes(self):
        with self.dracd.stream("report") as report:
            report.send(b"x" * 5000)
            self.assertTrue(report.line().startswith("ERR reason=too_long"))
            self.assertTrue(report.at_end())

    def test_pipelined_requests_are_answered_in_order(self):
        with self.dracd.stream("report") as report:
            report.send("".join(
                f"login address=198.51.100.{n} user=u{n}\n" + "noop\n" * (n % 3) + "bad\n" * (n % 2)
                for n in range(200)))
            for n in range(200):
                self.assertEqual(fields(report.line())["address"], f"198.51.100.{n}")
                for _ in range(n % 3):
                    self.assertEqual(report.line(), "OK")
                for _ in range(n % 2):
                    self.assertTrue(report.line().startswith("ERR"))

    def test_each_request_has_one_answer_whether_dracd_is_idle_or_not(self):
        with self.dracd.stream("report") as one, self.dracd.stream("report") as other:
            for n in range(300):
                count = n % 3 + 1  # a single one may be answered by the store itself
                asked = [f"2001:db8::{n + 1:x}:{i + 1}" for i in range(count)]
                for report in (one, other) if n % 2 else (one,):
                    report.send("".join(f"login address={address} user=u{n}\n" for address in asked) + "noop\n")
                for report in (one, other) if n % 2 else (one,):
                    self.assertEqual([fields(report.line())["address"] for _ in asked], asked)
                    self.assertEqual(report.line(), "OK")
                self.assertTrue(self.dracd.admits(asked[0]))

    def test_reporters_that_leave_at_once_leave_nothing(self):
        def opened():
            return len(os.listdir(f"/proc/{self.dracd.process.pid}/fd"))

        before = opened()
        for n in range(300):
            with self.dracd.stream("report") as report:
                report.send(f"login address=2001:db8::{n:x}\n")
        self.dracd.wait_for_log("granted 2001:db8::12b ")
        self.dracd.wait_for(lambda: opened() <= before, "all descriptors closed")

    def test_half_closed_connection_gets_its_answers(self):
        with self.dracd.stream("report") as report:
            report.send("login address=203.0.113.9\nlogin address=203.0.113.10\n")
            report.socket.shutdown(1)
            self.assertTrue(report.line().startswith("OK granted"))
            self.assertTrue(report.line().startswith("OK granted"))
            self.assertTrue(report.at_end())

    def test_reporter_that_leaves_has_still_reported(self):
        with self.dracd.stream("report") as report:
            report.send("login address=203.0.113.9\n")
        self.dracd.wait_for_log("granted 203.0.113.9")
        self.assertTrue(self.dracd.admits("203.0.113.9"))

    def test_user_name_cannot_forge_a_log_line(self):
        self.dracd.login("203.0.113.9", 'user=a%20reason=x%22\\b')
        self.dracd.wait_for_log(r"granted 203.0.113.9 user=a\x20reason\x3dx\x22\x5cb until=")


class ForeignReporter(Case):
    config = 'reporters = {"65533"}\n'

    def test_account_that_is_no_reporter_is_refused(self):
        with self.dracd.stream("report") as report:
            self.assertTrue(report.ask("login address=203.0.113.9").startswith(
                "ERR reason=denied"))
            self.assertTrue(report.at_end())
        self.assertFalse(self.dracd.admits("203.0.113.9"))


class Ends(Case):
    config = "lease_time = 1s\n"

    def test_lease_ends_at_its_deadline_and_not_before(self):
        with self.dracd.stream("policy") as policy:
            deadline = int(fields(self.dracd.login("203.0.113.9"))["boot_ms"])
            while True:
                before = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
                policy.send("request=smtpd_access_policy\nclient_address=203.0.113.9\n\n")
                answer = policy.until(b"\n\n")
                after = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
                if answer != "action=OK":
                    break
                # asked after the deadline and admitted would be wrong; boot_ms is rounded down
                self.assertLessEqual(before, deadline + 1)
            self.assertGreaterEqual(after, deadline)
        self.dracd.wait_for_log("ended 203.0.113.9 reason=expired after=1s logins=1")
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertIn("leases count=0", "\n".join(self.dracd.control("status")))

    def test_own_time_of_a_reporter(self):
        answer = self.dracd.login("203.0.113.9", "ttl_ms=60000")
        self.assertGreater(int(fields(answer)["left_ms"]), 50000)


class Orders(Case):
    def test_revoke_keeps_out_until_unblocked(self):
        self.dracd.login("203.0.113.9")
        self.dracd.login("203.0.113.9", "user=eve service=pop3")
        answer = self.dracd.control("revoke address=203.0.113.9 reason=spam%20run")[-1]
        self.assertTrue(answer.startswith("OK revoked address=203.0.113.9 users=2 leases=1 "))
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("NO reason=revoked"))
        check = self.dracd.control("check address=203.0.113.9")[0]
        self.assertIn("reason=revoked", check)
        self.assertIn("text=spam%20run", check)
        self.assertEqual(self.dracd.control("unblock address=203.0.113.9"), ["OK unblocked"])
        self.assertEqual(self.dracd.control("unblock address=203.0.113.9"), ["NO reason=no_block"])
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"))

    def test_revoking_a_user_leaves_the_others_their_lease(self):
        self.dracd.login("203.0.113.9", "user=bob")
        self.dracd.login("203.0.113.9", "user=eve")
        self.dracd.login("203.0.113.10", "user=bob")
        self.dracd.control("revoke user=bob")
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.assertFalse(self.dracd.admits("203.0.113.10"))
        self.assertTrue(self.dracd.login("203.0.113.11", "user=bob").startswith(
            "NO reason=user_revoked"))
        self.assertTrue(self.dracd.login("203.0.113.11", "user=eve").startswith("OK granted"))

    def test_revocation_survives_kill(self):
        self.dracd.login("203.0.113.9")
        self.dracd.control("revoke address=203.0.113.9")
        self.dracd.stop(signal.SIGKILL)
        self.dracd.start()
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("NO reason=revoked"))

    def test_short_hold_ends(self):
        self.dracd.control("revoke address=203.0.113.9 hold_ms=2000")
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("NO reason=revoked"))
        self.dracd.wait_for_log("unblocked 1 reason=hold_over")
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"))

    def test_list_and_flush(self):
        for n in range(1, 251):
            self.dracd.login(f"198.51.100.{n}", f"user=u{n} ttl_ms={3600000 - n * 1000}")
        lines = self.dracd.control("list")
        self.assertEqual(lines[-1], "OK count=250")
        # the first to end comes first
        self.assertEqual([fields(line)["address"] for line in lines[:-1]],
                         [f"198.51.100.{n}" for n in range(250, 0, -1)])
        self.assertEqual(len(self.dracd.control("list user=u7")), 2)
        self.assertEqual(len(self.dracd.control("list expiring_ms=3351500")), 3)
        self.assertEqual(self.dracd.control("list service=pop3"), ["OK count=0"])
        self.assertTrue(self.dracd.control("flush")[-1].startswith("OK flushed leases=250"))
        self.assertFalse(self.dracd.admits("198.51.100.7"))
        self.assertTrue(self.dracd.login("198.51.100.7").startswith("OK granted"))

    def test_added_prefix(self):
        answer = self.dracd.control("add address=2001:db8:7::/64 ttl_ms=86400000")[0]
        self.assertTrue(answer.startswith("OK granted address=2001:db8:7::/64"))
        self.assertGreater(int(fields(answer)["left_ms"]), 86000000)
        self.assertTrue(self.dracd.admits("2001:db8:7::1234"))
        self.assertFalse(self.dracd.admits("2001:db8:7:1::1234"))
        self.dracd.control("revoke address=2001:db8:7::1234")
        self.assertFalse(self.dracd.admits("2001:db8:7::1234"))
        self.assertFalse(self.dracd.admits("2001:db8:7::1"))

    def test_refused_login_is_told_by_check(self):
        self.dracd.login("10.1.2.3", "user=scan@y.org service=pop3")
        check = self.dracd.control("check address=10.1.2.3")[0]
        self.assertTrue(check.startswith("NO reason=no_lease address=10.1.2.3 "), check)
        self.assertIn("refused_reason=private", check)
        self.assertIn("user=scan@y.org service=pop3 hint=lease_special", check)

    def test_malformed_orders(self):
        for line in ("", "nope", "status x=y", "check", "check address=x", "revoke",
                     "revoke address=1.2.3.4 user=x", "revoke address=1.2.3.4 hold_ms=x",
                     "revoke user=", "unblock", "add", "add address=1.2.3.4 hold_ms=1",
                     "list expiring_ms=soon", "flush all=yes"):
            with self.subTest(line):
                self.assertTrue(self.dracd.control(line)[0].startswith("ERR reason=syntax"))


class Reload(Case):
    def test_good_file_takes_effect_and_deny_ends_live_leases(self):
        self.dracd.login("203.0.113.9")
        self.dracd.write_config('deny = {"203.0.113.0/24"}\nlease_time = 5min\n')
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("NO reason=denied"))
        answer = self.dracd.login("198.51.100.1")
        self.assertLess(int(fields(answer)["left_ms"]), 300001)
        self.dracd.write_config("")
        self.dracd.control("reload")
        # it has ended, not only been hidden
        self.assertFalse(self.dracd.admits("203.0.113.9"))

    def test_bad_file_changes_nothing(self):
        self.dracd.write_config("lease_time = soon\nmode = perhaps\n")
        answer = self.dracd.control("reload")
        self.assertTrue(answer[-1].startswith("ERR reason=config"))
        self.assertEqual([line.split(" ")[0] for line in answer[:-1]], ["problem", "problem"])
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"))

    def test_hangup_reloads(self):
        self.dracd.write_config('deny = {"203.0.113.0/24"}\n')
        self.dracd.process.send_signal(signal.SIGHUP)
        self.dracd.wait_for_log("reloaded")
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("NO reason=denied"))

    def test_change_that_needs_a_restart_is_told(self):
        self.dracd.write_config("durability = process\n")
        self.assertIn("durability", self.dracd.control("reload")[0])


class Observe(Case):
    config = "mode = observe\n"

    def test_every_mta_is_told_no(self):
        self.dracd.login("203.0.113.9")
        self.assertEqual(self.dracd.policy("203.0.113.9"), "action=DUNNO")
        self.assertEqual(self.dracd.socketmap("203.0.113.9"), "9:NOTFOUND ")
        self.dracd.wait_for_log("would_relay 203.0.113.9 mode=observe")
        self.assertTrue(self.dracd.control("check address=203.0.113.9")[0].endswith("observe"))


class Death(Case):
    def test_answered_logins_survive_kill(self):
        for durability in ("full", "process"):
            with self.subTest(durability):
                self.dracd.stop()
                self.dracd.write_config(f"durability = {durability}\n")
                self.dracd.start()
                answers = {}
                with self.dracd.stream("report") as report:
                    for n in range(1, 50):
                        answers[n] = report.ask(f"login address=203.0.113.{n} user=u{n}")
                self.dracd.stop(signal.SIGKILL)
                self.dracd.start()
                for n, answer in answers.items():
                    self.assertTrue(answer.startswith("OK"))
                    self.assertTrue(self.dracd.admits(f"203.0.113.{n}"))
                with self.dracd.stream("report") as report:
                    again = report.ask("login address=203.0.113.1 ttl_ms=1000")
                # the deadline is the one that was answered
                self.assertLessEqual(
                    abs(int(fields(again)["boot_ms"]) - int(fields(answers[1])["boot_ms"])), 1)
                self.dracd.control("flush")

    def test_dead_is_refused_at_once(self):
        self.dracd.stop()
        for name in ("policy", "socketmap", "report", "control"):
            with self.assertRaises((FileNotFoundError, ConnectionRefusedError)):
                self.dracd.stream(name)
        self.assertFalse(os.path.exists(self.dracd.path("state/running")))

    def test_second_dracd_is_refused(self):
        second = subprocess.run([DRACD, "-c", self.dracd.config], capture_output=True, text=True,
                                timeout=30)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another dracd uses this directory", second.stderr)
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"))

    def test_half_written_files_are_removed_at_the_start(self):
        self.dracd.stop(signal.SIGKILL)
        for name in ("blocks.new", "running.new"):
            with open(self.dracd.path(f"state/{name}"), "w") as file:
                file.write("half a l")
        self.dracd.start()
        self.assertEqual(set(os.listdir(self.dracd.path("state"))), {"lock", "published", "running", "table"})

    def test_damaged_table_is_moved_aside(self):
        self.dracd.login("203.0.113.9")
        self.dracd.control("revoke address=198.51.100.1")
        self.dracd.stop()
        with open(self.dracd.path("state/table/data.mdb"), "r+b") as table:
            table.seek(8192)
            table.write(b"\x5a" * 200000)
        self.dracd.start()
        self.assertIn("it is damaged; moved aside as table.aside-", self.dracd.text())
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"))
        # who is shut out stays out
        self.assertTrue(self.dracd.login("198.51.100.1").startswith("NO reason=revoked"))

    def test_revocation_that_could_not_be_saved_stays_an_alarm(self):
        """Whatever is revoked after it without a hold, which nobody has to save."""
        self.dracd.login("203.0.113.9", "user=bob")
        self.dracd.login("203.0.113.10", "user=eve")
        os.mkdir(self.dracd.path("state/blocks.new"))
        self.dracd.control("revoke user=bob hold_ms=600000")
        self.dracd.wait_for(lambda: "a%20revocation%20could%20not%20be%20stored" in str(self.dracd.control("status")), "the alarm")
        self.assertTrue(self.dracd.control("revoke address=203.0.113.10 hold_ms=0")[-1].startswith("OK revoked"))
        self.assertIn("a%20revocation%20could%20not%20be%20stored", str(self.dracd.control("status")))
        os.rmdir(self.dracd.path("state/blocks.new"))
        self.dracd.control("revoke user=eve hold_ms=600000")
        self.assertNotIn("a%20revocation%20could%20not%20be%20stored", str(self.dracd.control("status")))

    def test_damaged_blocks_stop_the_start(self):
        self.dracd.control("revoke address=198.51.100.1")
        self.dracd.stop()
        with open(self.dracd.path("state/blocks"), "a") as blocks:
            blocks.write("junk\n")
        self.dracd.start(wait=False)
        self.assertEqual(self.dracd.process.wait(30), 1)
        self.assertIn("blocks:3: damaged", self.dracd.text())


class Check(unittest.TestCase):
    def test_all_errors_are_told(self):
        dracd = Dracd("lease_time = soon\n\nmax_leases = none\n")
        self.addCleanup(dracd.remove)
        run = subprocess.run([DRACD, "-t", "-c", dracd.config], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"drac.conf:\d+: lease_time = soon: not a duration")
        self.assertRegex(run.stderr, r"drac.conf:\d+: max_leases = none: not a whole number")

    def test_good_file(self):
        dracd = Dracd()
        self.addCleanup(dracd.remove)
        run = subprocess.run([DRACD, "-t", "-c", dracd.config], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_as_another_account(self):
        """Only root may; then it is that account which must be able to read the file."""
        dracd = Dracd()
        self.addCleanup(dracd.remove)

        def check():
            return subprocess.run([DRACD, "-t", "-u", "nobody", "-c", dracd.config],
                                  capture_output=True, text=True)
        if os.getuid() != 0:
            run = check()
            self.assertEqual((run.returncode, run.stderr),
                             (1, "error: cannot become nobody: Operation not permitted\n"))
            return
        run = check()
        self.assertEqual(run.returncode, 1)
        self.assertIn("drac.conf: Permission denied", run.stderr)
        os.chmod(dracd.directory, 0o755)
        self.assertEqual(check().returncode, 0)
        dracd.write_config('report_group = "root"\n')
        self.assertIn("dracd is not a member of this group", check().stderr)

    def test_group_that_is_not_ours(self):
        """Of a lookup and of a map alike, each with its line."""
        dracd = Dracd()
        self.addCleanup(dracd.remove)
        os.chmod(dracd.directory, 0o755)
        dracd.write_config('lookup exim {\nprotocol = plain path = "/x"\ngroup = root\n}\n'
                           'map postfix {\ntype = hash keys = postfix path = "/y"\ngroup = root\n}\n')
        with open(dracd.config) as file:
            first = file.read().splitlines().index("group = root") + 1
        run = subprocess.run([DRACD, "-t"] + (["-u", "nobody"] if os.getuid() == 0 else []) + ["-c", dracd.config],
                             capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        for line in (first, first + 4):
            self.assertIn(f"drac.conf:{line}: group = root: dracd is not a member of this group, so it cannot give a "
                          "file to it; add its account to the group", run.stderr)
