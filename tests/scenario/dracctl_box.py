"""The built dracctl, and a control socket of a few lines for it to ask. No root, no network."""
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

BUILD = os.environ.get("B", "build/out")
DRACCTL = os.path.abspath(os.path.join(BUILD, "client", "dracctl"))
PATIENCE = 30


class Control:
    """Takes one connection and one line, sends an answer in pieces, closes."""

    def __init__(self, path, pieces, hangs):
        self.request = None
        self.released = threading.Event()
        self.pieces, self.hangs = pieces, hangs
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        with connection:
            self.request = connection.makefile("rb").readline().decode()
            try:
                for piece in self.pieces:
                    connection.sendall(piece)
            except OSError:
                pass
            if self.hangs:
                self.released.wait(PATIENCE)

    def close(self):
        self.released.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


class Dracctl(unittest.TestCase):
    """Runs it; has no cases of its own."""

    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="dracd-test-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "control")

    def run_program(self, *arguments, answer=None, hangs=False, stdin=""):
        """Runs dracctl; answer is what the socket says (text or pieces), None: no socket."""
        control = None
        if answer is not None:
            pieces = [answer.encode()] if isinstance(answer, str) else answer
            control = Control(self.path, pieces, hangs)
        try:
            done = subprocess.run([DRACCTL, "-s", self.path, *arguments], input=stdin.encode(),
                                  capture_output=True, timeout=PATIENCE,
                                  env={**os.environ, "TZ": "UTC"})
        finally:
            if control:
                control.close()
                os.unlink(self.path)
        self.request = control.request if control else None
        self.out, self.err = done.stdout.decode(), done.stderr.decode()
        return done.returncode
