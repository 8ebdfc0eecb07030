"""Who may say what: dracd-protocol(7) and drac.conf(5), for peers of other accounts.

Needs root, to be other accounts.
"""
import contextlib
import os
import select
import socket
import unittest

from tests.root.accounts import ADMIN, DRACD, NOBODY, READER, REPORTER, STRANGER, Process, dracd
from tests.scenario.dracd_box import PATIENCE

ROOT, OUTSIDER = 0, 20009  # the outsider is in no group
GOOD, BAD = "203.0.113.9", "203.0.113.66"
LOGIN = f"login address={BAD}\n".encode()
NOT_LET_IN = "PermissionError"

DENIED = rb"ERR reason=denied text=[^\n]*\n"
SYNTAX = rb"ERR reason=syntax text=[^\n]*\n"
NO_BLOCK = b"NO reason=no_block\n"
ASKED = rb"(?:(?:dracd|leases|logins|reporter|lookups?|map|warning|lease|block) [^\n]*\n)*OK[^\n]*\n"
POLICY = f"request=smtpd_access_policy\nclient_address={GOOD}\n\n".encode()

REPORT = [  # account, what is sent, all that comes back
    (REPORTER, LOGIN.replace(BAD.encode(), GOOD.encode()), rb"OK granted [^\n]*\n"),
    (REPORTER, b"noop\n", b"OK\n"),
    (STRANGER, LOGIN, DENIED),
    (STRANGER, b"noop\n", DENIED),
    (STRANGER, LOGIN * 3, DENIED),
    (STRANGER, LOGIN * 1000, DENIED),
    (STRANGER, b"l", DENIED),
    (STRANGER, b"\0", DENIED),
    (STRANGER, b"\n", DENIED),
    (STRANGER, b"x" * 5000, DENIED),
    (STRANGER, LOGIN + b"flush\n", DENIED),
    (STRANGER, b"", b""),
    (ROOT, LOGIN, DENIED),   # as it is not among the reporters here
    (DRACD, LOGIN, DENIED),  # nor its own account
    (NOBODY, LOGIN, DENIED), # among them, but the overflow uid stands for anybody
    (READER, LOGIN, NOT_LET_IN),
    (ADMIN, LOGIN, NOT_LET_IN),
    (OUTSIDER, LOGIN, NOT_LET_IN),
]

WRITES = [order.encode() for order in (
    f"add address={BAD}", f"add address={BAD} ttl_ms=1000", f"revoke address={GOOD}", "revoke user=bob@x.net",
    f"revoke address={GOOD} hold_ms=0", f"unblock address={BAD}", "flush", "reload", "maps rebuild=yes",
    "add", "revoke", "unblock", "import-drac")]
READS = [b"status", b"list", b"blocks", b"maps", b"list user=bob@x.net", b"check address=" + GOOD.encode()]
MALFORMED = [b"flush now", b"reload=yes", b"Flush", b"maps rebuild", b"revoke address", b"", b"x\0"]

CONTROL = [
    *((account, order + b"\n", DENIED) for order in WRITES for account in (READER, STRANGER, NOBODY)),
    *((account, order + b"\n", ASKED) for order in READS for account in (READER, NOBODY, ADMIN, ROOT, DRACD)),
    *((READER, order + b"\n", SYNTAX) for order in MALFORMED),
    (READER, b"status\nflush\nblocks\nadd\n", ASKED + DENIED + ASKED + DENIED),
    (READER, b"flush\n" * 500, b"(?:%s){500}" % DENIED),
    (OUTSIDER, b"status\n", NOT_LET_IN),
    *((account, f"unblock address={BAD}\n".encode(), NO_BLOCK) for account in (ADMIN, ROOT, DRACD)),
    (ADMIN, b"reload\n", b"OK reloaded\n"),
]

LOOKUPS = [
    ("policy", OUTSIDER, POLICY, NOT_LET_IN),
    ("policy", READER, POLICY, b"action=OK\n\n"),
    ("socketmap", OUTSIDER, f"16:drac {GOOD},".encode(), NOT_LET_IN),
    ("socketmap", READER, f"16:drac {GOOD},".encode(), b"5:OK OK,"),
    ("plain", OUTSIDER, f"{GOOD}\n".encode(), NOT_LET_IN),
    ("plain", READER, f"{GOOD}\n".encode(), b"yes\n"),
]

ROWS = [("report", *row) for row in REPORT] + [("control", *row) for row in CONTROL] + LOOKUPS


def talk(path, data):
    """All that comes back for data; the name of the error if there is no connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(PATIENCE)
        try:
            stream.connect(path)
        except PermissionError as error:
            return type(error).__name__
        got = b""
        try:
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass  # closed already; what was said is there
        try:
            while part := stream.recv(65536):
                got += part
        except ConnectionResetError:
            pass  # closed with octets unread
        return got


def leave_file(path):
    """Whether the descriptor that is handed over with a request is closed while the connection lasts."""
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(PATIENCE)
        stream.connect(path)
        socket.send_fds(stream, [b"blocks\n"], [writing])
        os.close(writing)
        with contextlib.suppress(ConnectionResetError):
            stream.recv(65536)
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        return bool(poll.poll(1000))


class Peers(unittest.TestCase):
    def setUp(self):
        self.dracd = dracd(REPORTER, NOBODY)
        self.addCleanup(self.dracd.remove)

    def test_wrong_peers(self):
        for name, account, data, expected in ROWS:
            with self.subTest(socket=name, account=account, data=data[:60]):
                got = Process(account, talk, self.dracd.path(name), data).result()
                if isinstance(expected, str):
                    self.assertEqual(got, expected)
                else:
                    self.assertRegex(got, b"^(?:%s)$" % expected)
        self.assertEqual(len(self.dracd.control("list")), 2, "the lease of GOOD, and the count")
        self.assertEqual(self.dracd.control("blocks"), ["OK count=0"])
        self.assertIn(f"report: uid {STRANGER} ", self.dracd.text())
        print(f"# {len(ROWS)} requests of other accounts")

    def test_files_are_kept_for_those_who_may_give_orders(self):
        """A descriptor may be one whose end takes long."""
        for account, is_closed in ((READER, True), (ADMIN, False), (ROOT, False)):
            with self.subTest(account=account):
                self.assertEqual(Process(account, leave_file, self.dracd.path("control")).result(), is_closed)


if __name__ == "__main__":
    unittest.main()
