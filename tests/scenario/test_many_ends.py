"""Many leases that end in one instant: refused at once, told one by one, deleted bit by bit."""
import os
import re
import select
import signal
import subprocess
import time
import unittest

from dracd_box import BUILD, Dracd, TooSlow, fields

FILL = os.path.abspath(os.path.join(BUILD, "tests", "bench", "fill_table"))
SIZE = os.path.abspath(os.path.join(BUILD, "tests", "bench", "table_size"))
WITHOUT_BDB = "nobdb" in os.environ.get("B", "")
LEASES = 20000
SECONDS = 5  # until they end; to fill the table and start dracd takes less, or the test begins anew with more
PERSON = "64.0.0.0"  # number 0 of tests/bench/person.h


def boot_seconds():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ends(unittest.TestCase):
    def setUp(self):
        for self.seconds in (SECONDS, 3 * SECONDS, 9 * SECONDS):
            self.begin()
            if boot_seconds() < self.end - 0.5:
                self.assertTrue(self.dracd.admits(PERSON))
                return
            self.doCleanups()
        raise TooSlow(f"{LEASES} leases of {self.seconds} s have ended before the test")

    def begin(self):
        """dracd, with leases that end soon."""
        self.dracd = Dracd()
        self.dracd.write_config(f"max_leases = {2 * LEASES}\n" + ("" if WITHOUT_BDB else
            f'map db {{ type = hash keys = postfix path = "{self.dracd.directory}/maps/db" }}\n'))
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"))
        words = [FILL, self.dracd.path("state/table"), "process", str(2 * LEASES), str(self.seconds), "0", str(LEASES)]
        leases, _, end = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.split()
        self.assertEqual(int(leases), LEASES)
        self.end = int(end) / 1e6
        self.dracd.start()

    def sleep_to_end(self, more):
        """There is nothing to await: the test is that no event is needed."""
        time.sleep(max(self.end + more - boot_seconds(), 0))

    def ended(self):
        """Addresses that the log has told of."""
        return re.findall(rf"^\S+ \S+ ended (\S+) reason=expired after={self.seconds}s logins=1", self.dracd.text(), re.M)

    def map_size(self):
        return 0 if WITHOUT_BDB else os.path.getsize(self.dracd.path("maps/db.db"))

    def leases(self):
        line, = [line for line in self.dracd.control("status") if line.startswith("leases ")]
        return fields(line)["count"]

    def rows(self):
        output = subprocess.run([SIZE, self.dracd.path("state/table")], stdout=subprocess.PIPE, check=True).stdout
        return int(output.split()[1])

    def test_all_at_once(self):
        size = self.map_size()
        self.sleep_to_end(0.002)
        self.assertFalse(self.dracd.admits(PERSON))
        with self.dracd.stream("control") as control:  # who does not wait for it
            control.send("status\n")
        self.assertEqual(self.leases(), "0", "none of the rows that are still there")
        self.dracd.wait_for(lambda: len(self.ended()) >= LEASES, "a line for each")
        self.assertEqual(len(set(self.ended())), LEASES, "each once")
        self.assertEqual(len(self.ended()), LEASES)
        if not WITHOUT_BDB:  # it is written anew rather than emptied row by row
            self.dracd.wait_for(lambda: self.map_size() < size / 10, "a small map")
        # each login takes some of the rows with it
        for number in range(LEASES // 100 + 1):
            self.dracd.login(f"203.0.113.{number}" if number < 256 else f"198.51.100.{number - 256}", "service=imap")
        self.assertLess(self.rows(), 300)

    def answered_before(self, command):
        """Of 40 who connect and ask when the command comes: how many are answered when it is."""
        with self.dracd.stream("control") as control:
            control.ask("blocks")  # it is accepted
            self.dracd.process.send_signal(signal.SIGSTOP)
            control.send(f"{command}\n")
            streams = [self.dracd.stream("plain") for _ in range(40)]
            for stream in streams:
                self.addCleanup(stream.close)
                stream.send(f"{PERSON}\n")
            self.dracd.process.send_signal(signal.SIGCONT)
            while not control.line().startswith("OK"):
                pass
        return len(select.select([stream.socket for stream in streams], [], [], 0)[0])

    def test_long_answers_hold_up_no_lookup(self):
        self.assertEqual(self.answered_before("list"), 40)
        self.sleep_to_end(0.002)
        self.assertEqual(self.answered_before("status"), 40)

    def test_lines_that_come_late_say_when_it_was(self):
        self.dracd.process.send_signal(signal.SIGSTOP)
        self.sleep_to_end(1.2)
        self.dracd.process.send_signal(signal.SIGCONT)
        self.assertFalse(self.dracd.admits(PERSON))
        self.dracd.wait_for(lambda: len(self.ended()) >= LEASES, "a line for each")
        at = set(re.findall(rf"ended \S+ reason=expired after={self.seconds}s logins=1 at=(\S+)$", self.dracd.text(), re.M))
        offset = time.time() - boot_seconds()
        self.assertEqual(at, {time.strftime("%H:%M:%S", time.localtime(self.end + offset))})


if __name__ == "__main__":
    unittest.main()
