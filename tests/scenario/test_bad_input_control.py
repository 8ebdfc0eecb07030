"""Malformed requests on the control socket: each is answered as dracd-protocol(7) says."""
import unittest

from bad_input import BAD, CLOSED, ENDS, GONE, GOOD, Row, Table

LINE_MAX = 2048  # octets with the LF
YEAR_MS = 366 * 86400 * 1000
ADDRESS = b"address=" + BAD.encode()
TOO_LONG = "ERR reason=too_long text=.*"
MANY = 5000      # leases, whose list is more than a socket takes at once


def syntax(text=""):
    """The answer whose text says so."""
    return (f"ERR reason=syntax text=.*{text.replace(' ', '%20')}.*",)


def line(text, problem, name=None):
    """A row of one line, named for it."""
    return Row(name or text.decode("ascii", "backslashreplace"), text + b"\n", syntax(problem))


def filled(length):
    """A line of that length: well-formed words, and an unknown key."""
    return b"status x=" + b"y" * (length - 10) + b"\n"


LINES = [
    line(b"", "empty line", "empty line"),
    line(b" ", "key", "a blank alone"),
    line(b" blocks", "key"),
    line(b"blocks ", "key"),
    line(b"check  " + ADDRESS, "key"),
    line(b"check\t" + ADDRESS, "control character"),
    line(b"flush\r", "control character"),
    line(b"flush\0", "control character"),
    line(b"\0flush", "control character"),
    line(b"fl\0ush", "control character"),
    line(b"\x1b[2J", "control character"),
    line(b"flush\x7f", "control character"),
    line(b"revoke address=203.0.113.9\0", "control character"),
    line(b"help", "unknown command"),
    line(b"FLUSH", "unknown command"),
    line(b"flushed", "unknown command"),
    line(b"flus", "unknown command"),
    line(b"quit", "unknown command"),
    line(b"noop", "unknown command"),
    line(b"login " + ADDRESS, "unknown command"),
    line(b"ERR reason=denied", "unknown command"),
    line(b"flush=yes", "must start with a verb"),
    line(ADDRESS, "must start with a verb"),
    line("flüsh".encode(), "key"),
    line(b"-", "unknown command"),
    line(b"status" + b"".join(b" k%d" % i for i in range(32)), "too many words"),
    line(b"status" + b"".join(b" k%d" % i for i in range(31)), "unknown key", "as many words as may be"),
    line(bytes(range(0x80, 0x100)), "key", "octets that are no text"),
    Row("HTTP", b"POST /flush HTTP/1.0\r\n\r\nflush", syntax("control") * 2, ENDS),
    Row("a policy request", f"request=smtpd_access_policy\nclient_address={GOOD}\n\n".encode(),
        syntax("verb") * 2 + syntax("empty")),
    Row("only LFs", b"\n" * 500, syntax("empty") * 500),
    Row("one bad in many good", b"blocks\n" * 200 + b"flush now\n" + b"blocks\n" * 200,
        ("OK count=0",) * 200 + syntax("unknown key") + ("OK count=0",) * 200),
]

KEYS = [
    line(b"status x", "unknown key"),
    line(b"status verbose=yes", "unknown key"),
    line(b"status status", "unknown key"),
    line(b"blocks " + ADDRESS, "unknown key"),
    line(b"flush all", "unknown key"),
    line(b"flush user=bob@x.net", "unknown key"),
    line(b"flush hold_ms=5", "unknown key"),
    line(b"reload now", "unknown key"),
    line(b"reload file=/tmp/x", "unknown key"),
    line(b"check " + ADDRESS + b" user=x", "unknown key"),
    line(b"list limit=5", "unknown key"),
    line(b"list ms=5", "unknown key"),
    line(b"list expiring=5", "unknown key"),
    line(b"list " + ADDRESS, "unknown key"),
    line(b"add " + ADDRESS + b" local=192.0.2.1", "unknown key"),
    line(b"add " + ADDRESS + b" hold_ms=5", "unknown key"),
    line(b"revoke " + ADDRESS + b" ttl_ms=5", "unknown key"),
    line(b"revoke " + ADDRESS + b" text=x", "unknown key"),
    line(b"unblock " + ADDRESS + b" reason=x", "unknown key"),
    line(b"maps build=yes", "unknown key"),
    line(b"check Address=203.0.113.66", "key"),
    line(b"check =203.0.113.66", "key"),
    line(b"check address", "without a value"),
    line(b"list user", "without a value"),
    line(b"list service", "without a value"),
    line(b"list expiring_ms", "without a value"),
    line(b"add " + ADDRESS + b" user", "without a value"),
    line(b"revoke address user=bob@x.net", "without a value"),
    line(b"revoke user address=203.0.113.9", "without a value"),
    line(b"revoke address=203.0.113.9 hold_ms", "without a value"),
    line(b"unblock user", "without a value"),
    line(b"maps rebuild", "without a value"),
    line(b"check " + ADDRESS + b" " + ADDRESS, "twice"),
    line(b"revoke " + ADDRESS + b" address=203.0.113.9", "twice"),
    line(b"list user=a user=b", "twice"),
    line(b"maps rebuild=yes rebuild=yes", "twice"),
    line(b"maps rebuild=no", "may be yes only"),
    line(b"maps rebuild=", "may be yes only"),
]

