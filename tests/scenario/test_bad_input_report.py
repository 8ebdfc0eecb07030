"""Malformed requests on the report socket: each is answered as dracd-protocol(7) says."""
import unittest

from bad_input import BAD, CLOSED, EDGE, ENDS, GONE, GOOD, Row, Table

LINE_MAX = 2048  # octets with the LF
YEAR_MS = 366 * 86400 * 1000
LOGIN = b"login address=" + BAD.encode()
AT_EDGE = b"login address=" + EDGE.encode()
GRANTED = rf"OK (granted|renewed) address={EDGE} .*"
TOO_LONG = "ERR reason=too_long text=.*"


def syntax(text=""):
    """The answer whose text says so."""
    return (f"ERR reason=syntax text=.*{text.replace(' ', '%20')}.*",)


def line(name, text, problem, **more):
    """A row of one line."""
    return Row(name, text + b"\n", syntax(problem), **more)


def login(name, words, problem):
    """A row of a login of BAD with these words."""
    return line(name, LOGIN + b" " + words, problem)


def filled(length):
    """A line of that length: well-formed words, and an unknown key."""
    return b"noop x=" + b"y" * (length - 8) + b"\n"


LINES = [
    line("empty line", b"", "empty line"),
    line("a blank alone", b" ", "key"),
    line("blank before the verb", b" noop", "key"),
    line("blank at the end", b"noop ", "key"),
    line("two blanks", b"login  address=203.0.113.66", "key"),
    line("tab between words", b"login\taddress=203.0.113.66", "control character"),
    line("CR LF", b"noop\r", "control character"),
    line("CR within", LOGIN + b"\ruser=x", "control character"),
    line("NUL alone", b"\0", "control character"),
    line("NUL in the verb", b"no\0op", "control character"),
    line("NUL after a request", b"noop\0", "control character"),
    line("NUL after an address", LOGIN + b"\0", "control character"),
    line("NUL before an address", b"login address=\x00203.0.113.66", "control character"),
    line("NULs", b"\0" * 1000, "control character"),
    line("ESC", LOGIN + b" user=\x1b[31m", "control character"),
    line("BEL", LOGIN + b" user=\a", "control character"),
    line("DEL", LOGIN + b" user=\x7f", "control character"),
    line("unknown request", b"hello", "unknown request"),
    line("verb in capitals", b"LOGIN address=203.0.113.66", "unknown request"),
    line("an answer", b"OK granted address=203.0.113.66", "unknown request"),
    line("an order of the control socket", b"add address=203.0.113.66", "unknown request"),
    line("flush", b"flush", "unknown request"),
    line("verb with a value", b"login=203.0.113.66", "must start with a verb"),
    line("verb with an empty value", b"noop=", "must start with a verb"),
    line("no verb", b"address=203.0.113.66", "must start with a verb"),
    line("verb not ASCII", "lögin address=203.0.113.66".encode(), "key"),
    line("noop with a word", b"noop address=203.0.113.66", "unknown key"),
    line("noop with a bare key", b"noop login", "unknown key"),
    line("too many words", b"login" + b"".join(b" k%d" % i for i in range(32)), "too many words"),
    line("as many words as may be", LOGIN + b"".join(b" k%d" % i for i in range(30)), "unknown key"),
    line("octets that are no text", bytes(range(0x80, 0x100)), "key"),
    Row("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", syntax("control") * 3),
    Row("a policy request", f"request=smtpd_access_policy\nclient_address={GOOD}\n\n".encode(),
        syntax("verb") * 2 + syntax("empty")),
    Row("only LFs", b"\n" * 500, syntax("empty") * 500),
    Row("more lines than are read ahead", (b"noop\n" + LOGIN + b" x=y\n") * 100, ("OK", *syntax("unknown key")) * 100),
    Row("one bad in many good", (AT_EDGE + b"\n") * 99 + LOGIN + b" user=%\n" + (AT_EDGE + b"\n") * 99,
        (GRANTED,) * 99 + syntax("escape") + (GRANTED,) * 99),
]

