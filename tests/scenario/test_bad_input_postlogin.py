"""Malformed requests of Dovecot's to drac-postlogin --serve, beside a real dracd: drac-postlogin(8).

A request of the right form is handed back from the user name on, whatever is in its fields, since a
login is never harmed; one of the wrong form is closed upon, and the log says why.
"""
import array
import os
import re
import socket
import unittest
from typing import NamedTuple

from dracd_box import Dracd, memory_of
from tests.scenario.postlogin import Process, read_all, wait_readable

GOOD, BAD, EDGE = b"203.0.113.9", b"203.0.113.66", b"203.0.113.77"
REQUEST_MAX = 32768  # octets
PROMPT = 5           # seconds: what comes later was not done at once, but by the time limit
ROUNDS = 4
GROWN = 512          # KiB that are noise
VERSION = b"VERSION\tscript-login\t1\t0\n"
WHOLE = VERSION + b"192.0.2.1\t" + GOOD + b"\tbob\tuid=1\n"


class Row(NamedTuple):
    """One request."""
    name: str
    data: bytes
    answer: bytes = b""
    message: str = ""     # a pattern, in the log; empty: nothing new there
    then: str = "answer"  # or "ends": we end our side; "gone": we close without reading
    passed: int = 0       # descriptors


def wrong(name, data, message="not of version 1", **more):
    """A request that is not let in."""
    return Row(name, data, b"", message, **more)


def version(line):
    """Another first line."""
    return wrong("version " + line.decode("ascii", "backslashreplace")[:40], line + WHOLE[len(VERSION):])


def fields(name, data, message=""):
    """A request of the right form, with these fields: local, remote, and the rest, handed back."""
    return Row(name, VERSION + data + b"\n", data.split(b"\t", 2)[2] + b"\n", message)


def unreported(name, remote, user, why, local=b"192.0.2.1"):
    """Its user is let in, and not reported."""
    return fields(name, b"\t".join((local, remote, user, b"uid=1")), "not reported: " + why)


def long(length):
    """A request of that length."""
    start = VERSION + b"192.0.2.1\t" + EDGE + b"\tbob\tx="
    return start + b"y" * (length - len(start) - 1) + b"\n"


VERSIONS = [version(line) for line in (
    b"\n", b"\n\n", b"VERSION\n", b"VERSION\tscript-login\n", b"VERSION\tscript-login\t1\n", b"VERSION\tscript-login\t1\t\n",
    b"VERSION\tscript-login\t2\t0\n", b"VERSION\tscript-login\t0\t1\n", b"VERSION\tscript-login\t10\t0\n",
    b"VERSION\tscript-login\t-1\t0\n", b"VERSION\tscript-login\t1\t-1\n", b"VERSION\tscript-login\t1\tx\n",
    b"VERSION\tscript-login\t1\t0\r\n", b"VERSION\tscript-login\t1\t0\t\n", b"VERSION\tscript-login\t1\t0 \n",
    b"VERSION\tscript-login\t1\t0\0\n", b"VERSION script-login 1 0\n", b"version\tscript-login\t1\t0\n",
    b"VERSION\tSCRIPT-LOGIN\t1\t0\n", b"VERSION\tauth\t1\t0\n", b"VERSION\tmaster\t1\t0\n", b" VERSION\tscript-login\t1\t0\n",
    b"\0VERSION\tscript-login\t1\t0\n", b"VERSION\0script-login\t1\t0\n", b"VERSION\t\tscript-login\t1\t0\n",
    b"\xff\xfe\n", b"login address=203.0.113.66\n", b"flush\n", b"GET / HTTP/1.0\r\n", b"16:drac 203.0.113.9,\n",
    b"request=smtpd_access_policy\n", b"x" * 1000 + b"\n",
)]

NO_FIELDS = [
    wrong("no fields", VERSION + b"\n", "without a user"),
    wrong("one field", VERSION + b"192.0.2.1\n", "without a user"),
    wrong("two fields", VERSION + b"192.0.2.1\t203.0.113.66\n", "without a user"),
    wrong("blanks for tabs", VERSION + b"192.0.2.1 203.0.113.66 bob uid=1\n", "without a user"),
    wrong("CR for tabs", VERSION + b"192.0.2.1\r203.0.113.66\rbob\n", "without a user"),
    wrong("version twice", VERSION + b"VERSION\n" + WHOLE, "without a user"),
    wrong("NULs", VERSION + b"\0" * 100 + b"\n", "without a user"),
]

