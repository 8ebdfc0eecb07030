"""A connection to a socket of dracd, as whoever runs the test, which is root."""

import os
import socket


class Stream:
    """Speaks lines to the socket `name` in the directory `directory`."""

    def __init__(self, directory, name, limit=30):
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(limit)
        self._kept = b""
        try:
            self._socket.connect(f"/proc/self/fd/{folder}/{name}")  # the real path may be too long
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(folder)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self._socket.close()

    def send(self, text):
        """Send text as it is."""
        self._socket.sendall(text.encode())

    def until(self, end):
        """What comes before the text `end`; raises EOFError where the connection ends before it."""
        end = end.encode()
        while end not in self._kept:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError("connection closed by dracd")
            self._kept += data
        whole, _, self._kept = self._kept.partition(end)
        return whole.decode()

    def ask(self, line):
        """The answer line to a line."""
        self.send(line + "\n")
        return self.until("\n")

    def ask_all(self, lines, at_once=50):
        """The answer lines to many lines of one answer line each, in order."""
        answers = []
        for first in range(0, len(lines), at_once):
            some = lines[first:first + at_once]
            self.send("".join(line + "\n" for line in some))
            answers += [self.until("\n") for _ in some]
        return answers


def words_of(line):
    """The words of an answer, as a dictionary; those without a value have an empty one."""
    return dict(word.partition("=")[::2] for word in line.split(" ")[1:])
