"""What one client can take of the sockets: a share of the connections, and a time for each request."""
import concurrent.futures
import os
import resource
import select
import time
import unittest

from dracd_box import Dracd, Stream

REQUEST_SECONDS = 10  # as documented in dracd(8)
CONTROL_SHARE = 24    # of 32: three quarters

WHOLE = {  # a question, and the end of its answer
    "report": ("noop\n", b"\n"),
    "control": ("blocks\n", b"\n"),
    "policy": ("request=smtpd_access_policy\nclient_address=203.0.113.9\n\n", b"\n\n"),
    "socketmap": ("16:drac 203.0.113.9,", b","),
}


class Limits(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        self.dracd.start()

    def open(self, socket):
        stream = Stream(self.dracd.path(socket))
        self.addCleanup(stream.close)
        return stream

    def is_served(self):
        try:
            return self.open("control").ask("blocks") == "OK count=0"
        except (BrokenPipeError, ConnectionResetError):  # turned away before the question was sent
            return False

    def test_one_account_has_a_share_of_the_connections(self):
        held = [self.open("control") for _ in range(CONTROL_SHARE)]
        for stream in held:
            self.assertEqual(stream.ask("blocks"), "OK count=0")
        for _ in range(3):
            self.assertEqual(self.open("control").line(), "ERR reason=busy text=too%20many%20connections")
        self.dracd.wait_for_log(f"control: {CONTROL_SHARE} connections of uid ")
        self.assertEqual(self.dracd.text().count("the limit of one account"), 1, "said once")
        self.assertEqual(held[7].ask("blocks"), "OK count=0", "those that are there go on")
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"), "other sockets too")
        held.pop().close()
        self.dracd.wait_for(self.is_served, "room again")

    def files(self):
        """The numbers of the descriptors that dracd has."""
        return {int(number) for number in os.listdir(f"/proc/{self.dracd.process.pid}/fd")}

    def test_without_descriptors(self):
        """Who comes is let go at once, and does not hang in the queue; who is there is served."""
        pid, (question, end) = self.dracd.process.pid, WHOLE["policy"]
        used = self.open("policy")
        used.send(question)
        used.until(end)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        limit, held = max(self.files()) + 1, []
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
        # what numbers are free; one that comes too many is let go
        self.dracd.wait_for(lambda: len(self.files()) >= limit or held.append(self.open("plain")), "all to be taken")
        ticks = self.dracd.processor_ticks()
        more = len(held) + 4
        for socket in ("policy", "socketmap", "control", "report"):
            refused = 0
            while refused < 3:
                stream = self.open(socket)
                if select.select([stream.socket], [], [], 1)[0]:
                    self.assertTrue(stream.at_end(), socket)
                    refused += 1
                else:  # it has a number that libc had for a moment when they were taken
                    held.append(stream)
                    self.assertLess(len(held), more, socket)
        used.send(question)
        self.assertEqual(used.until(end), "action=DUNNO")
        self.assertLess(self.dracd.processor_ticks() - ticks, 50, "it does not turn for nothing")
        for stream in held:
            stream.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        self.dracd.wait_for(self.is_served, "room again")
        self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK granted"))

    def late(self, socket, beginning, is_first):
        """How a connection ends that sends this and no more, and after how long."""
        question, end = WHOLE[socket]
        stream = self.open(socket)
        if not is_first:
            stream.send(question)
            stream.until(end)
        started = time.monotonic()
        stream.send(beginning)
        text = stream.until(b"\n") if socket in ("report", "control") else ""
        self.assertTrue(stream.at_end(), socket)
        return socket, text, time.monotonic() - started

    def test_a_request_has_its_time(self):
        used = {socket: self.open(socket) for socket in WHOLE}
        for socket, (question, end) in WHOLE.items():
            used[socket].send(question)
            used[socket].until(end)
        cases = [(socket, part, is_first) for socket, (question, _) in WHOLE.items()
                 for part, is_first in (("", True), (question[:1], True), (question[:1], False))]
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            for socket, text, took in pool.map(lambda case: self.late(*case), cases):
                self.assertGreater(took, REQUEST_SECONDS - 0.5, socket)
                self.assertLess(took, REQUEST_SECONDS + 5, socket)
                if socket in ("report", "control"):
                    self.assertRegex(text, "^ERR reason=timeout ")
        # what has asked once may be silent for as long as it likes
        for socket, (question, end) in WHOLE.items():
            used[socket].send(question)
            self.assertNotEqual(used[socket].until(end), "", socket)

    def test_a_trickle_does_not_extend_the_time(self):
        started = time.monotonic()
        stream = self.open("report")
        ends = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            ending = pool.submit(lambda: ends.append(stream.line()))
            while not ending.done() and time.monotonic() - started < 3 * REQUEST_SECONDS:
                try:
                    stream.send("n")
                except (BrokenPipeError, ConnectionResetError):
                    break
                concurrent.futures.wait([ending], 0.5)  # an octet each half second, until it ends
        self.assertRegex(ends[0], "^ERR reason=timeout ")
        self.assertLess(time.monotonic() - started, REQUEST_SECONDS + 5)


if __name__ == "__main__":
    unittest.main()
