"""The tool that `make torture` injects faults with: it counts what is called, and one call meets its fault."""
import os
import platform
import subprocess
import sys
import tempfile
import unittest

TRACER = os.path.abspath(os.path.join(os.environ.get("B", "build/out"), "tests", "torture", "tracer"))
PYTHON = [sys.executable, "-I", "-B", "-S", "-c"]
EIO, ENOSPC = "5", "28"

THREAD_AND_CHILD = """
import os, threading
thread = threading.Thread(target=lambda: os.mkdir("/nowhere/thread"))
try:
    thread.start(); thread.join()
finally:
    if os.fork() == 0:
        os.rmdir("/nowhere/child")
    os.wait()
"""
WRITES = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY)
for text in b"one", b"two", b"three":
    try:
        os.write(file, text)
    except OSError as error:
        print(error.errno)
"""
CLOSES = """
import errno, os, sys
file = os.dup(0)
try:
    os.closerange(file + 1, 64) or os.close(file)
except OSError as error:
    print(error.errno)
try:
    os.fstat(file)
except OSError as error:
    print(errno.errorcode[error.errno])
"""


@unittest.skipUnless(platform.machine() == "x86_64", "the tracer knows x86-64 only")
class Tracer(unittest.TestCase):
    """Runs it; report is what it told, line by line."""

    def run_tracer(self, *arguments):
        read, write = os.pipe()

        def give_report():
            os.dup2(write, 3)
            os.set_inheritable(3, True)

        done = subprocess.run([TRACER, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              close_fds=False, preexec_fn=give_report, check=False)
        os.close(write)
        with open(read, encoding="utf-8") as pipe:
            self.report = pipe.read().splitlines()
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def count(self, role, call):
        lines = [line for line in self.report if line.startswith(f"call {role} {call} ")]
        return int(lines[0].rpartition(" ")[2]) if lines else 0

    def test_each_thread_and_process_is_counted_alone(self):
        self.run_tracer(*PYTHON, THREAD_AND_CHILD)
        self.assertEqual([self.count(role, "mkdir") for role in ("0", "0.t1", "0.p1")], [0, 1, 0])
        self.assertEqual([self.count(role, "rmdir") for role in ("0", "0.t1", "0.p1")], [0, 0, 1])
        self.assertEqual(self.count("0", "execve"), 0)
        self.assertEqual(self.count("0", "exit_group"), 1)
        self.assertIn("end 0.p1 exit 1", self.report)

    def test_kill_comes_before_the_call(self):
        done = self.run_tracer("-i", "0.p1", "rmdir", "1", "KILL", *PYTHON, THREAD_AND_CHILD)
        self.assertIn("hit 0.p1 rmdir 1", self.report)
        self.assertIn("end 0.p1 signal 9", self.report)
        self.assertIn("end 0 exit 0", self.report)
        self.assertNotIn("nowhere/child", done.stderr)
        self.assertIn("nowhere/thread", done.stderr)

    def test_call_that_fails_is_not_made(self):
        with tempfile.NamedTemporaryFile() as file:
            done = self.run_tracer("-i", "0", "write", "2", ENOSPC, *PYTHON, WRITES, file.name)
            self.assertEqual(done.stdout, f"{ENOSPC}\n")
            self.assertEqual(file.read(), b"onethree")

    def test_close_that_fails_has_closed(self):
        self.run_tracer(*PYTHON, CLOSES)
        last = self.count("0", "close")
        for number in range(1, last + 1):
            done = self.run_tracer("-i", "0", "close", str(number), EIO, *PYTHON, CLOSES)
            if done.stdout.startswith(EIO):  # none of those before it, which the interpreter makes
                self.assertEqual(done.stdout, f"{EIO}\nEBADF\n")
                return
        self.fail(f"none of {last} calls of close was the one")

    def test_what_is_not_called_is_not_hit(self):
        self.run_tracer("-i", "0", "mkdir", "1", "KILL", *PYTHON, THREAD_AND_CHILD)
        self.assertEqual([line for line in self.report if line.startswith("hit")], [])
        self.assertIn("end 0 exit 0", self.report)


if __name__ == "__main__":
    unittest.main()
