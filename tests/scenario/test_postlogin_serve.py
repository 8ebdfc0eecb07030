"""drac-postlogin as a service of Dovecot's: every login is answered, none waits for another.

Runs the built program with the environment and the descriptors that Dovecot's master gives it.
"""
import array
import os
import signal
import socket
import struct
import threading
import time
import unittest

from tests.scenario.postlogin import (BEHAVIOURS, GRANTED, PATIENCE, TOKEN, Dracd, Process,
                                      answers, hangs, is_slow, read_all, wait_readable)
from tests.scenario.postlogin_service import FIELDS, VERSION, Service


class Served(Service):
    def test_the_status_record_comes_first(self):
        self.start()
        self.assertEqual(self.record,
                         struct.pack("=iII", self.process.pid, self.GENERATION, self.LIMIT))
        self.assertEqual(self.stop(), "")

    def test_the_session_goes_on_whatever_dracd_does(self):
        for name, behave, takes_all, message in self.each(BEHAVIOURS):
            with self.subTest(dracd=name):
                def run():
                    self.asked = self.dracd(behave)  # pylint: disable=cell-var-from-loop
                    self.start("--service", "imap")
                    begun = time.monotonic()
                    connection = self.send(b"b\001tob")
                    self.assertEqual(self.answer(connection), b"b\001tob" + FIELDS)
                    return time.monotonic() - begun
                self.assert_elapsed(takes_all, run)
                if self.asked:
                    self.assertEqual(self.asked.lines, [
                        b"login address=203.0.113.9 local=192.0.2.1 user=b%09ob service=imap\n"])
                text = self.stop()
                self.assert_message(text, message)
                if message:
                    self.assertIn('login of "b\\x09ob" from "203.0.113.9" not reported', text)

    def test_the_report(self):
        cases = [
            ([], b"203.0.113.9", b"\tx=y\n", b"address=203.0.113.9 local=192.0.2.1 user=bob"),
            (["--wait"], b"::ffff:203.0.113.9", b"\n",
             b"address=203.0.113.9 local=192.0.2.1 user=bob wait_ms=225"),
            ([], b"2001:db8::1", b"\tip=9.9.9.9\tuser=eve\n",
             b"address=2001:db8::1 local=192.0.2.1 user=bob"),
            ([], b"", b"\n", None),
            ([], b"x", b"\n", None),
            ([], b"203.0.113.9", b"\tauth_mech=ANONYMOUS\n", None),
        ]
        for options, remote, fields, expected in self.each(cases):
            with self.subTest(remote=remote, fields=fields):
                dracd = self.dracd(answers(GRANTED))
                self.start(*options)
                self.assertEqual(self.answer(self.send(b"bob", remote, fields)), b"bob" + fields)
                self.assertEqual(dracd.lines,
                                 [b"login " + expected + b"\n"] if expected else [])
                self.stop()

    def test_a_hundred_logins_at_once(self):
        self.dracd(is_slow)
        self.start("--budget", "10000")
        begun = time.monotonic()
        users = [b"user%d" % i for i in range(100)]
        connections = [self.send(user) for user in users]
        for user, connection in zip(users, connections):
            self.assertEqual(self.answer(connection), user + FIELDS)
        # 10 s one after the other
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(self.stop(), "")

    def test_one_that_stalls_delays_no_other(self):
        def stalls(dracd, connection, line):
            if b"user=stalled" in line:
                dracd.released.wait(PATIENCE)
            connection.sendall(GRANTED)
        dracd = self.dracd(stalls)
        self.start("--budget", "10000")
        silent = self.connect()
        half = self.connect()
        half.sendall(VERSION + b"192.0.2.1\t")
        stalled = self.send(b"stalled")
        for i in range(20):
            self.assertEqual(self.answer(self.send(b"user%d" % i)), b"user%d" % i + FIELDS)
        self.assertTrue(self.is_quiet(stalled))
        self.assertTrue(self.is_quiet(silent))
        dracd.released.set()
        self.assertEqual(self.answer(stalled), b"stalled" + FIELDS)
        half.sendall(b"203.0.113.9\thalf\n")
        self.assertEqual(self.answer(half), b"half\n")

    def test_the_connection_of_the_client_is_closed_at_once(self):
        self.dracd(hangs)
        self.start("--budget", "10000")
        files = self.open_files()
        for count in (1, 3, 253):
            mine, passed = zip(*(socket.socketpair() for _ in range(count)))
            connection = self.send(b"bob", passed=[end.fileno() for end in passed])
            for end in passed:
                end.close()
            for end in mine:
                self.assertTrue(wait_readable(end))
                self.assertEqual(end.recv(1), b"")
                end.close()
            # and this while the login itself is still under way
            self.assertTrue(self.is_quiet(connection))
            files += 2
            self.assertLessEqual(self.open_files(), files)

    def test_a_descriptor_may_come_with_any_octet(self):
        self.dracd(answers(GRANTED))
        self.start()
        connection = self.connect()
        request = VERSION + b"192.0.2.1\t203.0.113.9\tbob" + FIELDS
        ends = []
        for i in range(0, len(request), 10):
            mine, passed = socket.socketpair()
            ends.append(mine)
            connection.sendmsg([request[i:i + 10]], [
                (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed.fileno()]))])
            passed.close()
        self.assertEqual(self.answer(connection), b"bob" + FIELDS)
        for end in ends:
            self.assertTrue(wait_readable(end))
            self.assertEqual(end.recv(1), b"")
            end.close()

    def test_a_request_may_come_in_pieces(self):
        self.dracd(answers(GRANTED))
        self.start()
        connection = self.connect()
        for octet in VERSION + b"192.0.2.1\t203.0.113.9\tbob" + FIELDS:
            connection.sendall(bytes([octet]))
        self.assertEqual(self.answer(connection), b"bob" + FIELDS)
        self.assertEqual(self.stop(), "")

    def test_long_fields_are_handed_back(self):
        self.dracd(answers(GRANTED))
        self.start()
        fields = b"".join(b"\tfield%d=%s" % (i, b"x" * 1000) for i in range(30)) + b"\n"
        self.assertEqual(self.answer(self.send(b"bob", fields=fields)), b"bob" + fields)
        self.assertEqual(self.stop(), "")

    def test_a_user_that_cannot_be_reported_is_let_in(self):
        dracd = self.dracd(answers(GRANTED))
        self.start()
        for user in (b"u" * 3000, b"a\0010b"):
            self.assertEqual(self.answer(self.send(user)), user + FIELDS)
        self.assertEqual(dracd.lines, [])
        self.assertEqual(self.stop().count("user name is too long or holds a NUL"), 2)

    def test_what_is_no_request_is_closed_and_said(self):
        cases = [
            (b"VERSION\tscript-login\t2\t0\n::1\t::2\tbob\n", "not of version 1"),
            (b"GET / HTTP/1.0\n\n", "not of version 1"),
            (VERSION + b"192.0.2.1\t203.0.113.9\n", "without a user"),
            (VERSION + b"x" * 40000, "longer than 32768 octets"),
        ]
        self.dracd(answers(GRANTED))
        self.start()
        for request, message in cases:
            with self.subTest(request=request[:40]):
                connection = self.connect()
                try:
                    connection.sendall(request)
                    self.assertEqual(self.answer(connection), b"")
                except (BrokenPipeError, ConnectionResetError):
                    pass
                self.await_error(message.encode())
        self.connect().close()  # a probe for life is not worth a line
        broken = self.connect()
        broken.sendall(VERSION)
        broken.close()
        self.await_error(b"broke off")
        self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        self.assertEqual(self.stop().count("\n"), 5)

    def test_a_dovecot_that_has_gone_does_no_harm(self):
        def answers_later(dracd, connection, line):
            gone.wait(PATIENCE)
            connection.sendall(GRANTED)
        gone = threading.Event()
        dracd = self.dracd(answers_later)
        self.start("--budget", "10000")
        connection = self.send()
        connection.close()
        gone.set()
        self.assertEqual(self.answer(self.send(b"next")), b"next" + FIELDS)
        dracd.wait_lines(2)

    def test_dracd_may_come_and_go(self):
        self.start()
        self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        dracd = Dracd(self.path, answers(GRANTED))
        self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        self.assertEqual(len(dracd.lines), 1)
        dracd.close()
        self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        self.assertEqual(self.stop().count("not running"), 2)

    def full_queue(self):
        """A report socket whose queue has no place left."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(self.path)
        listener.listen(0)
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(filler.close)
        filler.connect(self.path)
        return listener

    def test_a_full_queue_of_dracd_costs_the_budget_at_most(self):
        self.full_queue()
        self.start("--budget", "100")
        self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        self.assertIn("the queue of %s is full" % self.path, self.stop())

    def test_a_full_queue_of_dracd_is_waited_for(self):
        listener = self.full_queue()
        self.start("--budget", "10000")
        waiting = self.send()
        listener.accept()[0].close()
        connection, _ = listener.accept()
        connection.sendall(GRANTED)
        self.assertEqual(self.answer(waiting), b"bob" + FIELDS)
        connection.close()
        self.assertEqual(self.stop(), "")

    def test_nothing_is_left_open(self):
        """Not even the connection to dracd, which dracd has closed: the helper sees it unasked."""
        self.dracd(answers(GRANTED))
        self.start()
        files = self.open_files()
        for _ in range(50):
            self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        end = time.monotonic() + PATIENCE  # there is no event to await from outside
        while self.open_files() != files:
            self.assertLess(time.monotonic(), end, "connections that stay open")
            time.sleep(0.002)

    def test_the_limit_of_connections_is_kept(self):
        dracd = self.dracd(hangs)
        self.start("--budget", "10000", limit=1)
        first = self.send(b"first")
        second = self.send(b"second")
        dracd.wait_lines(1)
        self.assertTrue(self.is_quiet(first))
        self.assertTrue(self.is_quiet(second))
        dracd.behave = answers(GRANTED)
        dracd.released.set()
        self.assertEqual(self.answer(first), b"first" + FIELDS)
        self.assertEqual(self.answer(second), b"second" + FIELDS)

    def test_an_accepted_connection_is_served_first(self):
        dracd = self.dracd(answers(GRANTED))
        mine, accepted = socket.socketpair()
        mine.settimeout(PATIENCE)
        self.addCleanup(mine.close)
        self.addCleanup(accepted.close)
        self.send(b"early", connection=mine)
        self.start(listener_fd=9, limit=1, accepted=accepted)
        accepted.close()
        self.assertEqual(self.answer(mine), b"early" + FIELDS)
        self.assertEqual(self.answer(self.send(b"late")), b"late" + FIELDS)
        self.assertEqual(len(dracd.lines), 2)
        self.assertEqual(self.stop(), "")

    def test_an_accepted_connection_that_is_none_is_said(self):
        self.dracd(answers(GRANTED))
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        self.start(listener_fd=9, descriptors={8: null},
                   environment={"DOVECOT_ACCEPTED_CLIENT_LISTENER_FD": "9"})
        self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        self.assert_message(self.stop(), "set client_limit above 1")

    def test_it_ends_with_the_master_and_finishes_what_is_under_way(self):
        ways = [
            ("reload", lambda: self.status.close()),
            ("idle", lambda: os.kill(self.process.pid, signal.SIGINT)),
            ("stop", lambda: os.kill(self.process.pid, signal.SIGTERM)),
        ]
        for name, way in self.each(ways):
            with self.subTest(way=name):
                dracd = self.dracd(hangs)
                self.start("--budget", "200")
                under_way = self.send()
                silent = self.connect()
                dracd.wait_lines(1)
                self.assertTrue(self.is_quiet(under_way))
                way()
                self.assertEqual(self.answer(under_way), b"bob" + FIELDS)
                self.assertEqual(self.answer(silent), b"")
                self.assertEqual(self.process.wait(), 0)

    def test_it_refuses_to_start_elsewhere(self):
        inet = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        inet.bind(("127.0.0.1", 0))
        inet.listen()
        unbound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        null = open("/dev/null", "r+b", buffering=0)
        for end in (inet, unbound, null):
            self.addClassCleanup(end.close)
        cases = [
            ({7: None}, {}, "no listening unix socket"),
            ({7: unbound.fileno()}, {}, "no listening unix socket"),
            ({7: inet.fileno()}, {}, "no listening unix socket"),
            ({5: None}, {}, "not its status pipe"),
            ({5: null.fileno()}, {}, "not its status pipe"),
            ({}, {"GENERATION": None}, "GENERATION"),
            ({}, {"GENERATION": "-1"}, "GENERATION"),
            ({}, {"CLIENT_LIMIT": "0"}, "CLIENT_LIMIT"),
            ({}, {"CLIENT_LIMIT": "99999999999"}, "CLIENT_LIMIT"),
        ]
        for descriptors, environment, message in self.each(cases):
            with self.subTest(message=message, descriptors=descriptors):
                self.start(wait=False, descriptors=descriptors, environment=environment)
                self.assertEqual(self.process.wait(), 1)
                self.assertEqual(read_all(self.out.fileno()), b"")
                self.assert_message(read_all(self.err.fileno()).decode(), message)

    def test_wrong_options_do_not_stop_the_sessions(self):
        for options in self.each((["--service", "IMAP"], ["--nonsense"], ["/bin/true"])):
            with self.subTest(options=options):
                dracd = self.dracd(answers(GRANTED))
                self.start(*options)
                self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
                self.assertEqual(dracd.lines, [])
                text = self.stop()
                self.assertIn("logins go on and are not reported", text)
                self.assertIn('login of "bob"', text)

    def test_root_is_warned_once(self):
        self.dracd(answers(GRANTED))
        self.start()
        for _ in range(3):
            self.answer(self.send())
        self.status.close()
        self.process.wait()
        text = read_all(self.err.fileno()).decode()
        self.assertEqual(text.count("running as root"), os.geteuid() == 0)

    def test_a_log_that_is_gone_or_full_does_not_stop_the_sessions(self):
        read_end, write_end = self.pipe()
        os.set_blocking(write_end.fileno(), False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(write_end.fileno(), b"x" * 4096)
        os.set_blocking(write_end.fileno(), True)
        self.start(stderr=write_end.fileno())
        for _ in range(3):
            self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        read_end.close()
        for _ in range(3):
            self.assertEqual(self.answer(self.send()), b"bob" + FIELDS)
        self.status.close()
        self.assertEqual(self.process.wait(), 0)


if __name__ == "__main__":
    unittest.main()