NO_ADDRESS = [
    b"", b"x", b"localhost", b"256.0.113.66", b"203.0.113", b"203.0.113.066", b"0xcb.0.113.66", b"203.0.113.66:25",
    b"203.0.113.66%20", b"%20203.0.113.66", b"[2001:db8::66]", b"2001:db8::66%25eth0", b"2001:db8:::66", b"*", b"9" * 400,
    b"203.0.113.66/", b"203.0.113.66/33", b"203.0.113.66/-1", b"203.0.113.66/032", b"203.0.113.66/255.255.255.255",
    b"2001:db8::66/129", b"203.0.113.66/99999999999999999999", b"/24", b"203.0.113.66/32/32",
]
NO_NUMBER = [b"", b"-1", b"+1", b"1.5", b"0x10", b"1%20", b"2h", b"18446744073709551616", b"9" * 20, b"9" * 300]

VALUES = [
    line(b"check", "address= is not"),
    line(b"add", "address= is missing"),
    line(b"revoke", "must be given"),
    line(b"unblock", "must be given"),
    line(b"revoke hold_ms=5", "must be given"),
    line(b"revoke reason=x", "must be given"),
    line(b"revoke address=203.0.113.9 user=bob@x.net", "must be given"),
    line(b"unblock address=203.0.113.9 user=bob@x.net", "must be given"),
    line(b"revoke user=", "user= must have"),
    line(b"unblock user=", "user= must have"),
    line(b"revoke user=" + b"u" * 256, "user= must have", "revoke user= too long"),
    line(b"unblock user=" + b"u" * 256, "user= must have", "unblock user= too long"),
    line(b"revoke address=203.0.113.9 reason=" + b"r" * 256, "reason= is longer", "reason too long"),
    line(b"revoke address=203.0.113.9 reason=" + b"%72" * 256, "reason= is longer", "reason too long, escaped"),
    line(b"revoke address=203.0.113.9 reason=a%0Ab", "control"),
    line(b"revoke address=203.0.113.9 reason=%1b[31m", "control"),
    line(b"revoke address=203.0.113.9 reason=%00", "escape"),
    line(b"revoke address=203.0.113.9 reason=%", "escape"),
    line(b"revoke address=203.0.113.9 reason=\xff", "UTF-8"),
    line(b"revoke address=203.0.113.9 reason=\xc2\x9b", "UTF-8"),
    line(b"revoke user=bob%40x.net%0D", "control"),
    line(b"list user=%zz", "escape"),
    line(b"list user=\xc0\x80", "UTF-8"),
    line(b"list user=" + b"u" * 256, "too long", "list user= too long"),
    line(b"list service=" + b"s" * 33, "too long", "list service= too long"),
    line(b"add " + ADDRESS + b" user=" + b"u" * 256, "255 octets", "add user= too long"),
    line(b"add " + ADDRESS + b" service=IMAP", "may hold"),
    line(b"check address=203.0.113.66/32", "address= is not"),
    line(b"add address=203.0.113.66/24", "host bits"),
    line(b"revoke address=203.0.113.66/24", "address= "),
    line(b"add " + ADDRESS + b" ttl_ms=%d" % (YEAR_MS + 1), "ttl_ms= is not"),
    line(b"revoke address=203.0.113.9 hold_ms=%d" % (YEAR_MS + 1), "hold_ms= is not"),
    line(b"revoke address=203.0.113.9 hold_ms=9999999999999999999", "hold_ms= is not"),
    *(line(verb + b" address=" + text, "address= is not", f"{verb.decode()} address={text.decode()[:30]}")
      for text in NO_ADDRESS for verb in (b"check", b"add", b"revoke", b"unblock")),
    *(line(verb + b"=" + text, key, f"{verb.decode()}={text.decode()[:30]}, {len(text)} digits") for text in NO_NUMBER
      for verb, key in ((b"list expiring_ms", "expiring_ms= is no"), (b"add address=203.0.113.66 ttl_ms", "ttl_ms= is not"),
                        (b"add address=203.0.113.66 wait_ms", "wait_ms= is not"),
                        (b"revoke address=203.0.113.9 hold_ms", "hold_ms= is not"))),
    Row("nothing to unblock", b"unblock user=nobody\n", ("NO reason=no_block",)),
    Row("expiring_ms that would overflow", b"list expiring_ms=9999999999999999999 user=nobody\n", ("OK count=0",)),
]