FIELDS = [unreported(f"client address {text.decode('ascii', 'backslashreplace')[:40]}", text, b"bob",
                     "Dovecot gave no client address" if not text else "what Dovecot gave as client address is none")
          for text in (b"", b"x", b"203.0.113", b"203.0.113.066", b"203.0.113.66/32", b"203.0.113.66:25", b" 203.0.113.66",
                       b"203.0.113.66 ", b"203.0.113.66\r", b"203.0.113.66\0", b"203.0.113.66\0010", b"\001n203.0.113.66",
                       b"203.0.113.66\001", b"203.0.113.66\001n", b"[2001:db8::66]", b"2001:db8::66%eth0", b"2001:db8:::66",
                       b"/run/dovecot/login", b"9" * 5000, b"\xff\xff")] + [
    *(unreported(f"local address {text.decode('ascii', 'backslashreplace')[:40]}", BAD, b"bob",
                 "what Dovecot gave as local address is none", text)
      for text in (b"x", b"192.0.2.1/24", b"192.0.2.1\0", b"192.0.2.1\0010", b"1" * 5000)),
    unreported("user with a NUL", BAD, b"b\0b", "the user name is too long or holds a NUL"),
    unreported("user with an escaped NUL", BAD, b"b\0010b", "the user name is too long or holds a NUL"),
    unreported("user of very many octets", BAD, b"u" * 9000, "the user name is too long or holds a NUL"),
    unreported("user of 256 octets", BAD, b"u" * 256, ".*too long|.*255 octets"),
    unreported("user with a tab, escaped", BAD, b"b\001tb", "dracd did not take it: syntax"),
    unreported("user with LF, escaped", BAD, b"b\001nb", "dracd did not take it: syntax"),
    unreported("user with CR", BAD, b"b\rb", "dracd did not take it: syntax"),
    unreported("user with ESC", BAD, b"\x1b[31mbob", "dracd did not take it: syntax"),
    unreported("user with a lone escape", BAD, b"bob\001", "dracd did not take it: syntax"),
    unreported("user that is no UTF-8", BAD, b"b\xffb", "dracd did not take it: syntax"),
    unreported("user of overlong UTF-8", BAD, b"b\xc0\x80b", "dracd did not take it: syntax"),
    unreported("user with a C1 control character", BAD, b"b\xc2\x9bb", "dracd did not take it: syntax"),
    fields("user with words of a report", b"192.0.2.1\t" + EDGE + b"\tb address=203.0.113.66 user=%41\tuid=1"),
    fields("user with percent signs", b"192.0.2.1\t" + EDGE + b"\t%00%zz%\tuid=1"),
    fields("user empty", b"192.0.2.1\t" + EDGE + b"\t"),
    fields("user empty, with fields", b"192.0.2.1\t" + EDGE + b"\t\tuid=1"),
    fields("user of 255 octets", b"192.0.2.1\t" + EDGE + b"\t" + b"u" * 255 + b"\tuid=1"),
    fields("no local address", b"\t" + EDGE + b"\tbob\tuid=1"),
    fields("no further fields", b"192.0.2.1\t" + EDGE + b"\tbob"),
    fields("fields empty", b"192.0.2.1\t" + EDGE + b"\tbob\t\t\t\t"),
    fields("fields with NUL, CR and 0xff", b"192.0.2.1\t" + EDGE + b"\tbob\ta=\0\tb=\r\tc=\xff\t=\t\001"),
    fields("fields that are read twice", b"192.0.2.1\t" + EDGE + b"\tbob\tauth_mech=PLAIN\tauth_mech=LOGIN"),
    fields("a long mechanism", b"192.0.2.1\t" + EDGE + b"\tbob\tauth_mech=" + b"M" * 5000),
    fields("one of the mechanisms is anonymous", b"192.0.2.1\t" + BAD + b"\tbob\tauth_mech=PLAIN\tauth_mech=anonymous"),
    fields("very many fields", b"192.0.2.1\t" + EDGE + b"\tbob" + b"\tx" * 10000),
    fields("fields that name an address", b"192.0.2.1\t" + EDGE + b"\tbob\tip=203.0.113.66\trip=203.0.113.66\tuser=eve"),
    Row("more behind the request", WHOLE + WHOLE, b"bob\tuid=1\n"),
    Row("garbage behind the request", WHOLE + b"\0\xff" * 100, b"bob\tuid=1\n"),
    Row("descriptors passed along", WHOLE, b"bob\tuid=1\n", passed=100),
    wrong("descriptors and garbage", b"\n", passed=250),
]

LENGTHS = [
    Row("a request of the limit", long(REQUEST_MAX), long(REQUEST_MAX)[long(REQUEST_MAX).index(b"bob"):]),
    wrong("a request of one more", long(REQUEST_MAX + 1), "longer than 32768 octets"),
    wrong("a very long request", long(500000), "longer than 32768 octets"),
    wrong("a first line that does not end", b"V" * 40000, "longer than 32768 octets"),
    wrong("descriptors and a line that does not end", b"V" * 40000, "longer than 32768 octets", passed=250),
]

