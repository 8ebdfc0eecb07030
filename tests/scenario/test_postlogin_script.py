"""drac-postlogin under script-login: the session goes on, and what is reported can be trusted.

Runs the built program with the environment and the descriptors that script-login gives it.
"""
import os
import signal
import socket
import unittest

from tests.scenario.postlogin import BEHAVIOURS, GRANTED, TOKEN, Case, Process, answers, hangs, read_all


class ScriptLogin(Case):
    """The helper as script-login runs it."""

    ENVIRONMENT = {
        "LOCAL_IP": "192.0.2.1", "IP": "203.0.113.9", "USER": "bob@x.net",
        "QUOTA_RULE": "*:storage=1G", "UID": "6001", "HOME": "/home/bob",
        "AUTH_MECH": "PLAIN", "AUTH_TOKEN": TOKEN,
        "USERDB_KEYS": "QUOTA_RULE UID HOME AUTH_MECH AUTH_TOKEN ",
    }
    # what is run in place of script-login: tells on descriptor 3 that it was
    PROGRAM = ["/bin/sh", "-c", 'echo "ran $*" >&3; exec /usr/bin/env >&3', "sh", "a  b", "c"]

    def run_helper(self, options=None, environment=None, program=None, behave=None,
                   close=(), stderr=None):
        """Runs it to its end.  Leaves self.reports, .stderr, .stdout, .told, .process."""
        dracd = self.dracd(behave)
        client, mail = socket.socketpair()
        told, told_in = self.pipe()
        err, err_in = self.pipe()
        if options is None:
            options = ["--socket", self.path]
        descriptors = {0: mail.fileno(), 1: mail.fileno(), 2: err_in.fileno(),
                       3: told_in.fileno()}
        if stderr is not None:
            descriptors[2] = stderr
        for number in close:
            del descriptors[number]
        process = Process(options + (self.PROGRAM if program is None else program),
                          self.ENVIRONMENT if environment is None else environment,
                          descriptors)
        mail.close()
        told_in.close()
        err_in.close()
        self.told = read_all(told.fileno()).decode()
        self.stderr = read_all(err.fileno()).decode()
        self.stdout = read_all(client.fileno())
        client.close()
        process.wait()
        self.process = process
        self.reports = dracd.lines if dracd else []
        self.assertEqual(self.stdout, b"")

    def assert_ran(self):
        self.assertEqual(self.process.wait(), 0, self.stderr)
        self.assertTrue(self.told.startswith("ran a  b c\n"), self.told)

    def test_the_session_goes_on_whatever_dracd_does(self):
        for name, behave, takes_all, message in self.each(BEHAVIOURS):
            with self.subTest(dracd=name):
                def run():
                    self.run_helper(behave=behave)  # pylint: disable=cell-var-from-loop
                    return self.process.elapsed
                self.assert_elapsed(takes_all, run)
                self.assert_ran()
                self.assert_message(self.stderr, message)

    def test_a_failure_names_the_login(self):
        self.run_helper(behave=None)
        self.assertEqual(
            self.stderr, 'drac-postlogin: login of "bob@x.net" from "203.0.113.9" not '
            "reported: dracd is not running (%s: No such file or directory)\n" % self.path)

    def test_the_budget_is_what_the_option_says(self):
        self.run_helper(["--socket", self.path, "--budget", "50"], behave=hangs)
        self.assert_ran()
        self.assertGreaterEqual(self.process.elapsed, 0.049)
        self.assert_message(self.stderr, "within 50 ms")

    def test_the_report(self):
        cases = [
            ([], {}, b"address=203.0.113.9 local=192.0.2.1 user=bob@x.net"),
            (["--service", "imap"], {},
             b"address=203.0.113.9 local=192.0.2.1 user=bob@x.net service=imap"),
            (["--service=pop3", "--wait"], {},
             b"address=203.0.113.9 local=192.0.2.1 user=bob@x.net service=pop3 wait_ms=225"),
            (["--wait", "--budget=1000"], {},
             b"address=203.0.113.9 local=192.0.2.1 user=bob@x.net wait_ms=750"),
            ([], {"IP": "::ffff:203.0.113.9", "LOCAL_IP": "::ffff:192.0.2.1"},
             b"address=203.0.113.9 local=192.0.2.1 user=bob@x.net"),
            ([], {"IP": "2001:DB8::1:0", "LOCAL_IP": ""},
             b"address=2001:db8::1:0 user=bob@x.net"),
            ([], {"LOCAL_IP": None, "USER": "a b%"}, b"address=203.0.113.9 user=a%20b%25"),
            ([], {"USER": "b\u00f6b\n"},
             b"address=203.0.113.9 local=192.0.2.1 user=b\xc3\xb6b%0A"),
            ([], {"USER": None, "USERDB_KEYS": None},
             b"address=203.0.113.9 local=192.0.2.1"),
            ([], {"USERDB_KEYS": "IPX MY_IP XUSER IP_ "},
             b"address=203.0.113.9 local=192.0.2.1 user=bob@x.net"),
        ]
        for options, changes, expected in self.each(cases):
            with self.subTest(options=options, changes=changes):
                environment = {**self.ENVIRONMENT, **changes}
                environment = {k: v for k, v in environment.items() if v is not None}
                self.run_helper(["--socket", self.path, *options], environment,
                                behave=answers(GRANTED))
                self.assert_ran()
                self.assertEqual(self.reports, [b"login " + expected + b"\n"])
                self.assertEqual(self.stderr, "")

    def test_what_cannot_be_trusted_is_not_reported(self):
        cases = [
            ({"IP": "9.9.9.9", "USERDB_KEYS": "UID IP AUTH_MECH "}, '"ip" overrides'),
            ({"USERDB_KEYS": "ip"}, '"ip" overrides'),
            ({"USERDB_KEYS": "uid local_ip"}, '"local_ip" overrides'),
            ({"USERDB_KEYS": "User uid"}, '"user" overrides'),
            ({"IP": None}, "no client address"),
            ({"IP": ""}, "no client address"),
            ({"IP": "localhost"}, "client address is none"),
            ({"IP": "203.0.113.9/32"}, "client address is none"),
            ({"IP": "fe80::1%eth0"}, "client address is none"),
            ({"IP": "\x1b[31m\n"}, "client address is none"),
            ({"LOCAL_IP": "here"}, "local address is none"),
            ({"USER": "u" * 3000}, "user name is too long"),
            ({"AUTH_MECH": "ANONYMOUS", "USER": "anonymous"}, ""),
            ({"AUTH_MECH": "anonymous"}, ""),
        ]
        for changes, message in self.each(cases):
            with self.subTest(changes=changes):
                environment = {**self.ENVIRONMENT, **changes}
                environment = {k: v for k, v in environment.items() if v is not None}
                self.run_helper(environment=environment, behave=answers(GRANTED))
                self.assert_ran()
                self.assertEqual(self.reports, [])
                self.assert_message(self.stderr, message)

    def test_wrong_options_do_not_stop_the_session(self):
        cases = [
            (["--sockett", self.path], "unknown option"),
            (["--sockett=" + self.path], "unknown option"),
            (["-s", "--serv"], "unknown option"),
            (["--service", "IMAP"], "--service must be"),
            (["--service", "x" * 33], "--service must be"),
            (["--budget", "0"], "--budget must be"),
            (["--budget", "10001"], "--budget must be"),
            (["--budget", "300ms"], "--budget must be"),
            (["--socket", "report"], "--socket must be"),
            (["--socket", "/" + "x" * 200], "File name too long"),
            (["--wait=yes"], "unknown option"),
            (["imap"], "must be an absolute path"),
            (["--service"], "--service must be"),  # takes the program for its value
        ]
        for options, message in self.each(cases):
            with self.subTest(options=options):
                program = ["/bin/sh", *self.PROGRAM] if options == ["--service"] else None
                self.run_helper(options, program=program, behave=answers(GRANTED))
                self.assert_ran()
                self.assertEqual(self.reports, [])
                self.assert_message(self.stderr, message)

    def test_empty_arguments_of_double_spaces_are_passed_over(self):
        self.run_helper(["", "--socket", "", self.path, "", "--service", "", "imap", ""],
                        behave=answers(GRANTED))
        self.assert_ran()
        self.assertEqual(len(self.reports), 1)
        self.assertEqual(self.stderr, "")

    def test_the_environment_is_passed_on(self):
        environment = {**self.ENVIRONMENT, "ODD": "a\nb=c", "EMPTY": ""}
        self.run_helper(environment=environment, behave=answers(GRANTED))
        self.assert_ran()
        expected = sorted("\n".join("%s=%s" % item for item in environment.items()).split("\n"))
        shown = sorted(line for line in self.told.split("\n")[1:-1]
                       if not line.startswith(("PWD=", "_=", "SHLVL=", "OLDPWD=")))
        self.assertEqual(shown, expected)

    def test_descriptors_and_signals_are_passed_on_as_they_were(self):
        script = 'cd /proc/self/fd; for i in *; do echo "fd $i"; done >&3; ' \
            'while read -r l; do case $l in SigBlk*|SigIgn*|SigCgt*) echo "$l";; esac; done </proc/self/status >&3'
        program = ["/bin/sh", "-c", script]
        told, told_in = self.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        bare = Process(program[1:], {}, {0: null, 1: null, 2: null, 3: told_in.fileno()}, program[0])
        os.close(null)
        told_in.close()
        expected = read_all(told.fileno()).decode()
        bare.wait()
        self.assertIn("fd 3\n", expected)
        for behave in self.each((answers(GRANTED), None, hangs)):
            self.run_helper(["--socket", self.path, "--budget", "20"], behave=behave,
                            program=program)
            self.assertEqual(self.told, expected)

    def test_a_log_that_is_closed_gone_or_full_does_not_stop_the_session(self):
        self.run_helper(behave=None, close=(2,))
        self.assert_ran()

        read_end, write_end = self.pipe()
        read_end.close()
        self.run_helper(behave=None, stderr=write_end.fileno())
        self.assert_ran()

        read_end, write_end = self.pipe()
        os.set_blocking(write_end.fileno(), False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(write_end.fileno(), b"x" * 4096)
        os.set_blocking(write_end.fileno(), True)
        self.run_helper(behave=None, stderr=write_end.fileno())
        self.assert_ran()

    def test_descriptors_0_and_1_may_be_closed(self):
        self.run_helper(behave=answers(GRANTED), close=(0, 1))
        self.assert_ran()
        self.assertEqual(len(self.reports), 1)

    def test_the_exit_status_is_that_of_the_program(self):
        self.run_helper(program=["/bin/sh", "-c", "exit 42"], behave=answers(GRANTED))
        self.assertEqual(self.process.wait(), 42)

    def test_a_program_that_cannot_be_run_is_not_passed_over(self):
        self.run_helper(program=["/nonexistent/check", *self.PROGRAM], behave=answers(GRANTED))
        self.assertEqual(self.process.wait(), 1)
        self.assertEqual(self.told, "")
        self.assert_message(self.stderr, "cannot run /nonexistent/check: No such file")

    def test_without_a_program_there_is_a_usage_on_standard_error(self):
        for options in ([], ["--help"], ["--service", "imap"]):
            self.run_helper(options, program=[])
            self.assertEqual(self.process.wait(), 1)
            self.assertIn("[--service NAME]", self.stderr)

    def test_a_dangerous_environment_of_root_is_said(self):
        self.run_helper(environment={**self.ENVIRONMENT, "LD_PRELOAD": "/nonexistent/x.so"},
                        program=["/bin/sh", "-c", "exit 0"], behave=answers(GRANTED))
        self.assertEqual(len(self.reports), 1)
        self.assertEqual("as root" in self.stderr, os.geteuid() == 0)


if __name__ == "__main__":
    unittest.main()
