"""journald hangs: its socket is full, and nobody reads. What a dracd that died has left open is withdrawn all the same, by
whoever does it: the guardian, dracd-withdraw, the next dracd.

Needs root, for a /run of its own.
"""
import ctypes
import os
import signal
import socket
import subprocess
import unittest

from tests.root.test_process_one import WITHDRAW, child_of
from tests.scenario import map_types
from tests.scenario.dracd_box import PATIENCE, Dracd

JOURNAL = "/run/systemd/journal/socket"


def run_of_our_own():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) or libc.mount(None, b"/", None, 0x4000 | 0x40000, None) or \
            libc.mount(b"test", b"/run", b"tmpfs", 0, None):  # CLONE_NEWNS, MS_REC | MS_PRIVATE
        raise OSError(ctypes.get_errno(), "a /run of our own")


class HungJournal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run_of_our_own()
        os.makedirs(os.path.dirname(JOURNAL))

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.dracd.write_config(map_types.config(self.dracd.path("maps"), "interval = 0"))
        ours, stream = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(stream.close)
        ours.settimeout(PATIENCE)
        self.ours, status = ours, os.fstat(stream.fileno())
        self.as_of_systemd = {"stderr": stream, "env": {
            **os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}", "DRACD_LIBEXECDIR": self.dracd.libexec}}

    def hang(self):
        journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(journal.close)
        self.addCleanup(os.unlink, JOURNAL)
        journal.bind(JOURNAL)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            filler.connect(JOURNAL)
            with self.assertRaises(BlockingIOError):
                while True:
                    filler.send(b"MESSAGE=x\n")

    def start(self):
        self.dracd.start(wait=False, **self.as_of_systemd)
        self.dracd.wait_for(lambda: os.path.exists(self.dracd.path("control")), "dracd to listen")

    def let_in(self):
        self.start()
        self.assertIn("published=yes", self.dracd.login("203.0.113.9", "user=bob wait_ms=10000"))
        self.assertTrue(all(self.rows()))

    def kill_both(self):
        guardian = child_of(self.dracd.process.pid)
        os.kill(self.dracd.process.pid, signal.SIGSTOP)
        os.kill(guardian, signal.SIGKILL)
        self.dracd.process.kill()
        self.dracd.process.wait(PATIENCE)

    def rows(self):
        return [map_types.rows(kind, self.dracd.path(f"maps/{kind}{map_types.LIVE[kind][1]}"))
                for kind in map_types.LIVE]

    def await_line(self, words):
        told = ""
        while words not in told:
            told += self.ours.recv(65536).decode()
        return told

    def test_guardian(self):
        self.let_in()
        self.hang()
        self.dracd.process.kill()
        self.await_line("<3>dracd has died; its leases are withdrawn")
        self.assertFalse(any(self.rows()))

    def test_dracd_withdraw(self):
        self.let_in()
        self.kill_both()
        self.hang()
        done = subprocess.run([WITHDRAW, "-f", "-c", self.dracd.config], timeout=PATIENCE, check=False,
                              **self.as_of_systemd)
        self.assertEqual(done.returncode, 0)
        self.await_line("<6>withdrawn: ")
        self.assertFalse(any(self.rows()))

    def test_next_dracd(self):
        """One that does not come up, or it would publish them again; it is held up when it says why."""
        self.let_in()
        self.kill_both()
        with open(self.dracd.path("state/blocks"), "w", encoding="ascii") as blocks:
            blocks.write("damaged\n")
        self.hang()
        self.dracd.start(wait=False, **self.as_of_systemd)
        self.addCleanup(self.dracd.process.kill)
        self.await_line("<4>nobody has withdrawn the leases of a dracd that died")
        self.dracd.wait_for(lambda: not any(self.rows()), "the maps to be withdrawn")


if __name__ == "__main__":
    unittest.main()
