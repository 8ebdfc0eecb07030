"""What stands around drac-postlogin in its tests: the process, a dracd, and a test case.

B is the build folder (build/out); run from the top of the source tree.
"""
import fcntl
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
import unittest

BUILD = os.environ.get("B", "build/out")
HELPER = os.path.abspath(os.path.join(BUILD, "client", "drac-postlogin"))
GRANTED = b"OK granted address=203.0.113.9 until_ms=1 boot_ms=1 left_ms=1\n"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
WHOLE_BUDGET = 0.299  # of 300 ms, as far as clocks agree
PATIENCE = 20  # seconds after which a test gives up waiting for something that must come


def high(fd):
    """A copy of fd out of the way of the numbers that the helper is to find."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)


def wait_readable(fd, seconds=PATIENCE):
    return bool(select.select([fd], [], [], seconds)[0])


def read_all(fd):
    """What can be read up to the end of file."""
    data = b""
    while wait_readable(fd):
        part = os.read(fd, 65536)
        if not part:
            return data
        data += part
    raise AssertionError("no end of file; so far %r" % data)


class Process:
    """The helper with descriptors laid out by number, as Dovecot does it."""

    def __init__(self, arguments, environment, descriptors, program=HELPER):
        held = {number: high(fd) for number, fd in descriptors.items()}
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in held.items()]
        for number in range(3):
            if number not in held:
                actions.append((os.POSIX_SPAWN_CLOSE, number))
        self.begun = time.monotonic()
        self.pid = os.posix_spawn(program, [program, *arguments], environment,
                                  file_actions=actions, setsigdef=[signal.SIGPIPE])
        self.pidfd = os.pidfd_open(self.pid)
        self.status = None
        for fd in held.values():
            os.close(fd)

    def wait(self):
        """The exit status; minus the number of the signal that ended it."""
        if self.status is None:
            if not wait_readable(self.pidfd):
                self.kill()
                raise AssertionError("the helper does not end")
            self.reap()
        return self.status

    def reap(self):
        self.elapsed = time.monotonic() - self.begun
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.pidfd)

    def kill(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.reap()


class Dracd:
    """A report socket.  behave(connection, line) answers one request; its connection is
    closed when it returns."""

    def __init__(self, path, behave):
        self.path, self.behave = path, behave
        self.lines = []
        self.told = threading.Condition()
        self.threads = []
        self.released = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(256)
        self.acceptor = threading.Thread(target=self.accept)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(connection,))
            self.threads.append(thread)
            thread.start()

    def serve(self, connection):
        with connection:
            line = b""
            while not line.endswith(b"\n"):
                part = connection.recv(4096)
                if not part:
                    break
                line += part
            with self.told:
                self.lines.append(line)
                self.told.notify_all()
            try:
                self.behave(self, connection, line)
            except OSError:
                pass  # the helper has given up

    def wait_lines(self, count):
        """Returns when so many requests have come."""
        with self.told:
            if not self.told.wait_for(lambda: len(self.lines) >= count, PATIENCE):
                raise AssertionError("%d requests, not %d" % (len(self.lines), count))

    def close(self):
        self.released.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()
        for thread in self.threads:
            thread.join()
        os.unlink(self.path)


def answers(data):
    return lambda dracd, connection, line: connection.sendall(data)


def closes(dracd, connection, line):
    pass


def hangs(dracd, connection, line):
    """Until the helper or the test ends it."""
    while not dracd.released.is_set() and not wait_readable(connection, 0.02):
        pass


def is_slow(dracd, connection, line):
    if not dracd.released.wait(0.1):
        connection.sendall(GRANTED)


def trickles(dracd, connection, line):
    for octet in GRANTED[:-1]:
        connection.sendall(bytes([octet]))
        if dracd.released.wait(0.02):
            return


# name, what dracd does, whether that takes the whole budget, what standard error says
BEHAVIOURS = [
    ("grants", answers(GRANTED), False, ""),
    ("renews", answers(b"OK renewed address=203.0.113.9\n"), False, ""),
    ("refuses", answers(b"NO reason=private address=10.0.0.1 hint=lease_special\n"), False, ""),
    ("denies", answers(b"ERR reason=denied text=uid%2042%20is%20no%20reporter\n"), False,
     "dracd did not take it: denied: uid 42 is no reporter"),
    ("says garbage", answers(b"\xff\x00\x1b[31m\n"), False, "not understood"),
    ("says too much", answers(b"x" * 5000), False, "not understood"),
    ("says half a line", answers(b"OK granted"), False, "without an answer"),
    ("closes", closes, False, "without an answer"),
    ("is slow", is_slow, False, ""),
    ("hangs", hangs, True, "no answer from dracd within 300 ms"),
    ("trickles", trickles, True, "no answer from dracd within 300 ms"),
    ("is absent", None, False, "dracd is not running"),
]


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="dracd-test-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "report")

    def each(self, cases):
        """The cases, with nothing left of one when the next begins."""
        for case in cases:
            yield case
            self.doCleanups()
            self.setUp()

    def assert_elapsed(self, takes_all, run):
        """run() returns what it took: the whole budget or less, for which a slow machine has two more tries."""
        elapsed = run()
        for _ in range(2):
            if takes_all or elapsed < WHOLE_BUDGET:
                break
            self.doCleanups()
            self.setUp()
            elapsed = run()
        self.assertEqual(elapsed >= WHOLE_BUDGET, takes_all)
        self.assertLess(elapsed, 0.3 + 1)

    def dracd(self, behave):
        if behave is None:
            return None
        dracd = Dracd(self.path, behave)
        self.addCleanup(dracd.close)
        return dracd

    def pipe(self):
        """Both ends of a pipe, closed in the end."""
        ends = [os.fdopen(fd, mode, buffering=0)
                for fd, mode in zip(os.pipe(), ("rb", "wb"))]
        for end in ends:
            self.addCleanup(end.close)
        return ends

    def assert_message(self, text, message):
        """text is one line with message in it, or empty if message is."""
        self.assertNotIn(TOKEN, text)
        if not message:
            self.assertEqual(text, "")
            return
        self.assertIn(message, text)
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("drac-postlogin: "), text)
        self.assertTrue(text[:-1].isprintable(), text)
