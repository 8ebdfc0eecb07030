"""Malformed requests on a socketmap socket: dracd(8), netstrings, Postfix's socketmap_table(5).

All name an address that has a lease: what is not understood must not let it relay.
"""
import unittest

from bad_input import CLOSED, ENDS, GONE, GOOD, Row, Table, cut_netstring

QUERY_MAX = 10000
OK, NOTFOUND = "OK OK", "NOTFOUND "


def netstring(text):
    """As it should be."""
    return b"%d:%s," % (len(text), text)


RIGHT = netstring(b"drac " + GOOD.encode())


def no(query, name=None):
    """A netstring that does not ask for an address."""
    return Row("query " + (name or query.decode("ascii", "backslashreplace")[:50]), netstring(query), (NOTFOUND,))


def yes(query, name=None):
    """A strange one, which does."""
    return Row("query " + (name or query.decode("ascii", "backslashreplace")[:50]), netstring(query), (OK,))


def broken(data, name=None):
    """What is no netstring: nobody can tell where the next one begins."""
    return Row("octets " + (name or data.decode("ascii", "backslashreplace")[:50]), data, (), CLOSED)


NETSTRINGS = [broken(data) for data in (
    b":,", b",", b" ", b"\0", b"\n", b"\r\n", b"x", b"-1:,", b"+1:a,", b" 16:drac 203.0.113.9,", b"0x10:drac 203.0.113.9,",
    b"016:drac 203.0.113.9,", b"00:,", b"00016:drac 203.0.113.9,", b"1 6:drac 203.0.113.9,", b"16 :drac 203.0.113.9,",
    b"16;drac 203.0.113.9,", b"16,drac 203.0.113.9,", b"16.0:drac 203.0.113.9,", b"1e1:", b"16\0:drac 203.0.113.9,",
    b"16:drac 203.0.113.9;", b"16:drac 203.0.113.9\n", b"16:drac 203.0.113.9\0", b"16:drac 203.0.113.9 ,",
    b"15:drac 203.0.113.9,", b"0:x", b"1:,x", b"10001:", b"99999:", b"100000:", b"65552:",
    b"4294967312:drac 203.0.113.9,", b"18446744073709551632:drac 203.0.113.9,", b"9" * 300, b"1" * 30 + b":",
    "１６:drac 203.0.113.9,".encode(), b"\xff\xfe", b"drac 203.0.113.9\n", b"get drac 203.0.113.9\n", b"flush\n",
    b"login address=203.0.113.66\n", b"request=smtpd_access_policy\n\n", b"GET / HTTP/1.0\r\n\r\n",
)] + [
    broken(b"%d:%s," % (QUERY_MAX + 1, b"x" * (QUERY_MAX + 1)), "of one too many"),
    broken(b"100000:" + b"x" * 100000, "of very many"),
    broken(b"\x16\x03\x01\x02" + bytes(500), "of TLS"),
    broken(netstring(b"drac 203.0.113.9")[:-1] + b"\r", "with CR for the comma"),
]

QUERIES = [no(query) for query in (
    b"", b" ", b"drac", b"drac ", b" drac", b"203.0.113.9", b"drac  203.0.113.9", b"drac 203.0.113.9 ", b"drac\t203.0.113.9",
    b"drac\n203.0.113.9", b"drac 203.0.113.9\n", b"drac 203.0.113.9\r", b"drac 203.0.113.9\0", b"drac \x00203.0.113.9",
    b"drac\x00203.0.113.9", b"drac 203.0.113.9 203.0.113.9", b"drac drac 203.0.113.9", b"drac 203.0.113", b"drac 203.0",
    b"drac 203", b"drac 203.0.113.9.", b"drac 203.0.113.09", b"drac 203.0.113.9/32", b"drac 203.0.113.265", b"drac 0xcb.0.113.9",
    b"drac 3405803785", b"drac 203.0.113.9:25", b"drac [203.0.113.9]", b"drac ipv6:203.0.113.9", b"drac ipv6:",
    b"drac ipv4:203.0.113.9", b"drac ipv6:ipv6:::ffff:203.0.113.9", b"drac ::203.0.113.9", b"drac ::ffff:203.0.113.9%eth0",
    b"drac 2001:db8:::9", b"drac unknown", b"drac client.example", b"drac bob@x.net", b"drac *", b"drac %203.0.113.9", b"drac \xff",
    b"drac 203.0.113.9\xff", b"drac \xc0\xb2\xc0\xb0", "drac ２０３.0.113.9".encode(), b"drac \x1b[31m", b"drac " + b"1" * 500,
    b"drac 127.0.0.1",
)] + [
    no(b"drac " + b"x" * (QUERY_MAX - 5), "of the limit"),
    no(b"x" * QUERY_MAX, "of the limit without a blank"),
    no(b"drac " + b"x" * (QUERY_MAX - 6), "of one less"),
    no(b"\0" * QUERY_MAX, "of NULs"),
    no(b" " * QUERY_MAX, "of blanks"),
    no(b"drac " + b"9," * 4000, "of commas"),
    yes(b"m" * (QUERY_MAX - len(GOOD) - 1) + b" " + GOOD.encode(), "with a long name of the map"),
    yes(b"\xff\0\x1b 203.0.113.9", "with a name of the map that is no text"),
    yes(b" 203.0.113.9", "with no name of the map"),
    yes(b"drac ::ffff:203.0.113.9"),
    yes(b"drac IPV6:::FFFF:203.0.113.9"),
]

SERIES = [
    Row("bad ones among good", (RIGHT + netstring(b"drac x")) * 100, (OK, NOTFOUND) * 100),
    Row("comma in the query, then garbage", b"17:drac 203.0.113.9,,x", (NOTFOUND,), CLOSED),
    Row("many empty ones", b"0:," * 250, (NOTFOUND,) * 250),
    Row("garbage behind many", RIGHT * 99 + b"\n" + RIGHT * 99, (OK,) * 99, CLOSED),
    Row("a length behind many that is too large", RIGHT * 99 + b"10001:" + RIGHT * 99, (OK,) * 99, CLOSED),
]

ENDINGS = [
    Row("nothing, and the end", b"", (), ENDS),
    Row("half a length, and the end", b"1", (), ENDS),
    Row("a length, and the end", b"16:", (), ENDS),
    Row("half a netstring, and the end", b"16:drac 203.0.1", (), ENDS),
    Row("all but the comma, and the end", b"16:drac 203.0.113.9", (), ENDS),
    Row("a length of one more, and the end", b"17:drac 203.0.113.9,", (), ENDS),
    Row("one and a half, and the end", RIGHT + b"16:drac", (OK,), ENDS),
    Row("many, and the end", RIGHT * 250, (OK,) * 250, ENDS),
    Row("broken, and the end", b"x", (), ENDS),
    Row("nothing, and gone", b"", (), GONE),
    Row("half, and gone", b"16:drac", (), GONE),
    Row("gone before the answer", RIGHT, (), GONE),
    Row("many, and gone before the answers", RIGHT * 500, (), GONE),
]


class Socketmap(Table):
    SOCKET, ROWS = "socketmap", NETSTRINGS + QUERIES + SERIES + ENDINGS
    ASK, RIGHT = RIGHT, OK
    cut = staticmethod(cut_netstring)

    def test_malformed_requests(self):
        self.try_all()


del Table  # is no case of its own

if __name__ == "__main__":
    unittest.main()
