"""5,000 connections of one account pressed against one socket: others are answered. dracd(8), Limits.

The flood opens its connections and then opens again at once each that dracd closes, until the others
have been answered. Needs root, to be two accounts.
"""
import os
import resource
import select
import socket
import time
import unittest

from tests.root.accounts import REPORTER, STRANGER, Process, dracd
from tests.scenario.dracd_box import PATIENCE, memory_of

FLOOD = 5000
FLOODER, OTHER = STRANGER, REPORTER
ASKED = 500         # on new connections, and on the one that was there
CHURN = 500
GROWN = 4096        # KiB that are noise; half requests are 80,000 on a policy socket
LATE_MS = 2000      # more is no answer
LOOKUPS = 2000
P99_MS = 10
GOOD = "203.0.113.9"

WHOLE = {  # a question, the beginning of its answer, and that of the answer to one that is refused
    "report": (f"login address={GOOD} user=bob@x.net service=imap\n".encode(), b"OK renewed "),
    "control": (f"check address={GOOD}\n".encode(), b"OK permit "),
    "policy": (f"request=smtpd_access_policy\nclient_address={GOOD}\n\n".encode(), b"action=OK"),
    "socketmap": (f"16:drac {GOOD},".encode(), b"5:OK OK"),
    "plain": (f"drac {GOOD}\n".encode(), b"yes\n"),
}
ONCE = ("plain",)  # a connection is one question

HALF = {  # the longest that are not whole
    "report": b"x" * 2047,
    "control": b"x" * 2047,
    "policy": b"x" * 16383,
    "socketmap": b"10000:" + b"x" * 10000,
    "plain": b"x" * 1023,
}


def connect(path):
    """As the clients of dracd do: again and again while its queue is full."""
    end = time.monotonic() + PATIENCE
    while True:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            stream.connect(path)
            return stream
        except BlockingIOError:
            stream.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.0005)


def begin(path, data):
    """A connection of the flood, with the beginning of a request on it."""
    stream = connect(path)
    try:
        stream.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused already
    return stream


def is_closed(stream):
    """By dracd, with whatever it said."""
    try:
        while stream.recv(4096):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


def flood(path, data, full, stop):
    """Presses until stop can be read; tells by full when all connections are there. How many were opened."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FLOOD + 100, FLOOD + 100))
    streams = [begin(path, data) for _ in range(FLOOD)]
    os.write(full, b"x")
    opened, end = FLOOD, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for at, stream in enumerate(streams):
            if is_closed(stream):
                stream.close()
                streams[at] = begin(path, data)
                opened += 1
            if at % 64 == 0 and select.select([stop], [], [], 0)[0]:
                return opened, sum(not is_closed(stream) for stream in streams)
    raise TimeoutError("nobody stopped the flood")


def burst(path, data, full, stop):
    """All connections ask at once, and all are closed at once, both without reading."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FLOOD + 100, FLOOD + 100))
    streams = [begin(path, b"") for _ in range(FLOOD)]
    os.write(full, b"x")
    for stream in streams:
        try:
            stream.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused
    held = sum(not is_closed(stream) for stream in streams)
    for stream in streams:
        stream.close()
    select.select([stop], [], [], PATIENCE)
    return FLOOD, held


def churn(path, free):
    """At the limit of an account: closes so many and opens twice as many, again and again."""
    streams = []
    for _ in range(CHURN):
        streams += [begin(path, b"") for _ in range(2 * free)]
        for stream in streams[:free]:
            stream.close()
        streams = [stream for stream in streams[free:] if not is_closed(stream)]
    for stream in streams:
        stream.close()


def ask(stream, question, right):
    """How long it took, in ms."""
    stream.setblocking(True)
    stream.settimeout(PATIENCE)
    started = time.monotonic()
    stream.sendall(question)
    answer = stream.recv(4096)
    if not answer.startswith(right):
        raise AssertionError(f"answered {answer!r}")
    return (time.monotonic() - started) * 1000


def ask_anew(path, question, right):
    """The same, on a new connection, and with it."""
    started = time.monotonic()
    with connect(path) as stream:
        ask(stream, question, right)
    return (time.monotonic() - started) * 1000


def others(path, name, ready, full):
    """Asks on a connection, and when the flood is there, on it and on new ones; ms of each."""
    question, right = WHOLE[name]
    with connect(path) as used:
        ask(used, question, right)
        os.write(ready, b"x")
        if not select.select([full], [], [], PATIENCE)[0]:
            raise TimeoutError("no flood")
        return ([ask(used, question, right) for _ in range(0 if name in ONCE else ASKED)],
                [ask_anew(path, question, right) for _ in range(ASKED)])


