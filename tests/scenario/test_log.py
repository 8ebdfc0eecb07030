"""Where the log goes: with the time where nobody else adds it."""
import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import unittest

from dracd_box import DRACD, PATIENCE, Dracd

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


class Log(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)

    def test_lines_in_a_file_have_the_time(self):
        self.dracd.start()
        self.dracd.login("203.0.113.9")
        self.dracd.login("10.0.0.1")
        self.dracd.stop()
        lines = self.dracd.text().splitlines()
        self.assertGreater(len(lines), 3)
        for line in lines:
            self.assertRegex(line, f"^{STAMP}[a-z]")
        self.assertRegex(self.dracd.text(), f"(?m)^{STAMP}granted 203.0.113.9 ")

    def test_lines_to_a_pipe_have_none(self):
        process = subprocess.Popen([DRACD, "-c", self.dracd.config], stderr=subprocess.PIPE, encoding="utf-8",
                                   stdin=subprocess.DEVNULL)
        first = process.stderr.readline()
        while "started version=" not in first:
            self.assertTrue(first)
            self.assertFalse(re.match(STAMP, first), first)
            first = process.stderr.readline()
        self.assertFalse(re.match(STAMP, first), first)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)

    def start_unread(self, watchdog="1min", ends=None, count=100):
        """Its log goes to a pipe, or other ends, that is full, and nobody reads; returns that."""
        self.dracd.write_config(f"watchdog = {watchdog}\n")
        read, write = ends or os.pipe()
        self.addCleanup(os.close, read)
        if not ends:
            fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 4096)
        self.dracd.start(wait=False, stderr=write)
        self.addCleanup(lambda: self.dracd.process.poll() is None and self.dracd.process.kill())
        self.addCleanup(lambda: self.dracd.process.send_signal(signal.SIGCONT))  # it may be stopped
        os.close(write)
        self.dracd.wait_for(lambda: os.path.exists(self.dracd.path("control")), "dracd to listen")
        with self.dracd.stream("report") as report:
            for number in range(count):
                answer = report.ask(f"login address=203.0.113.{number % 250} user=u{number} service=imap")
                self.assertTrue(answer.startswith("OK "), answer)
        return read

    def test_nobody_waits_for_who_reads_it(self):
        read = self.start_unread()
        self.assertTrue(self.dracd.admits("203.0.113.99"))
        self.dracd.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.dracd.process.wait(PATIENCE), 0)
        self.assertLessEqual(len(os.read(read, 65536)), 4096)

    def test_lines_that_were_lost_are_counted(self):
        read = self.start_unread()
        log = os.read(read, 65536).decode()
        self.dracd.login("198.51.100.9", "user=late")
        while "granted 198.51.100.9 " not in log:
            more = os.read(read, 65536).decode()
            self.assertTrue(more, "the end")
            log += more
        lost = re.findall("(?m)^warning: ([0-9]+) lines of this log are lost: who reads it does not keep up$", log)
        self.assertEqual(len(lost), 1)
        granted = log.count("\ngranted 203.0.113.")
        self.assertLess(granted, 100)
        self.assertGreaterEqual(granted + int(lost[0]), 100)

    def test_nor_for_who_reads_a_socket(self):
        ends = socket.socketpair()
        ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        read = self.start_unread(ends=[end.detach() for end in ends])
        self.assertLess(len(os.read(read, 65536)), 8192)

    def test_nor_for_who_has_a_terminal(self):
        """One that is full may say that it has room. The line where it was is cut."""
        read = self.start_unread(ends=pty.openpty(), count=3000)
        log = []
        while select.select([read], [], [], 0)[0]:
            log.append(os.read(read, 65536).decode())
        self.assertLess(sum(map(len, log)), 200000)
        self.dracd.login("198.51.100.9", "user=late")
        while "198.51.100.9 " not in log[-1]:
            log.append(os.read(read, 65536).decode())
        self.assertRegex("".join(log), f"\n{STAMP}warning: [0-9]+ lines of this log are lost: who reads it does not keep up\r\n")
        self.assertRegex("".join(log), f"\n{STAMP}granted 198.51.100.9 ")

    def test_nor_does_the_guardian(self):
        """It kills one that hangs, and withdraws its lookups."""
        self.start_unread("3s")
        self.dracd.process.send_signal(signal.SIGSTOP)
        self.assertEqual(self.dracd.process.wait(PATIENCE), -signal.SIGKILL)
        self.dracd.wait_for(lambda: not os.path.exists(self.dracd.path("policy")), "the guardian to withdraw")
        self.dracd.wait_for(self.dracd.guardian_is_done, "the guardian to end")

    def test_who_reads_it_may_go(self):
        read, write = os.pipe()
        self.dracd.start(wait=False, stderr=write)
        os.close(write)
        self.dracd.wait_for(lambda: os.path.exists(self.dracd.path("control")), "dracd to listen")
        os.close(read)
        self.dracd.login("203.0.113.9")
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.assertEqual(self.dracd.stop(), 0)

    def test_a_check_of_the_configuration_has_none(self):
        self.dracd.write_config("lease_tiem = 5min\n")
        with open(self.dracd.path("said"), "w+", encoding="utf-8") as said:
            subprocess.run([DRACD, "-t", "-c", self.dracd.config], stderr=said, timeout=PATIENCE,
                           stdin=subprocess.DEVNULL, check=False)
            said.seek(0)
            self.assertRegex(said.read(), "^(error: )?/.*drac.conf:[0-9]+: .*lease_tiem")

    def test_no_name_makes_a_second_line_or_field(self):
        """Each printable octet, what is refused, and what some programs take for the end of a line."""
        self.dracd.start()
        begin = len(self.dracd.text())
        names = [chr(n) for n in range(1, 0xa1)] + ["\u2028", "\u2029", "\u202e", "\ud7ff", "\U0010ffff",
                                                    "=", "\" reason=x", "x\\n", "a\tb", "granted 203.0.113.8", "x" * 255]
        clean = [name for name in names if not re.search("[\x00-\x1f\x7f-\x9f]", name)]
        with self.dracd.stream("report") as report:
            for number, name in enumerate(names):
                escaped = "".join(f"%{octet:02x}" for octet in name.encode())
                answer = report.ask(f"login address=203.0.113.{number % 200 + 1} user={escaped} service=imap")
                self.assertTrue(answer.startswith("OK " if name in clean else "ERR reason=syntax "), (name, answer))
        self.dracd.stop()
        lines = re.split("[\n\r\v\f\x1c-\x1e\x85]", self.dracd.text()[begin:])
        told = [line for line in lines if " user=" in line]
        self.assertEqual(len(told), len(clean))
        for line in told:
            self.assertRegex(line, f"^{STAMP}(granted|renewed) \\S+ user=[^ \"=]+ service=imap until=[^ =]+ reporter=[^ =]+$")


if __name__ == "__main__":
    unittest.main()
