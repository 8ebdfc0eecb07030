"""Descriptors that a peer hands over and nobody asked for: a TCP socket whose close waits for minutes, if it is the last
one of it, holds nobody up, wherever dracd meets it."""
import fcntl
import os
import shutil
import signal
import socket
import struct
import termios
import unittest

from dracd_box import PATIENCE, Case

LINGER = 100 * PATIENCE  # seconds; after PATIENCE a test has failed
SOCKETS = ("report", "control", "policy", "plain", "socketmap")
ROOM = 100  # more than the control socket has for one account


def is_read(stream):
    """All that was sent."""
    return not any(fcntl.ioctl(stream, termios.TIOCOUTQ, bytes(4)))


def can_be_urgent():
    ends = socket.socketpair()
    try:
        ends[0].send(b"x", socket.MSG_OOB)
        return True
    except OSError:
        return False
    finally:
        for end in ends:
            end.close()


class HandedOver(Case):
    def lingering(self):
        """A descriptor of a connection with octets that nobody takes; nobody else has it when the caller has closed it."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client = socket.create_connection(listener.getsockname())
        taker = listener.accept()[0]  # ends with the test, and the lingering with it
        self.addCleanup(taker.close)
        listener.close()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))
        client.setblocking(False)
        try:
            while True:
                client.send(bytes(65536))
        except BlockingIOError:
            pass
        client.setblocking(True)
        return client.detach()

    def hand(self, stream, octets, count=1, flags=0):
        """With these octets."""
        files = [self.lingering() for _ in range(count)]
        socket.send_fds(stream.socket, [octets], files, flags)
        for file in files:
            os.close(file)

    def test_with_a_request(self):
        """They are closed, and so is the connection."""
        for name in SOCKETS:
            with self.dracd.stream(name) as stream:
                with self.dracd.stopped():
                    self.hand(stream, b"noop\n")
                self.assertTrue(self.dracd.serves(), name)
        with self.dracd.stream("report") as report:
            with self.dracd.stopped():
                self.hand(report, b"noop\n", 3)
            self.assertTrue(report.has_ended())
        self.dracd.wait_for_log(f"report: uid {os.getuid()} hands over files that nobody asked for")

    @unittest.skipUnless(can_be_urgent(), "this kernel has no MSG_OOB of unix sockets")
    def test_with_what_is_urgent(self):
        for name in SOCKETS:
            for then in (b"noop\n", b""):
                with self.dracd.stream(name) as stream:
                    with self.dracd.stopped():
                        self.hand(stream, b"x", flags=socket.MSG_OOB)
                        stream.send(then)
                    self.assertTrue(self.dracd.serves(), name)
                    if name != "control":  # which takes one, from who may give orders
                        self.assertTrue(stream.has_ended(), (name, then))
                with self.dracd.stopped():  # and when it goes at once
                    with self.dracd.stream(name) as stream:
                        self.hand(stream, b"x", flags=socket.MSG_OOB)
                self.assertTrue(self.dracd.serves(), name)

    @unittest.skipUnless(can_be_urgent(), "this kernel has no MSG_OOB of unix sockets")
    def test_what_is_urgent_is_read_in_its_turn(self):
        """Else it would lie there, and be told of again and again."""
        with self.dracd.stream("report") as report:
            self.assertEqual(report.ask("noop"), "OK")
            report.send("n")
            report.socket.send(b"o", socket.MSG_OOB)
            self.assertEqual(report.ask("op"), "OK")

    def test_behind_what_ends_the_connection(self):
        """They are never read."""
        for name in SOCKETS:
            with self.dracd.stream(name) as stream:
                with self.dracd.stopped():
                    stream.send(b"\0" * 20000)
                    self.hand(stream, b"x")
                self.assertTrue(self.dracd.serves(), name)

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_behind_a_login_whose_reporter_goes(self):
        """While it is being stored, so that who has stored it is the last to have the connection."""
        self.dracd.stop()
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
                             "-e", "inject=fdatasync:delay_exit=300000"]
        self.dracd.start()
        with self.dracd.stream("report") as report:
            report.send("login address=203.0.113.2 user=bob service=imap\n")
            self.dracd.wait_for(lambda: is_read(report.socket), "the login to be read")
            with self.dracd.stopped():
                self.hand(report, b"x")
                report.close()
        self.dracd.wait_for_log("granted 203.0.113.2 ")
        for _ in range(3):  # it is closed a little later
            self.assertTrue(self.dracd.serves(), "report")

    def test_where_there_is_no_room(self):
        """Of connections that are turned away."""
        with self.dracd.stopped():
            streams = [self.dracd.stream("control") for _ in range(ROOM)]
            for stream in streams[-3:]:
                self.hand(stream, b"x")
        self.assertIn("busy", streams[-1].until(b"\n"))
        self.dracd.wait_for_log("closing further ones")
        for stream in streams:
            stream.close()
        self.assertTrue(self.dracd.serves(), "control")

    def test_before_it_is_accepted(self):
        """Of a connection that waits when dracd stops."""
        with self.dracd.stopped():
            stream = self.dracd.stream("report")
            self.hand(stream, b"x")
            os.kill(self.dracd.process.pid, signal.SIGTERM)
        self.assertEqual(self.dracd.stop(), 0)
        stream.close()

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_where_a_container_refuses_unshare(self):
        """Then no thread can have copies of the descriptors."""
        self.dracd.stop()
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-e", "trace=unshare",
                             "-e", "inject=unshare:error=EPERM"]
        self.dracd.start()
        for _ in range(5):
            self.test_with_a_request()
            self.test_behind_what_ends_the_connection()
        with open(f"/proc/{self.dracd.process.pid}/task/{self.dracd.process.pid}/children", encoding="ascii") as children:
            self.assertLessEqual(len(children.read().split()), 1 + 16, "the guardian, and who has closed some")
        with open(self.dracd.path("trace"), encoding="ascii") as trace:
            self.assertRegex(trace.read(), r"unshare\(CLONE_FILES\) += -1 EPERM")


if __name__ == "__main__":
    unittest.main()