def hold(path, data, full, stop):
    """Half requests that stay as they are, until stop can be read; how many of them did."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FLOOD + 100, FLOOD + 100))
    streams = [begin(path, data) for _ in range(FLOOD)]
    os.write(full, b"x")
    select.select([stop], [], [], PATIENCE)
    return sum(not is_closed(stream) for stream in streams)


def look_up(path, name, full):
    """ms of each question, while the half requests are held."""
    question, right = WHOLE[name]
    with connect(path) as used:
        ask(used, question, right)
        if not select.select([full], [], [], PATIENCE)[0]:
            raise TimeoutError("no half requests")
        return sorted(ask(used, question, right) for _ in range(LOOKUPS))


class Flood(unittest.TestCase):
    def start(self, files):
        box = dracd(OTHER, FLOODER, files=files)
        self.addCleanup(box.remove)
        started = Process(OTHER, ask_anew, box.path("report"), WHOLE["report"][0], b"OK granted")
        started.result()
        return box

    def files(self, box):
        return len(os.listdir(f"/proc/{box.process.pid}/fd"))

    def press(self, box, name, flood_it, data):
        """One flood; what is printed of it."""
        (ready, ready_in), (full, full_in), (stop, stop_in) = (os.pipe() for _ in range(3))
        path = box.path(name)
        good = Process(OTHER, others, path, name, ready_in, full)
        self.assertTrue(select.select([ready], [], [], PATIENCE)[0], "the others are not there")
        bad = Process(FLOODER, flood_it, path, data, full_in, stop)
        used, new = good.result()
        os.write(stop_in, b"x")
        opened, held = bad.result()
        for fd in (ready, ready_in, full, full_in, stop, stop_in):
            os.close(fd)
        self.assertLess(max(used + new), LATE_MS, name)
        kept = f"used connection {sorted(used)[ASKED // 2]:.1f} ms (at worst {max(used):.1f}), " if used else ""
        return (f"{kept}new {sorted(new)[ASKED // 2]:.1f} ms ({max(new):.1f}); {opened} opened, {held} of them held")

    def flood_all(self, files):
        box = self.start(files)
        before, memory, started = self.files(box), memory_of(box.process.pid), time.monotonic()
        for name, (question, _) in WHOLE.items():
            for kind, flood_it, data in (("silent", flood, b""), ("half requests", flood, HALF[name]),
                                         ("at once", burst, question)):
                with self.subTest(socket=name, kind=kind):
                    print(f"# {name}, {FLOOD} {kind}, {files} descriptors: {self.press(box, name, flood_it, data)}")
                    # not ==: the connection that has shown that it serves may have been among them
                    box.wait_for(lambda: self.files(box) <= before, "descriptors to come back")
                    self.assertTrue(box.admits(GOOD))
                    self.assertLess(memory_of(box.process.pid) - memory, GROWN, "KiB that dracd has grown by")
        said = [line for line in box.text().splitlines() if line.startswith("warning: socket ")]
        minutes = 1 + (time.monotonic() - started) // 60
        self.assertLessEqual(len(said), 2 * len(WHOLE) * minutes, "either limit once a minute for each socket")
        self.assertEqual(len(box.control("list")), 2)
        self.assertEqual(box.stop(), 0)

    def test_the_log_is_not_flooded(self):
        box = self.start(20000)
        for free in (1, 3):
            Process(FLOODER, churn, box.path("control"), free).result()
        said = box.text().count("the limit of one account")
        self.assertEqual(said, 1, "once a minute")

    def half_open(self, box, name):
        """The 99th percentile of a lookup, in ms, and how many half requests there were meanwhile."""
        (full, full_in), (stop, stop_in) = os.pipe(), os.pipe()
        path = box.path(name)
        good = Process(OTHER, look_up, path, name, full)
        bad = Process(FLOODER, hold, path, HALF[name], full_in, stop)
        took = good.result()
        os.write(stop_in, b"x")
        held = bad.result()
        for fd in (full, full_in, stop, stop_in):
            os.close(fd)
        return took[LOOKUPS * 99 // 100], held

    def test_half_requests_delay_no_lookup(self):
        """The best of three: what else the machine does is not dracd's doing."""
        box = self.start(20000)
        for name in ("policy", "socketmap"):
            tries = []
            while len(tries) < 3 and (not tries or min(tries) >= P99_MS):
                p99, held = self.half_open(box, name)
                self.assertGreater(held, FLOOD // 2, "the half requests are held")
                tries.append(p99)
            print(f"# {name}, {held} half requests of {FLOOD}: 99th percentile of a lookup {min(tries):.2f} ms")
            self.assertLess(min(tries), P99_MS, name)

    def test_flood(self):
        self.flood_all(20000)

    def test_flood_with_few_descriptors(self):
        self.flood_all(1024)


if __name__ == "__main__":
    unittest.main()
