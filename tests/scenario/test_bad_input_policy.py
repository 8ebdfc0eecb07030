"""Malformed requests on a policy socket: dracd(8), and what Postfix's SMTPD_POLICY_README allows.

All name an address that has a lease: what is not understood must not let it relay.
"""
import unittest

from bad_input import CLOSED, ENDS, GONE, GOOD, Row, Table, cut_policy

REQUEST_MAX = 16384  # octets with the empty line
REQUEST = b"request=smtpd_access_policy\n"
CLIENT = b"client_address=" + GOOD.encode() + b"\n"
OK, DUNNO = "action=OK", "action=DUNNO"


def no(name, data):
    """A request, without its empty line, which is not the question whether GOOD may relay."""
    return Row(name, data + b"\n", (DUNNO,))


def yes(name, data):
    """A strange one, which is that question."""
    return Row(name, data + b"\n", (OK,))


def client(text):
    """A request with that address."""
    return no("client_address=" + text.decode("ascii", "backslashreplace")[:40],
              REQUEST + b"client_address=" + text + b"\n")


def filled(length):
    """A good request of that length."""
    name = b"sender="
    return REQUEST + CLIENT + name + b"x" * (length - len(REQUEST + CLIENT + name) - 2) + b"\n\n"


WORDS = [
    no("nothing", b""),
    no("no client_address", REQUEST),
    no("no request", CLIENT),
    no("another request", b"request=junk_policy\n" + CLIENT),
    no("request empty", b"request=\n" + CLIENT),
    no("request cut short", b"request=smtpd_access_polic\n" + CLIENT),
    no("request with more", b"request=smtpd_access_policy2\n" + CLIENT),
    no("request with a blank", b"request=smtpd_access_policy \n" + CLIENT),
    no("request in capitals", b"request=SMTPD_ACCESS_POLICY\n" + CLIENT),
    no("name in capitals", REQUEST + CLIENT.replace(b"client", b"Client")),
    no("name with a blank", REQUEST + CLIENT.replace(b"=", b" =")),
    no("name with a blank before it", REQUEST + b" " + CLIENT),
    no("name with more", REQUEST + b"x" + CLIENT),
    no("name of something else", REQUEST + CLIENT.replace(b"address", b"addresses")),
    no("the address of the server", REQUEST + CLIENT.replace(b"client", b"server")),
    no("colon for equals", REQUEST + CLIENT.replace(b"=", b":")),
    no("address and NUL", REQUEST + CLIENT[:-1] + b"\0\n"),
    no("address behind a NUL", REQUEST + CLIENT.replace(b"=", b"=\0")),
    no("NUL in a name", REQUEST + CLIENT + b"sen\0der=x\n"),
    no("NUL in another value", REQUEST + CLIENT + b"sender=x\0y\n"),
    no("NULs alone", REQUEST + CLIENT + b"\0\0\0\n"),
    no("NUL before all", b"\0" + REQUEST + CLIENT),
    no("a line without equals", REQUEST + CLIENT + b"sender\n"),
    no("a line without equals at first", b"HELO x\n" + REQUEST + CLIENT),
    no("a line without a name", REQUEST + CLIENT + b"=x\n"),
    no("a blank line that is not empty", REQUEST + CLIENT + b" \n"),
    no("request with CR", b"request=smtpd_access_policy\r\n" + CLIENT),
    no("address with CR", REQUEST + CLIENT[:-1] + b"\r\n"),
    no("client_address twice", REQUEST + CLIENT + CLIENT),
    no("client_address twice, another", REQUEST + CLIENT + b"client_address=203.0.113.66\n"),
    no("client_address twice, empty at first", REQUEST + b"client_address=\n" + CLIENT),
    no("client_address twice, garbage at last", REQUEST + CLIENT + b"client_address=x\n"),
    no("request twice, another at last", REQUEST + b"request=junk_policy\n" + CLIENT),
    no("request twice, another at first", b"request=junk_policy\n" + REQUEST + CLIENT),
    no("words of the report socket", b"login address=203.0.113.66\n"),
    no("words of the control socket", b"flush\n"),
    no("a netstring", b"16:drac 203.0.113.9,\n"),
    Row("HTTP", b"GET / HTTP/1.0\n\nGET / HTTP/1.0\n\n", (DUNNO, DUNNO)),
    no("octets that are no text", bytes(set(range(256)) - {10}) + b"\n"),
    no("many lines that are none", b"x\n" * 8000),
    Row("only LFs", b"\n" * 100, (DUNNO,) * 100),
    Row("bad ones among good", (REQUEST + CLIENT + b"\n" + CLIENT + b"\n") * 100, (OK, DUNNO) * 100),
    yes("request twice, the same", REQUEST + REQUEST + CLIENT),
    yes("address before request", CLIENT + REQUEST),
    yes("names unknown", REQUEST + CLIENT + b"from_a_later_version=1\nx=\n"),
    yes("equals in a value", REQUEST + CLIENT + b"sender=a=b==\n"),
    yes("another value that is no text", REQUEST + CLIENT + b"sender=\xff\xc0\x80\x1b[31m\r\n"),
    yes("many lines", REQUEST + CLIENT + b"a=\n" * 5000),
]

