"""Malformed requests on a plain lookup: dracd(8).

All name an address that has a lease: what is not understood must not let it relay. Whatever the
request was, its answer is the end.
"""
import socket
import unittest

from bad_input import CLOSED, ENDS, GONE, GOOD, Row, Table

LINE_MAX = 1024
YES, NO = "yes", "no"
RIGHT = b"drac " + GOOD.encode() + b"\n"


def name_of(data):
    text = data.decode("ascii", "backslashreplace")
    return f"{text[:40]}...{text[-10:]}" if len(text) > 60 else text


def no(line):
    """A line that does not ask for an address."""
    return Row("line " + name_of(line), line + b"\n", (NO,), CLOSED)


def yes(line):
    """A strange one, which does."""
    return Row("line " + name_of(line), line + b"\n", (YES,), CLOSED)


def unended(line, answer=NO):
    """A line whose end is the end of what the peer sends."""
    return Row("unended " + name_of(line), line, (answer,), ENDS)


LINES = [no(line) for line in (
    b"", b" ", b"\r", b"\r\r", b"\0", b"\t", b"drac", b"drac ", b" drac", b" 203.0.113.9", b"drac  203.0.113.9", b"203.0.113.9 ",
    b"drac 203.0.113.9 ", b"drac\t203.0.113.9", b"\t203.0.113.9", b"203.0.113.9\t", b"203.0.113.9\0", b"\x00203.0.113.9",
    b"drac \x00203.0.113.9", b"drac\x00203.0.113.9", b"drac\0 203.0.113.9", b"drac 203.0.113.9\0junk", b"203.0.113.9 drac",
    b"drac 203.0.113.9 203.0.113.9", b"drac drac 203.0.113.9", b"203.0.113.9,203.0.113.9", b"203.0.113.9\r\r", b"203.0.113.9\rx",
    b"\r203.0.113.9", b"drac\r 203.0.113.9", b"dr\x01ac 203.0.113.9", b"dr\x7fac 203.0.113.9", b"dr\xffac 203.0.113.9",
    b"\xef\xbb\xbf203.0.113.9", b"drac 203.0.113", b"drac 203.0", b"drac 203", b"203.0.113.9.", b"203.0.113.09", b"203.0.113.9/32",
    b"203.0.113.0/24", b"203.0.113.265", b"0xcb.0.113.9", b"3405803785", b"203.0.113.9:25", b"[203.0.113.9]", b"'203.0.113.9'",
    b"ipv6:203.0.113.9", b"ipv6:", b"ipv4:203.0.113.9", b"ipv6:ipv6:::ffff:203.0.113.9", b"ipv6 :::ffff:203.0.113.9",
    b"::203.0.113.9", b"::ffff:203.0.113.9%eth0", b"2001:db8:::9", b"unknown", b"client.example", b"*", b"\xff",
    b"203.0.113.9\xff", b"\xc0\xb2\xc0\xb0", "２０３.0.113.9".encode(), b"\x1b[31m", b"1" * 500, b"127.0.0.1",
    b"16:drac 203.0.113.9,", b"request=smtpd_access_policy", b"login address=203.0.113.66", b"GET / HTTP/1.0", b"drac " + b"x" * 500,
    b"w" * (LINE_MAX - len(RIGHT)) + RIGHT[:-1] + b"x",
)] + [yes(line) for line in (
    b"203.0.113.9", b"203.0.113.9\r", b"drac 203.0.113.9\r", b"::ffff:203.0.113.9", b"IPV6:::FFFF:203.0.113.9",
    b"drac ipv6:::ffff:cb00:7109", b"~!@#$%^&*()_+ 203.0.113.9", b"w" * (LINE_MAX - len(RIGHT)) + RIGHT[:-1],
)]

LONG = [
    Row("of one octet too many", b"w" * (LINE_MAX + 1 - len(RIGHT)) + RIGHT, (NO,), CLOSED),
    Row("of the limit, without an end", b"x" * LINE_MAX, (NO,), CLOSED),
    Row("of blanks without an end", b" " * 3 * LINE_MAX, (NO,), CLOSED),
    Row("of NULs without an end", b"\0" * 3 * LINE_MAX, (NO,), CLOSED),
    Row("of TLS", b"\x16\x03\x01\x02" + bytes(LINE_MAX), (NO,), CLOSED),
]

SERIES = [
    Row("a good one and another", RIGHT * 2, (YES,), CLOSED),
    Row("a good one and a bad one", RIGHT + b"x\n", (YES,), CLOSED),
    Row("a bad one and a good one", b"x\n" + RIGHT, (NO,), CLOSED),
    Row("an empty one and a good one", b"\n" + RIGHT, (NO,), CLOSED),
    Row("a good one and half of another", RIGHT + b"drac 20", (YES,), CLOSED),
    Row("very many good ones", RIGHT * 500, (YES,), CLOSED),
]

ENDINGS = [unended(line) for line in (
    b"drac", b"drac ", b"drac 203.0.113", b" 203.0.113.9", b"203.0.113.9 ", b"203.0.113.9\0", b"203.0.113.9\r\r", b"\r", b" ", b"\0",
    b"x" * (LINE_MAX - 1),
)] + [unended(line, YES) for line in (b"203.0.113.9", b"drac 203.0.113.9", b"203.0.113.9\r", b"ipv6:::ffff:203.0.113.9")] + [
    Row("nothing, and the end", b"", (), ENDS),
    Row("whole, and the end", RIGHT, (YES,), ENDS),
    Row("two, and the end", RIGHT * 2, (YES,), ENDS),
    Row("nothing, and gone", b"", (), GONE),
    Row("half, and gone", b"drac 20", (), GONE),
    Row("unended, and gone", b"drac 203.0.113.9", (), GONE),
    Row("gone before the answer", RIGHT, (), GONE),
]


class Plain(Table):
    SOCKET, ROWS = "plain", LINES + LONG + SERIES + ENDINGS
    ASK, RIGHT = RIGHT, YES

    def good(self, talk, row):
        super().good(talk, row)
        self.expect_end(talk, row)

    def amid_good(self, row):
        """What comes behind a request is no request, good or bad."""
        for data, answers in ((row.data + self.ASK, row.answers), (self.ASK + row.data, (YES,))):
            with self.talk() as talk:
                talk.send(data)
                self.expect(talk, answers, row)
                self.expect_end(talk, row)

    def test_malformed_requests(self):
        self.try_all()

    def test_as_exim_asks(self):
        """It ends its side at once, and reads up to the end; byte by byte is as good."""
        with self.talk() as talk:
            talk.send(RIGHT)
            talk.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(talk.rest(), b"yes\n")
        with self.talk() as talk:
            talk.send(RIGHT.replace(b"113.9", b"113.10"), 1)
            talk.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(talk.rest(), b"no\n")


del Table  # is no case of its own

if __name__ == "__main__":
    unittest.main()
