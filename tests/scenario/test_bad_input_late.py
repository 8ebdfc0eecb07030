"""Requests that do not come whole: after ten seconds the connection is closed, on every socket.

All wait at the same time, and good requests are answered meanwhile. dracd-protocol(7), dracd(8).
"""
import concurrent.futures
import socket
import time
import unittest

from bad_input import BAD, GOOD, Talk, cut_line, cut_netstring, cut_policy
from dracd_box import Dracd

SECONDS = 10  # as documented
SLACK = 5     # of a slow machine

POLICY = f"request=smtpd_access_policy\nclient_address={GOOD}\n".encode()
MAP = f"16:drac {GOOD},".encode()
LOGIN = b"login address=" + BAD.encode()
TIMEOUT, OK, COUNT = "ERR reason=timeout text=.*", "OK", "OK count=0"

ROWS = [  # socket, what is sent (not at once, if it is several), what is answered before the end
    ("report", (b"",), (TIMEOUT,)),
    ("report", (b"n",), (TIMEOUT,)),
    ("report", (LOGIN,), (TIMEOUT,)),
    ("report", (LOGIN + b" user=%",), (TIMEOUT,)),
    ("report", (b"noop\r",), (TIMEOUT,)),
    ("report", (b"\0",), (TIMEOUT,)),
    ("report", (b"x" * 2047,), (TIMEOUT,)),
    ("report", (b"noop\nn",), (OK, TIMEOUT)),
    ("report", (b"noop\n" * 300 + b"n",), (OK,) * 300 + (TIMEOUT,)),
    ("report", (b"x=\nn",), ("ERR reason=syntax .*", TIMEOUT)),
    ("report", (f"login address={GOOD} wait_ms=12000\nn".encode(),), (f"OK renewed address={GOOD} .*", TIMEOUT)),
    ("report", (b"no", b"op"), (TIMEOUT,)),
    ("control", (b"",), (TIMEOUT,)),
    ("control", (b"flush",), (TIMEOUT,)),
    ("control", (b"flush\r",), (TIMEOUT,)),
    ("control", (b"x" * 2047,), (TIMEOUT,)),
    ("control", (b"blocks\nflush",), (COUNT, TIMEOUT)),
    ("control", (b"blocks\n" * 300 + b"flush",), (COUNT,) * 300 + (TIMEOUT,)),
    ("control", (b"fl", b"ush"), (TIMEOUT,)),
    ("policy", (b"",), ()),
    ("policy", (b"r",), ()),
    ("policy", (POLICY,), ()),
    ("policy", (POLICY + b"\r\n",), ()),
    ("policy", (POLICY.replace(b"\n", b"\r\n") + b"\r\n",), ()),
    ("policy", (POLICY + b"\0\n",), ()),
    ("policy", (b"x" * 16383,), ()),
    ("policy", (POLICY + b"\n" + POLICY,), ("action=OK",)),
    ("policy", (POLICY, b"x=y\n"), ()),
    ("socketmap", (b"",), ()),
    ("socketmap", (b"1",), ()),
    ("socketmap", (b"10000",), ()),
    ("socketmap", (b"16:",), ()),
    ("socketmap", (MAP[:-1],), ()),
    ("socketmap", (b"17" + MAP[2:],), ()),
    ("socketmap", (b"10000:" + b"x" * 10000,), ()),
    ("socketmap", (MAP * 100 + b"1",), ("OK OK",) * 100),
    ("socketmap", (MAP[:4], MAP[4:8]), ()),
    ("plain", (b"",), ()),
    ("plain", (b"203.0.113.9",), ()),
    ("plain", (b"203.0.113.9\r",), ()),
    ("plain", (b"x" * 1023,), ()),
    ("plain", (b"drac ", b"203.0.113.9"), ()),
]

GOOD_ONES = {  # what is asked meanwhile
    "report": (b"noop\n", OK, cut_line),
    "control": (b"blocks\n", COUNT, cut_line),
    "policy": (POLICY + b"\n", "action=OK", cut_policy),
    "socketmap": (MAP, "OK OK", cut_netstring),
    "plain": (b"203.0.113.9\n", "yes", cut_line),
}


class Late(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd("durability = process\n")
        self.addCleanup(self.dracd.remove)
        self.dracd.start()
        self.dracd.login(GOOD)

    def talk(self, name):
        return Talk(self.dracd.path(name), GOOD_ONES[name][2])

    def wait_for_end(self, row):
        """What came before it, and after how long."""
        name, parts, answers = row
        started = time.monotonic()
        with self.talk(name) as talk:
            talk.socket.settimeout(SECONDS + 2 * SLACK)
            for part in parts:
                talk.send(part)
                if len(parts) > 1:
                    time.sleep(SLACK + 1)  # the time is that of the request, not of its last part
            got = [talk.answer() for _ in answers]
            rest = talk.rest()
        return row, got, rest, time.monotonic() - started

    def ask_good(self):
        for name, (ask, right, _) in GOOD_ONES.items():
            with self.talk(name) as talk:
                talk.send(ask)
                self.assertEqual(talk.answer().decode(), right)
                talk.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(talk.rest(), b"")

    def test_what_does_not_come_whole(self):
        with concurrent.futures.ThreadPoolExecutor(len(ROWS)) as pool:
            waiting = [pool.submit(self.wait_for_end, row) for row in ROWS]
            self.ask_good()
            ended, _ = concurrent.futures.wait(waiting, SECONDS - 2)
            self.assertEqual([future.result() for future in ended], [], "closed before their time")
            self.ask_good()
            for future in waiting:
                row, got, rest, took = future.result()
                with self.subTest(socket=row[0], sent=row[1][-1][-40:]):
                    for answer, pattern in zip(got, row[2]):
                        self.assertRegex((answer or b"closed").decode(), f"^(?:{pattern})$")
                    self.assertEqual(rest, b"")
                    self.assertGreater(took, SECONDS - 0.5)
                    self.assertLess(took, SECONDS + SLACK)
        self.ask_good()
        leases = self.dracd.control("list")
        self.assertEqual([line.split()[1] for line in leases[:-1]], [f"address={GOOD}"])
        print(f"# {len(ROWS)} requests that did not come whole")


if __name__ == "__main__":
    unittest.main()
