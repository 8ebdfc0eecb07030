"""Malformed requests: what a row of a table is, and how it is tried on a dracd.

Every row is tried in three ways: alone, in small pieces, and in one write between two good requests.
What it must be answered is derived from dracd-protocol(7) and dracd(8). After each, a good request
is answered right on a new connection and, where it stays open, on the same one.
"""
import os
import socket
import unittest
from typing import NamedTuple

from dracd_box import Dracd, memory_of

GOOD = "203.0.113.9"   # has a lease
BAD = "203.0.113.66"   # no row may give it one
EDGE = "203.0.113.77"  # rows at the very limit may

OPEN, CLOSED = "open", "closed"  # how dracd leaves the connection, at once
ENDS, GONE = "ends", "gone"      # we end our side; we close all of it without reading

PROMPT = 5    # seconds: what comes later than this was not done at once, but by the time limit
LISTENERS = 5
ROUNDS = 4    # of all rows, after which memory is what it was after the first
FAILED_MAX = 10  # one that is taken for good makes others fail
GROWN = 1024  # KiB of it that are noise


class Row(NamedTuple):
    """One malformed request."""
    name: str
    data: bytes
    answers: tuple = ()  # patterns, one for each answer
    then: str = OPEN


def cut_line(data):
    """The first answer in data and what follows; None if none is whole."""
    line, end, rest = data.partition(b"\n")
    return (line, rest) if end else None


def cut_policy(data):
    """A policy answer, without the empty line that ends it."""
    answer, end, rest = data.partition(b"\n\n")
    return (answer, rest) if end else None


def cut_netstring(data):
    """What is in a netstring."""
    length, colon, rest = data.partition(b":")
    if not colon or len(rest) <= int(length):
        return None
    if rest[int(length):int(length) + 1] != b",":
        raise AssertionError(f"no netstring: {data!r}")
    return rest[:int(length)], rest[int(length) + 1:]


class Talk:
    """A connection, read an answer at a time."""

    def __init__(self, path, cut):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PROMPT)
        self.socket.connect(path)
        self.cut, self.data = cut, b""

    def send(self, data, size=None):
        """In pieces of that size; what is refused since dracd has closed is its answer's business."""
        size = size or len(data) or 1
        try:
            for at in range(0, len(data), size):
                self.socket.sendall(data[at:at + size])
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self):
        """False at the end; a connection that is closed with octets unread ends in a reset."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.data += data
        return bool(data)

    def answer(self):
        """The next one; None if there is none before the end."""
        while True:
            whole = self.cut(self.data)
            if whole:
                answer, self.data = whole
                return answer
            if not self.receive():
                return None

    def rest(self):
        """All up to the end."""
        while self.receive():
            pass
        return self.data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Table(unittest.TestCase):
    """The rows of one socket; a test file has a subclass with these."""
    SOCKET, ROWS, CONFIG = "", (), ""
    ASK, RIGHT = b"", ""  # the good request and its answer
    cut = staticmethod(cut_line)

    def setUp(self):
        self.dracd = Dracd('durability = process\n' + self.CONFIG)
        self.addCleanup(self.dracd.remove)
        self.dracd.start()
        self.assertRegex(self.dracd.login(GOOD), "^OK granted ")
        self.wait_for_no_connection()

    def talk(self):
        return Talk(self.dracd.path(self.SOCKET), self.cut)

    def expect(self, talk, patterns, row):
        for pattern in patterns:
            answer = talk.answer()
            self.assertIsNotNone(answer, f"{row.name}: closed instead of {pattern}")
            self.assertRegex(answer.decode("ascii"), f"^(?:{pattern})$", row.name)

    def expect_end(self, talk, row):
        self.assertEqual(talk.rest(), b"", f"{row.name}: more answers than expected")

    def good(self, talk, row):
        talk.send(self.ASK)
        self.expect(talk, [self.RIGHT], row)

    def finish(self, talk, row):
        """What there is to see behind the answers."""
        if row.then == OPEN:
            self.good(talk, row)
        if row.then in (OPEN, ENDS):
            talk.socket.shutdown(socket.SHUT_WR)
        self.expect_end(talk, row)

    def alone(self, row):
        with self.talk() as talk:
            talk.send(row.data)
            if row.then == GONE:
                return
            if row.then == ENDS:
                talk.socket.shutdown(socket.SHUT_WR)
            self.expect(talk, row.answers, row)
            self.finish(talk, row)

    def in_pieces(self, row):
        with self.talk() as talk:
            talk.send(row.data, 1 if len(row.data) < 300 else 997)
            self.expect(talk, row.answers, row)
            self.finish(talk, row)

    def amid_good(self, row):
        with self.talk() as talk:
            talk.send(self.ASK + row.data + self.ASK)
            self.expect(talk, [self.RIGHT, *row.answers], row)
            if row.then == OPEN:
                self.expect(talk, [self.RIGHT], row)
            self.finish(talk, row)

    def try_row(self, row):
        """In every way; then a good request on a new connection."""
        self.alone(row)
        if row.then in (OPEN, CLOSED):
            self.in_pieces(row)
            self.amid_good(row)
        with self.talk() as talk:
            self.good(talk, row)

    # ---- what remains of them ----

    def files(self):
        directory = f"/proc/{self.dracd.process.pid}/fd"
        return [os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory)]

    def wait_for_no_connection(self):
        """Sockets are the listening ones then."""
        def only_listeners():
            try:
                return len([file for file in self.files() if file.startswith("socket:")]) == LISTENERS
            except FileNotFoundError:  # closed meanwhile
                return False
        self.dracd.wait_for(only_listeners, "connections to be closed")

    def leases(self):
        return {line.split()[1] for line in self.dracd.control("list")[:-1]}

    def check_rest(self, files, memory):
        self.wait_for_no_connection()
        self.assertCountEqual(self.files(), files, "descriptors")
        self.assertLess(memory_of(self.dracd.process.pid) - memory, GROWN, "KiB that dracd has grown by")
        self.assertLessEqual(self.leases(), {f"address={GOOD}", f"address={EDGE}"})
        self.assertEqual(self.dracd.control("blocks"), ["OK count=0"])
        with open(self.dracd.path("log"), "rb") as log:
            self.assertNotRegex(log.read().decode(), "[\0-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertEqual(self.dracd.stop(), 0)

    def try_all(self):
        """All rows, ROUNDS times; a subclass calls it as its one test."""
        self.assertGreaterEqual(len(self.ROWS), 60)
        self.assertEqual(len({row.name for row in self.ROWS}), len(self.ROWS), "names occur once")
        files, failed = self.files(), 0
        for row in self.ROWS:
            with self.subTest(row=row.name):
                failed += 1
                self.try_row(row)
                failed -= 1
            if failed > FAILED_MAX:
                break
        self.assertEqual(failed, 0, "rows that failed")
        memory = memory_of(self.dracd.process.pid)
        for row in self.ROWS * (ROUNDS - 1):
            self.try_row(row)
        self.check_rest(files, memory)
        print(f"# {self.SOCKET}: {len(self.ROWS)} malformed requests")