KEYS = [
    line("no words", b"login", "address= is missing"),
    line("no address", b"login user=x", "address= is missing"),
    line("address bare", b"login address user=x", "without a value"),
    login("user bare", b"user", "without a value"),
    login("service bare", b"service", "without a value"),
    login("local bare", b"local", "without a value"),
    login("ttl_ms bare", b"ttl_ms", "without a value"),
    login("wait_ms bare", b"wait_ms", "without a value"),
    login("key unknown", b"ttl=5", "unknown key"),
    login("key unknown, bare", b"force", "unknown key"),
    login("key of another request", b"hold_ms=5", "unknown key"),
    login("key in capitals", b"User=x", "key"),
    login("key with a dot", b"user.name=x", "key"),
    login("key not ASCII", "usér=x".encode(), "key"),
    login("key empty", b"=x", "key"),
    login("escape in a key", b"us%65r=x", "key"),
    login("address twice, the same", b"address=203.0.113.66", "twice"),
    login("address twice, another", b"address=203.0.113.67", "twice"),
    login("user twice", b"user=a user=b", "twice"),
    login("key twice, bare at first", b"user user=b", "twice"),
]

VALUES = [
    login("escape cut off", b"user=%", "escape"),
    login("escape cut off after a digit", b"user=%4", "escape"),
    login("escape of no digits", b"user=%zz", "escape"),
    login("escape of one digit", b"user=%4g", "escape"),
    login("escape with a sign", b"user=%-1", "escape"),
    login("escape over two words", b"user=% 41", "escape"),
    login("escaped NUL", b"user=a%00b", "escape"),
    login("escaped LF", b"user=a%0Ab", "control"),
    login("escaped CR", b"user=a%0d", "control"),
    login("escaped ESC", b"user=%1b[31m", "control"),
    login("escaped DEL", b"user=%7F", "control"),
    login("C1 control character", b"user=\xc2\x9b31m", "UTF-8"),
    login("C1 control character, escaped", b"user=%C2%85", "UTF-8"),
    login("UTF-8: 0xff", b"user=\xff", "UTF-8"),
    login("UTF-8: 0xff, escaped", b"user=%ff", "UTF-8"),
    login("UTF-8 cut off", b"user=b\xc3", "UTF-8"),
    login("UTF-8 cut off by a blank", b"user=b\xe2\x82 service=imap", "UTF-8"),
    login("UTF-8: continuation alone", b"user=\x80", "UTF-8"),
    login("UTF-8: overlong NUL", b"user=\xc0\x80", "UTF-8"),
    login("UTF-8: overlong slash", b"user=\xe0\x80\xaf", "UTF-8"),
    login("UTF-8: surrogate", b"user=\xed\xa0\x80", "UTF-8"),
    login("UTF-8: above U+10FFFF", b"user=\xf4\x90\x80\x80", "UTF-8"),
    login("UTF-8: five octets", b"user=\xf8\x88\x80\x80\x80", "UTF-8"),
    login("UTF-8: half raw, half escaped, wrong", b"user=\xc3%28", "UTF-8"),
    login("user too long", b"user=" + b"u" * 256, "255 octets"),
    login("user too long, escaped", b"user=" + b"%75" * 256, "255 octets"),
    login("user too long in octets", b"user=" + "ü".encode() * 128, "255 octets"),
    login("service too long", b"service=" + b"s" * 33, "32 octets"),
    login("service in capitals", b"service=IMAP", "may hold"),
    login("service with a blank", b"service=im%20ap", "may hold"),
    login("service not ASCII", "service=imäp".encode(), "may hold"),
    Row("user and service as long as may be", AT_EDGE + b" user=" + b"%75" * 255 + b" service=" + b"s" * 32 + b"\n",
        (f"NO reason=service address={EDGE} hint=service",)),
    Row("user, service and local empty", AT_EDGE + b" user= service= local=\n", (GRANTED,)),
]

NO_ADDRESS = [
    b"", b"x", b"localhost", b"-1", b"256.0.113.66", b"203.0.113", b"203.0.113.66.1", b"203.0.113.066", b"0xcb.0.113.66",
    b"3405803842", b"203.0.113.66/32", b"203.0.113.66/24", b"203.0.113.66:25", b"203.0.113.66,203.0.113.67",
    b"%20203.0.113.66", b"203.0.113.66%20", b"203.0.113.-66", b"[2001:db8::66]", b"2001:db8::66%25eth0", b"2001:db8:::66",
    b"2001:db8::12345", b"1:2:3:4:5:6:7:8:9", b"::ffff:203.0.113.999", b"ipv6:2001:db8::66", b"*", b"9" * 400,
    "２０３.0.113.66".encode(), b"203.0.113.66;reload",
]