ADDRESSES = [client(text) for text in (
    b"", b"unknown", b" 203.0.113.9", b"203.0.113.9 ", b"\t203.0.113.9", b"203.0.113.09", b"203.0.113.9/32",
    b"203.0.113.9:25", b"203.0.113.9,203.0.113.9", b"203.0.113.265", b"203.0.113", b"203.0.113.9.", b".203.0.113.9",
    b"3405803785", b"0xcb.0.113.9", b"0313.0.113.9", b"+203.0.113.9", b"203.0.113.-9", b"[203.0.113.9]",
    b"ipv6:203.0.113.9", b"::203.0.113.9", b"::ffff:203.0.113.9/128", b"::ffff:203.0.113.9%eth0", b"2001:db8:::9",
    b"%203.0.113.9", "２０３.0.113.9".encode(), b"203.0.113.9\x7f", b"203.0.113.9\xff", b"1" * 300, b"127.0.0.1", b"localhost",
)]

LENGTHS = [
    Row("a request of the limit", filled(REQUEST_MAX), (OK,)),
    Row("a request of one less", filled(REQUEST_MAX - 1), (OK,)),
    Row("a request of one more", filled(REQUEST_MAX + 1), (), CLOSED),
    Row("a request of ten more", filled(REQUEST_MAX + 10), (), CLOSED),
    Row("a request of 20000", filled(20000), (), CLOSED),
    Row("a very long line", REQUEST + b"sender=" + b"x" * 200000, (), CLOSED),
    Row("very many lines", (REQUEST + CLIENT) * 1000, (), CLOSED),
    Row("long without a meaning", b"\0\xff" * 10000, (), CLOSED),
]

ENDINGS = [
    Row("nothing, and the end", b"", (), ENDS),
    Row("half a name, and the end", b"reque", (), ENDS),
    Row("all but the empty line, and the end", REQUEST + CLIENT, (), ENDS),
    Row("empty line with CR, and the end", REQUEST + CLIENT + b"\r\n", (), ENDS),
    Row("one and a half, and the end", REQUEST + CLIENT + b"\n" + REQUEST, (OK,), ENDS),
    Row("too long, and the end", filled(20000), (), ENDS),
    Row("nothing, and gone", b"", (), GONE),
    Row("half, and gone", REQUEST, (), GONE),
    Row("gone before the answer", REQUEST + CLIENT + b"\n", (), GONE),
    Row("many, and gone before the answers", (REQUEST + CLIENT + b"\n") * 300, (), GONE),
]


class Policy(Table):
    SOCKET, ROWS = "policy", WORDS + ADDRESSES + LENGTHS + ENDINGS
    ASK, RIGHT = REQUEST + CLIENT + b"\n", OK
    cut = staticmethod(cut_policy)

    def test_malformed_requests(self):
        self.try_all()


del Table  # is no case of its own

if __name__ == "__main__":
    unittest.main()
