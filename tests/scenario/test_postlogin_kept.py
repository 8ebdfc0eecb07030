"""drac-postlogin's connection to dracd: one login leaves it to the next, if nothing is owed on it."""
import socket
import unittest

from tests.scenario.postlogin import GRANTED, PATIENCE
from tests.scenario.postlogin_service import FIELDS, Service


class Kept(Service):
    def report_socket(self):
        """A report socket that the test itself serves."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.settimeout(PATIENCE)
        listener.bind(self.path)
        listener.listen(8)
        return listener

    def accept(self, listener):
        connection = listener.accept()[0]
        self.addCleanup(connection.close)
        connection.settimeout(PATIENCE)
        return connection

    def log_in(self, user, connection, answer=GRANTED):
        """A login that is reported on connection, an accepted one."""
        waiting = self.send(user)
        self.assertIn(b" user=" + user + b"\n", connection.recv(4096))
        connection.sendall(answer)
        self.assertEqual(self.answer(waiting), user + FIELDS)

    def first_login(self, answer=GRANTED):
        """Returns the report socket, and the connection on which the first login was reported."""
        listener = self.report_socket()
        self.start()
        waiting = self.send(b"first")
        connection = self.accept(listener)
        connection.recv(4096)
        connection.sendall(answer)
        self.assertEqual(self.answer(waiting), b"first" + FIELDS)
        return listener, connection

    def test_the_connection_to_dracd_serves_the_next_login(self):
        _, connection = self.first_login()
        for user in (b"second", b"third"):
            self.log_in(user, connection, b"NO reason=private address=10.0.0.1\n")
        self.assertEqual(self.stop(), "")

    def test_a_kept_connection_that_dracd_has_closed_is_replaced(self):
        listener, connection = self.first_login()
        connection.close()
        waiting = self.send(b"second")
        again = self.accept(listener)
        self.assertIn(b" user=second\n", again.recv(4096))
        again.sendall(GRANTED)
        self.assertEqual(self.answer(waiting), b"second" + FIELDS)
        # and one that is closed instead of an answer: dracd was ending just then
        waiting = self.send(b"third")
        self.assertIn(b" user=third\n", again.recv(4096))
        again.sendall(b"OK gran")
        again.close()
        last = self.accept(listener)
        self.assertIn(b" user=third\n", last.recv(4096))
        last.sendall(GRANTED)
        self.assertEqual(self.answer(waiting), b"third" + FIELDS)
        self.assertEqual(self.stop(), "")

    def test_a_connection_that_still_owes_an_answer_is_not_kept(self):
        listener = self.report_socket()
        self.start()
        waiting = self.send(b"late")
        connection = self.accept(listener)
        self.assertEqual(self.answer(waiting), b"late" + FIELDS, "let in without an answer")
        self.assertIn(b" user=late\n", connection.recv(4096))
        self.assertEqual(connection.recv(1), b"", "and hung up")
        waiting = self.send(b"second")
        self.accept(listener).sendall(GRANTED)
        self.assertEqual(self.answer(waiting), b"second" + FIELDS)
        self.assertEqual(self.stop().count("no answer from dracd"), 1)

    def test_a_connection_that_says_more_than_was_asked_is_not_kept(self):
        _, connection = self.first_login(GRANTED + b"OK granted address=203.0.113.7\n")
        self.assertEqual(connection.recv(1), b"")
        self.stop()

    def test_one_that_refuses_to_take_reports_is_not_kept(self):
        _, connection = self.first_login(b"ERR reason=denied text=no\n")
        self.assertEqual(connection.recv(1), b"")
        self.stop()


if __name__ == "__main__":
    unittest.main()
