"""A file of a file system that its owner has made, and that does not answer when a descriptor is closed (fuse(4)): whoever
may connect to a socket can hand one over, and nobody waits for it.

Needs root, to mount it.
"""
import contextlib
import ctypes
import os
import select
import socket
import struct
import tempfile
import threading
import unittest

from tests.scenario.dracd_box import PATIENCE, Dracd

SOCKETS = ("report", "policy", "plain", "socketmap")
FUSE = "/dev/fuse"

# linux/fuse.h
LOOKUP, GETATTR, OPEN, FLUSH, INIT = 1, 3, 14, 25, 26
WITHOUT_ANSWER = (2, 18, 36, 42)  # FORGET, RELEASE (which nobody waits for), INTERRUPT, BATCH_FORGET
HEAD = struct.Struct("<IIQQIIII")  # length, opcode, unique, node, uid, gid, pid
ROOT, FILE = 1, 2
ENOSYS = 38


def attributes(node):
    kind, links = (0o040755, 2) if node == ROOT else (0o100644, 1)
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, kind, links, 0, 0, 0, 0, 0)


def answer(opcode, node):
    """Of one that has a single, empty file; an error if it does not know what it is asked."""
    if opcode == INIT:
        return struct.pack("<4I2H2I2HI7I", 7, 31, 0, 0, 0, 0, 65536, 0, 0, 0, 0, *(0,) * 7)
    if opcode == GETATTR:
        return struct.pack("<QII", 100, 0, 0) + attributes(node)
    if opcode == LOOKUP:
        return struct.pack("<4Q2I", FILE, 0, 100, 100, 0, 0) + attributes(FILE)
    if opcode == OPEN:
        return struct.pack("<QII", 1, 0, 0)
    return -ENOSYS


class FileSystem:
    """Serves until it is left; hangs is set: it does not answer a FLUSH, as each close(2) of a descriptor asks for."""

    def __init__(self):
        self.hangs = threading.Event()
        self.asked = threading.Event()  # for a FLUSH that it does not answer
        self.place = tempfile.TemporaryDirectory(prefix="dracd-")
        self.device = os.open(FUSE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self.wake = os.eventfd(0)
        self.libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if self.libc.mount(b"test", self.place.name.encode(), b"fuse", 0, options) != 0:
            raise OSError(ctypes.get_errno(), "mount", self.place.name)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def reply(self, unique, error=0, data=b""):
        os.write(self.device, struct.pack("<IiQ", 16 + len(data), error, unique) + data)

    def serve(self):
        """Who waits nevertheless does not wait for ever: then the test has failed."""
        kept = []
        while True:
            ready = select.select([self.device, self.wake], [], [], PATIENCE)[0]
            if self.wake in ready:
                return
            if not ready:
                while kept:
                    self.reply(kept.pop())
                continue
            _, opcode, unique, node, *_ = HEAD.unpack_from(os.read(self.device, 1 << 20))
            if opcode == FLUSH and self.hangs.is_set():
                self.asked.set()
                kept.append(unique)
            elif opcode == FLUSH:
                self.reply(unique)
            elif opcode not in WITHOUT_ANSWER:
                data = answer(opcode, node)
                self.reply(unique, *((data,) if isinstance(data, int) else (0, data)))

    def open(self):
        return os.open(os.path.join(self.place.name, "file"), os.O_RDONLY)

    def end(self):
        """Also for those who wait for it."""
        os.eventfd_write(self.wake, 1)
        self.thread.join()
        os.close(self.device)  # nobody has it any more, so the kernel answers for it
        self.libc.umount2(self.place.name.encode(), 2)  # MNT_DETACH
        os.close(self.wake)
        self.place.cleanup()


def close_quietly(file):
    with contextlib.suppress(OSError):
        os.close(file)


@unittest.skipUnless(os.path.exists(FUSE), f"no {FUSE}")
class HandedFiles(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        self.dracd.start()
        self.system = FileSystem()
        self.addCleanup(self.system.end)

    def hand(self, stream, octets, count):
        """Ours are closed before it hangs."""
        files = [self.system.open() for _ in range(count)]
        socket.send_fds(stream.socket, [octets], files)
        for file in files:
            os.close(file)

    def test_one_that_hangs_can_hang(self):
        """Or the others would show nothing."""
        file = self.system.open()
        self.system.hangs.set()
        closing = threading.Thread(target=close_quietly, args=(file,))
        closing.start()
        self.assertTrue(self.system.asked.wait(PATIENCE))
        self.assertTrue(closing.is_alive())
        self.doCleanups()
        closing.join()

    def test_nobody_waits(self):
        for octets in (b"noop\n", b"x"):
            for name in SOCKETS:
                for count in (1, 253):
                    self.system.hangs.clear()
                    with self.dracd.stream(name) as stream:
                        with self.dracd.stopped():
                            self.hand(stream, octets, count)
                            self.system.hangs.set()
                        self.assertTrue(self.dracd.serves(), name)
        self.assertFalse(self.system.asked.is_set(), "descriptors were taken, or this would not have been asked")

    def test_nobody_waits_for_one_that_was_asked_for(self):
        """The control socket takes one from who may give orders: here it is of no use."""
        with self.dracd.stream("control") as stream:
            with self.dracd.stopped():
                self.hand(stream, b"noop\n", 1)
                self.system.hangs.set()
            stream.line()
        self.assertTrue(self.system.asked.wait(PATIENCE))
        self.assertTrue(self.dracd.serves(), "control")


if __name__ == "__main__":
    unittest.main()
