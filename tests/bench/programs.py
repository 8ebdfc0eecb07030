"""The programs of the benchmarks, and a dracd of one's own, in a directory below build/."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time

BUILD = os.path.abspath(os.environ.get("B", "build/out"))
PATIENCE = 60
LEASES_MAX = 4000000  # as MAX_LEASES in bare_table.c

_CONFIGURATION = """\
reporters = {{"{uid}"}}
report_group = ""
control_group = ""
durability = {durability}
max_leases = {leases}
state_directory = "{directory}/state"
report_socket = "{directory}/report"
control_socket = "{directory}/control"
lookup policy {{ protocol = policy path = "{directory}/policy" }}
lookup map {{ protocol = socketmap path = "{directory}/socketmap" }}
"""


def program(name):
    """The path of a program of the benchmarks."""
    return f"{BUILD}/tests/bench/{name}"


def run(name, *arguments):
    """Run one to its end; returns the numbers that it prints."""
    words = [program(name), *map(str, arguments)]
    output = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=PATIENCE * 10).stdout
    return [float(word) for word in output.split()]


def memory_of(pid):
    """Octets that /proc/PID/status tells of, by the names there."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        words = (line.split() for line in file)
        return {line[0].rstrip(":"): int(line[1]) * 1024 for line in words if line[2:] == ["kB"]}


@contextlib.contextmanager
def directory():
    """A directory on the file system of build/, gone afterwards."""
    path = tempfile.mkdtemp(prefix="bench.", dir=os.path.dirname(BUILD))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def server(words, path, log, environment=None):
    """A program that listens on the socket `path`; dies with us, however we end."""
    with open(log, "ab") as output:
        child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *words], stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=output, env={**os.environ, **(environment or {})})
    try:
        end = time.monotonic() + PATIENCE
        while not os.path.exists(path):
            if child.poll() is not None or time.monotonic() > end:
                with open(log, encoding="utf-8") as file:
                    raise OSError(f"{words[0]} does not serve:\n{file.read()}")
            time.sleep(0.002)
        yield child
    finally:
        child.terminate()
        child.wait(PATIENCE)


@contextlib.contextmanager
def gateway(dracd):
    """drac-rpcd before a dracd, without limits that count; the port of it, which nobody else had just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration, ready = f"{dracd.folder}/rpc.conf", f"{dracd.folder}/rpc.log"
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(f'rpc {{ listen = {{"127.0.0.1"}} port = {port} rpcbind = no max_leases = 1000000 '
                   f'max_rate = 1000000 report_socket = "{dracd.path("report")}" '
                   f'allow_file = "{dracd.folder}/allow" }}\n')
    with server([f"{BUILD}/rpc/drac-rpcd", "-c", configuration], configuration, ready) as child:
        end = time.monotonic() + PATIENCE
        while "started version=" not in read(ready):
            if child.poll() is not None or time.monotonic() > end:
                raise OSError(f"drac-rpcd does not serve:\n{read(ready)}")
            time.sleep(0.002)
        yield port


def read(path):
    """The text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


class Dracd:
    """A daemon whose reporter is whoever runs the benchmarks, without maps unless `more` has them."""

    def __init__(self, folder, durability, leases=LEASES_MAX, environment=None, more=""):
        self.folder = folder
        self._environment = environment
        self._people = 0
        self._stack = contextlib.ExitStack()
        self.pid = None
        os.makedirs(f"{folder}/state")
        self.configure(durability, leases, more)

    def configure(self, durability, leases=LEASES_MAX, more=""):
        """For the next start."""
        with open(f"{self.folder}/drac.conf", "w", encoding="utf-8") as file:
            file.write(_CONFIGURATION.format(uid=os.getuid(), durability=durability, leases=leases,
                                             directory=self.folder))
            file.write(more)

    def __enter__(self):
        words = [f"{BUILD}/dracd/dracd", "-c", f"{self.folder}/drac.conf"]
        child = server(words, f"{self.folder}/socketmap", f"{self.folder}/log", self._environment)
        self.pid = self._stack.enter_context(child).pid
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def path(self, name):
        """The path of a socket."""
        return f"{self.folder}/{name}"

    def size(self):
        """Transactions, leases and used octets of its table."""
        return [int(number) for number in run("table_size", f"{self.folder}/state/table")]

    def memory(self, field):
        """Octets of a field of memory_of()."""
        return memory_of(self.pid)[field]

    def skip_people(self, count):
        """The next logins are of other people: these are asked for, and not to be found."""
        self._people += count

    def login(self, connections, seconds, count=1 << 22, options=()):
        """New people log in; returns the numbers of clients.c, the first of which is how many did."""
        answers = run("clients", "login", self.path("report"), connections, seconds, self._people, count, *options)
        self._people += int(answers[0])
        return answers

    def login_by_rpc(self, port, connections, seconds):
        """The same by the gateway."""
        answers = run("clients", "rpc", port, connections, seconds, self._people, 1 << 22)
        self._people += int(answers[0])
        return answers
