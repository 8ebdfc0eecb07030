"""A dracd of one's own in a temporary directory: no root, no network, no fixed port."""
import contextlib
import fcntl
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("B", "build/out")
DRACD = os.path.abspath(os.path.join(BUILD, "dracd", "dracd"))
LIBEXEC = os.path.abspath(os.path.join(BUILD, "maps"))
PATIENCE = 30

BASE = """
lease_special = {{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"}}
reporters = {{"{uid}"}}
report_group = ""
state_directory = "{dir}/state"
report_socket = "{dir}/report"
control_socket = "{dir}/control"
lookup policy {{ protocol = policy path = "{dir}/policy" }}
lookup plain {{ protocol = plain path = "{dir}/plain" }}
lookup map {{ protocol = socketmap path = "{dir}/socketmap" }}
"""


def memory_of(pid):
    """KiB that are its own; 0 with AddressSanitizer, which keeps what is freed, and finds leaks itself."""
    with open(f"/proc/{pid}/exe", "rb") as program, open(f"/proc/{pid}/status", encoding="utf-8") as status:
        if b"__asan_init" in program.read():
            return 0
        return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1])


class Stream:
    """One connection, spoken to a line or an answer at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.kept = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def until(self, end):
        """What comes up to end; what came before the connection ended, if it did."""
        while end not in self.kept:
            data = self.socket.recv(65536)
            if not data:
                whole, self.kept = self.kept, b""
                return whole.decode()
            self.kept += data
        whole, _, self.kept = self.kept.partition(end)
        return whole.decode()

    def line(self):
        return self.until(b"\n")

    def ask(self, text):
        self.send(text + "\n")
        return self.line()

    def at_end(self):
        return not self.kept and self.socket.recv(1) == b""

    def has_ended(self):
        """Also if the kernel resets it, as it does when it is closed with octets unread."""
        try:
            return self.at_end()
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class TooSlow(AssertionError):
    """The machine was too slow for what a test has to do in a given time."""


def tried_again(test):
    """A test that is begun anew, twice at most, when the machine was too slow for it."""
    @functools.wraps(test)
    def tried(self):
        for _ in range(2):
            try:
                return test(self)
            except TooSlow as reason:
                print(f"# {self.id()}: {reason}; once more", file=sys.stderr)
            self.doCleanups()
            self.setUp()
        return test(self)
    return tried


def fields(line):
    """The words of an answer as a dictionary; those without a value have None."""
    words = (word.partition("=") for word in line.split(" ")[1:])
    return {key: value if equals else None for key, equals, value in words}


class Dracd:
    """The daemon and its directory."""

    def __init__(self, config="", directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="dracd-test-")
        os.makedirs(f"{self.directory}/state", exist_ok=True)
        self.config = f"{self.directory}/drac.conf"
        self.log = open(f"{self.directory}/log", "a+")
        self.write_config(config)
        self.process = None
        self.libexec = LIBEXEC
        self.tracer = []  # a command to run it under, as the same process
        self.begins = 0   # where in the log its latest run begins

    def write_config(self, config, base=BASE):
        with open(self.config, "w") as file:
            file.write(base.format(dir=self.directory, uid=os.getuid()) + config)
            if "watchdog" not in config:  # some stop it for longer than it may hang
                file.write("watchdog = 1min\n")

    def path(self, name):
        return f"{self.directory}/{name}"

    def start(self, wait=True, **how):
        """With wait it returns when all sockets are there and all maps are published."""
        self.begins = os.path.getsize(self.path("log"))
        how.setdefault("env", {**os.environ, "DRACD_LIBEXECDIR": self.libexec})
        how.setdefault("stderr", self.log)
        self.process = subprocess.Popen(self.tracer + [DRACD, "-d", "-c", self.config],
                                        stdin=subprocess.DEVNULL, **how)
        if wait:
            self.wait_for(self.is_ready, "dracd to be ready")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"dracd ended with {self.process.returncode}:\n{self.text()}")
        return "started version=" in self.text(self.begins)

    def wait_for(self, condition, what):
        """Asks again and again; there is no event to await from outside."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}:\n{self.text()}")
            time.sleep(0.002)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        status = self.process.wait(PATIENCE)
        if how == signal.SIGKILL:
            self.wait_for(self.guardian_is_done, "the guardian to withdraw")
        return status

    def guardian_is_done(self):
        return not os.path.exists(self.path("socketmap"))

    def is_over(self):
        """The guardian too: it has its part of the lock."""
        try:
            with open(self.path("state/lock"), "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # none was made, or the test has taken it away
            pass
        return True

    def remove(self):
        if self.process and self.process.poll() is None:
            self.stop()
        self.wait_for(self.is_over, "all of dracd to end")
        self.log.close()
        shutil.rmtree(self.directory)

    def text(self, begin=0):
        """The log, from there on."""
        with open(f"{self.directory}/log") as file:
            file.seek(begin)
            return file.read()

    def processor_ticks(self):
        """What dracd has used of the processors so far, proc(5)."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def wait_for_log(self, text):
        self.wait_for(lambda: text in self.text(), f"{text!r} in the log")

    def stream(self, name):
        return Stream(self.path(name))

    # one question each

    def login(self, address, words="user=bob@x.net service=imap"):
        with self.stream("report") as report:
            return report.ask(f"login address={address} {words}".rstrip())

    def control(self, line):
        """All lines of the answer."""
        with self.stream("control") as control:
            lines = [control.ask(line)]
            while lines[-1].split(" ")[0] not in ("OK", "NO", "ERR", ""):
                lines.append(control.line())
            return lines

    def policy(self, address):
        with self.stream("policy") as policy:
            policy.send(f"request=smtpd_access_policy\nclient_address={address}\n\n")
            return policy.until(b"\n\n")

    def socketmap(self, key):
        with self.stream("socketmap") as stream:
            query = f"drac {key}"
            stream.send(f"{len(query)}:{query},")
            return stream.until(b",")

    def plain(self, question):
        """All that comes up to the end."""
        with self.stream("plain") as stream:
            stream.send(f"{question}\n")
            answer = stream.line()
            if not stream.at_end():
                raise AssertionError(f"plain: open after {answer!r}")
            return answer

    @contextlib.contextmanager
    def stopped(self):
        """What is sent meanwhile is read when all of it is there; what is handed over is not closed before the sender has
        closed its own, so dracd is the last to have it."""
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        yield
        os.kill(self.process.pid, signal.SIGCONT)

    def serves(self):
        """True if others are answered: who reports, and who asks, by each way."""
        with self.stream("report") as report:
            return report.ask("noop") == "OK" and not self.admits("203.0.113.1")

    def admits(self, address):
        """What all ways to ask say; they must agree."""
        answers = {
            "policy": self.policy(address) == "action=OK",
            "socketmap": self.socketmap(address) == "5:OK OK",
            "plain": self.plain(f"drac {address}") == "yes",
            "check": self.control(f"check address={address}")[0].startswith("OK permit"),
        }
        if len(set(answers.values())) != 1:
            raise AssertionError(f"{address}: {answers}")
        return answers["policy"]


class Case(unittest.TestCase):
    """A case with a dracd that runs; `config` is added to its drac.conf."""
    config = ""

    def setUp(self):
        self.dracd = Dracd(self.config)
        self.addCleanup(self.dracd.remove)
        self.dracd.start()
