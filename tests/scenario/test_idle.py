"""Thousands of connections to lookups that have asked once and are silent for long, as MTAs keep them."""
import os
import re
import resource
import signal
import statistics
import time
import unittest

from dracd_box import Dracd, memory_of

WANTED = 3000        # connections to each of two lookups
OTHERS = 128 + 32    # descriptors that dracd keeps back: files, and connections to the control socket
REPORTERS = 1024     # and those of reporters, a quarter of all at most
LOOKUPS = 3          # that share the rest
MINE = 500           # descriptors of this program for all else
LEAST = 500          # connections, or nothing is proved
OCTETS_MAX = 1024    # of dracd's memory for one connection
WAKEUPS_MAX = 100    # of dracd's loop while nobody asks
NEW = 300            # connections that come meanwhile
HERD = 2500          # that come at once

QUESTIONS = {  # and the ends of their answers
    "policy": (b"request=smtpd_access_policy\nclient_address=203.0.113.9\n\n", b"\n\n"),
    "socketmap": (b"16:drac 203.0.113.9,", b","),
}
YES = {"policy": "action=OK", "socketmap": "5:OK OK"}
NO = {"policy": "action=DUNNO", "socketmap": "9:NOTFOUND "}


def share_of_one(descriptors):
    """How many connections to one lookup one account may have, as dracd(8) tells."""
    whole = min(8192, (descriptors - OTHERS - min(REPORTERS, descriptors // 4)) // LOOKUPS)
    return whole - whole // 4


class Idle(unittest.TestCase):
    def setUp(self):
        soft, self.hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, self.hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.hard, self.hard))
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)

    def start(self, descriptors):
        """A dracd with so many descriptors, and a lease."""
        self.dracd.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)))
        self.dracd.login("203.0.113.9")

    def many(self, *limits):
        """As many connections as these allow."""
        count = min(limits)
        if count < LEAST:
            self.skipTest(f"limits allow {count} connections only: ulimit -n is {self.hard}")
        return count

    def ask(self, name, stream):
        question, end = QUESTIONS[name]
        stream.send(question)
        return stream.until(end)

    def open(self, name):
        stream = self.dracd.stream(name)
        self.addCleanup(stream.close)
        return stream

    def open_and_ask(self, name, count):
        streams = []
        for _ in range(count):  # one after the other: more than dracd's backlog must not wait to be accepted
            streams.append(self.open(name))
            self.assertEqual(self.ask(name, streams[-1]), YES[name])
        return streams

    def all_say(self, held, wanted):
        for name, streams in held.items():
            for stream in streams:
                self.assertEqual(self.ask(name, stream), wanted[name])

    def wakeups(self):
        with open(f"/proc/{self.dracd.process.pid}/status", encoding="utf-8") as status:
            return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status.read())[1])

    def wait_for_the_time_limit(self):
        """A connection that never asks is closed by it; what was silent for as long is older."""
        with self.dracd.stream("policy") as mute:
            self.assertTrue(mute.at_end())

    def new_ones(self):
        """Milliseconds from connect to answer, of connections that come and go."""
        took = []
        for number in range(NEW):
            name = ("policy", "socketmap")[number % 2]
            started = time.monotonic()
            with self.dracd.stream(name) as stream:
                self.assertEqual(self.ask(name, stream), YES[name])
            took.append((time.monotonic() - started) * 1000)
        return took

    def test_thousands_are_kept_and_answered(self):
        count = self.many(WANTED, share_of_one(self.hard) - 2, (self.hard - MINE) // 2)
        self.start(self.hard)
        self.open_and_ask("policy", 64)  # what the first ones cost is no cost of a connection
        before = memory_of(self.dracd.process.pid)
        held = {name: self.open_and_ask(name, count) for name in QUESTIONS}
        octets = (memory_of(self.dracd.process.pid) - before) * 1024 / (2 * count)
        self.assertLess(octets, OCTETS_MAX)
        wakeups = self.wakeups()
        self.wait_for_the_time_limit()
        self.assertLess(self.wakeups() - wakeups, WAKEUPS_MAX)
        took = self.new_ones()
        self.all_say(held, YES)
        self.dracd.control("revoke address=203.0.113.9")
        self.all_say(held, NO)
        print(f"# {2 * count} idle connections, {octets:.0f} octets of dracd's memory each; a new one meanwhile is "
              f"answered after {statistics.median(took):.2f} ms (median)")
        self.assertEqual(self.dracd.stop(), 0)
        for streams in held.values():
            self.assertTrue(all(stream.at_end() for stream in streams))

    def test_at_the_limit_those_that_are_there_go_on(self):
        descriptors = 1500
        count = share_of_one(descriptors)
        if self.hard < descriptors:
            self.skipTest(f"ulimit -n is {self.hard}, and {descriptors} are needed")
        self.start(descriptors)
        held = {"policy": self.open_and_ask("policy", count)}
        for _ in range(3):
            self.assertTrue(self.open("policy").at_end())
        self.dracd.wait_for_log(f"policy: {count} connections of uid ")
        held["socketmap"] = self.open_and_ask("socketmap", count)
        self.all_say(held, YES)
        self.assertTrue(self.dracd.login("203.0.113.10").startswith("OK granted"))
        held["policy"].pop().close()
        self.dracd.wait_for(self.is_served, "room again")

    def test_all_at_once_after_a_restart(self):
        """They connect before dracd has accepted the first of them."""
        with open("/proc/sys/net/core/somaxconn", encoding="ascii") as limit:
            count = self.many(HERD, int(limit.read()), share_of_one(self.hard), self.hard - MINE)
        self.start(self.hard)
        self.dracd.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.dracd.process.pid, os.WSTOPPED)
        held = [self.open("policy") for _ in range(count)]
        self.dracd.process.send_signal(signal.SIGCONT)
        self.all_say({"policy": held}, YES)

    def is_served(self):
        try:
            return self.ask("policy", self.open("policy")) == YES["policy"]
        except (BrokenPipeError, ConnectionResetError):  # turned away before the question was sent
            return False


if __name__ == "__main__":
    unittest.main()