NO_NUMBER = [
    b"", b"-1", b"+1", b"1.5", b"1e3", b"0x10", b"%201", b"1%20", b"1s", b"18446744073709551616", b"9" * 20, b"9" * 300,
    b"0" * 20, "٣".encode(), b"inf",
]

NUMBERS = [
    *(line(f"address={text.decode()[:40]}", b"login address=" + text, "address= is not") for text in NO_ADDRESS),
    *(login(f"local={text.decode()[:40]}", b"local=" + text, "local= is not") for text in NO_ADDRESS if text),
    *(login(f"ttl_ms={text.decode()[:20]} ({len(text)})", b"ttl_ms=" + text, "ttl_ms= is not") for text in NO_NUMBER),
    *(login(f"wait_ms={text.decode()[:20]} ({len(text)})", b"wait_ms=" + text, "wait_ms= is not") for text in NO_NUMBER),
    login("ttl_ms of more than a year", b"ttl_ms=%d" % (YEAR_MS + 1), "ttl_ms= is not"),
    login("ttl_ms that would overflow", b"ttl_ms=9999999999999999999", "ttl_ms= is not"),
    Row("ttl_ms of a year", AT_EDGE + b" ttl_ms=%d\n" % YEAR_MS, (GRANTED,)),
    Row("ttl_ms of 0", AT_EDGE + b" ttl_ms=0\n", (GRANTED,)),
    Row("wait_ms that would overflow", AT_EDGE + b" wait_ms=9999999999999999999\n", (GRANTED,)),
]

LENGTHS = [
    Row("a line of the limit", filled(LINE_MAX), syntax("unknown key")),
    Row("a line of one less", filled(LINE_MAX - 1), syntax("unknown key")),
    Row("a line of one more", filled(LINE_MAX + 1), (TOO_LONG,), CLOSED),
    Row("a line of the limit without its LF", b"x" * LINE_MAX, (TOO_LONG,), CLOSED),
    Row("a long login", LOGIN + b" user=" + b"u" * 3000 + b"\n", (TOO_LONG,), CLOSED),
    Row("a very long line", b"login " + b"x" * 100000, (TOO_LONG,), CLOSED),
    Row("long without a meaning", b"\0\xff" * 5000, (TOO_LONG,), CLOSED),
    Row("too long behind many", (AT_EDGE + b"\n") * 99 + b"y" * 5000, (GRANTED,) * 99 + (TOO_LONG,), CLOSED),
]

ENDINGS = [
    Row("nothing, and the end", b"", (), ENDS),
    Row("half a line, and the end", LOGIN, (), ENDS),
    Row("all but the LF", b"noop", (), ENDS),
    Row("a netstring", b"15:drac 203.0.113.9,", (), ENDS),
    Row("one and a half, and the end", b"noop\n" + LOGIN, ("OK",), ENDS),
    Row("many, and the end", (AT_EDGE + b"\n") * 200, (GRANTED,) * 200, ENDS),
    Row("an unknown request, and the end", b"x\n", syntax("unknown request"), ENDS),
    Row("too long, and the end", b"x" * 4000, (TOO_LONG,), ENDS),
    Row("nothing, and gone", b"", (), GONE),
    Row("half a line, and gone", LOGIN, (), GONE),
    Row("a login, and gone before the answer", AT_EDGE + b"\n", (), GONE),
    Row("many, and gone before the answers", (AT_EDGE + b"\n") * 300, (), GONE),
    Row("bad ones, and gone before the answers", (LOGIN + b" %\n") * 300, (), GONE),
]


class Report(Table):
    SOCKET, ROWS = "report", LINES + KEYS + VALUES + NUMBERS + LENGTHS + ENDINGS
    ASK = f"login address={GOOD} user=bob@x.net service=imap\n".encode()
    RIGHT = rf"OK (granted|renewed) address={GOOD} until_ms=\d+ boot_ms=\d+ left_ms=\d+"

    def test_malformed_requests(self):
        self.try_all()


del Table  # is no case of its own

if __name__ == "__main__":
    unittest.main()