LENGTHS = [
    Row("a line of the limit", filled(LINE_MAX), syntax("unknown key")),
    Row("a line of one more", filled(LINE_MAX + 1), (TOO_LONG,), CLOSED),
    Row("a line of the limit without its LF", b"x" * LINE_MAX, (TOO_LONG,), CLOSED),
    Row("a very long line", b"revoke reason=" + b"x" * 100000, (TOO_LONG,), CLOSED),
    Row("long without a meaning", b"\0\xff" * 5000, (TOO_LONG,), CLOSED),
    Row("too long behind many", b"blocks\n" * 99 + b"y" * 5000, ("OK count=0",) * 99 + (TOO_LONG,), CLOSED),
]

ENDINGS = [
    Row("nothing, and the end", b"", (), ENDS),
    Row("half a line, and the end", b"flush", (), ENDS),
    Row("one and a half, and the end", b"blocks\nflush", ("OK count=0",), ENDS),
    Row("many, and the end", b"blocks\n" * 300, ("OK count=0",) * 300, ENDS),
    Row("too long, and the end", b"x" * 4000, (TOO_LONG,), ENDS),
    Row("nothing, and gone", b"", (), GONE),
    Row("half a line, and gone", b"flush", (), GONE),
    Row("gone before the answer", b"status\n", (), GONE),
    Row("list, and gone before the answer", b"list\n", (), GONE),
    Row("reload, and gone before the answer", b"reload\n", (), GONE),
    Row("many, and gone before the answers", b"status\nlist\n" * 300, (), GONE),
]


class Control(Table):
    SOCKET, ROWS = "control", LINES + KEYS + VALUES + LENGTHS + ENDINGS
    ASK, RIGHT = f"check address={GOOD}\n".encode(), f"OK permit address={GOOD} lease={GOOD} .*"

    def test_malformed_requests(self):
        self.try_all()

    def test_the_last_answer_waits_for_who_is_slow_to_read(self):
        """However many are in the socket before it, which takes some 40 at once."""
        for count in range(150):
            row = Row(f"too long behind {count} answers that are not read", b"blocks\n" * count + b"y" * 5000)
            with self.talk() as talk:
                talk.send(row.data)
                with self.talk() as other:
                    self.good(other, row)  # dracd has read all of that by now
                self.expect(talk, ("OK count=0",) * count + (TOO_LONG,), row)
                self.expect_end(talk, row)
        self.wait_for_no_connection()

    def test_a_list_that_is_not_read_to_its_end(self):
        with self.talk() as talk:
            talk.send(b"".join(b"add address=2001:db8::%x\n" % i for i in range(1, MANY + 1)))
            for _ in range(MANY):
                self.assertRegex(talk.answer(), b"^OK granted ")
        self.wait_for_no_connection()
        files = self.files()
        for begun in (0, 1, 100):
            for sent in (b"list\n", b"list\nlist\nstatus\n", b"list\nflu"):
                row = Row(f"{sent}, {begun} rows read", sent)
                with self.talk() as talk:
                    talk.send(sent)
                    self.expect(talk, ["lease .*"] * begun, row)
                with self.talk() as talk:
                    self.good(talk, row)
        with self.talk() as talk:
            talk.send(b"list\nlist\n")
            for _ in range(2):
                self.expect(talk, ["lease .*"] * (MANY + 1) + [f"OK count={MANY + 1}"], row)
        self.wait_for_no_connection()
        self.assertCountEqual(self.files(), files)


del Table  # is no case of its own

if __name__ == "__main__":
    unittest.main()