ENDINGS = [
    Row("nothing, and the end", b"", then="ends"),
    wrong("half a version, and the end", b"VERSION\tscr", "broke off: connection closed", then="ends"),
    wrong("a version, and the end", VERSION, "broke off: connection closed", then="ends"),
    wrong("all but the LF, and the end", WHOLE[:-1], "broke off: connection closed", then="ends"),
    Row("whole, and the end", WHOLE, b"bob\tuid=1\n", then="ends"),
    wrong("another version, and the end", b"x\n", then="ends"),
    Row("nothing, and gone", b"", then="gone"),
    wrong("half, and gone", VERSION, "broke off: connection closed", then="gone"),
    wrong("gone before the answer", WHOLE, "cannot answer Dovecot: Broken pipe", then="gone"),
]

ROWS = VERSIONS + NO_FIELDS + FIELDS + LENGTHS + ENDINGS


class Postlogin(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd("durability = process\nservice imap { lease = yes }\n")
        self.addCleanup(self.dracd.remove)
        self.dracd.start()
        self.path = self.dracd.path("postlogin")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.path)
        listener.listen(16)
        self.status, status_in = (os.fdopen(fd, mode, buffering=0) for fd, mode in zip(os.pipe(), ("rb", "wb")))
        self.err, err_in = (os.fdopen(fd, mode, buffering=0) for fd, mode in zip(os.pipe(), ("rb", "wb")))
        with listener, status_in, err_in, open("/dev/null", "r+b") as null:
            self.process = Process(
                ["--serve", "--socket", self.dracd.path("report"), "--service", "imap", "--budget", "5000"],
                {"GENERATION": "1", "CLIENT_LIMIT": "100"},
                {0: null.fileno(), 1: null.fileno(), 2: err_in.fileno(), 5: status_in.fileno(), 7: listener.fileno()})
        self.addCleanup(self.err.close)
        self.addCleanup(self.status.close)
        self.addCleanup(self.process.kill)
        os.read(self.status.fileno(), 64)
        self.text = b""
        if os.geteuid() == 0:
            self.await_message(wrong("start as root", b"", "running as root"))
        self.try_good()

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PROMPT)
        connection.connect(self.path)
        return connection

    def send(self, connection, row, size):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * row.passed))] if row.passed else []
        try:
            for at in range(0, len(row.data), size):
                connection.sendmsg([row.data[at:at + size]], rights)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def answer(self, connection):
        data = b""
        try:
            while part := connection.recv(65536):
                data += part
        except ConnectionResetError:
            pass  # closed with octets unread
        return data

    def await_message(self, row):
        while not re.search(row.message.encode(), self.text):
            self.assertTrue(wait_readable(self.err.fileno(), PROMPT), f"{row.name}: {row.message!r} not in {self.text!r}")
            self.text += os.read(self.err.fileno(), 65536)
        self.assertEqual(self.text.count(b"\n"), 1 if row.message else 0, self.text)
        self.assertTrue(self.text.decode("ascii").rstrip("\n").isprintable(), self.text)
        self.text = b""

    def try_good(self):
        with self.connect() as connection:
            connection.sendall(WHOLE)
            self.assertEqual(self.answer(connection), b"bob\tuid=1\n", "a good request")

    def try_row(self, row, size):
        with self.connect() as connection:
            if row.then == "gone":
                connection.shutdown(socket.SHUT_RD)  # as if closed already, whoever is faster
            self.send(connection, row, size)
            if row.then == "ends":
                connection.shutdown(socket.SHUT_WR)
            if row.then != "gone":
                self.assertEqual(self.answer(connection), row.answer, row.name)
        self.await_message(row)

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def test_malformed_requests(self):
        files = self.files()
        self.assertEqual(len({row.name for row in ROWS}), len(ROWS), "names occur once")
        for row in ROWS:
            with self.subTest(row=row.name):
                self.text = b""
                self.try_row(row, 1 << 20)
                if row.then == "answer" and not row.passed:
                    self.try_row(row, 1 if len(row.data) < 300 else 997)
                self.try_good()
        memory = memory_of(self.process.pid)
        for row in ROWS * (ROUNDS - 1):
            self.try_row(row, 1 << 20)
        self.try_good()
        self.dracd.wait_for(lambda: self.files() == files, "descriptors to come back")
        self.assertLess(memory_of(self.process.pid) - memory, GROWN, "KiB that the helper has grown by")
        leases = {line.split()[1] for line in self.dracd.control("list")[:-1]}
        self.assertEqual(leases, {f"address={address.decode()}" for address in (GOOD, EDGE)})
        self.status.close()
        self.assertEqual(self.process.wait(), 0)
        self.assertEqual(read_all(self.err.fileno()), b"")
        print(f"# drac-postlogin --serve: {len(ROWS)} malformed requests")


if __name__ == "__main__":
    unittest.main()
