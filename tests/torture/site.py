"""The directory of one run, the roles of dracd's threads and processes, and dracd under the tracer."""

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

from tests.scenario import dracd_box, map_types
from tests.torture import faults

BUILD = os.environ.get("B", "build/out")
DRACD, DRACCTL, TRACER = (os.path.abspath(f"{BUILD}/{name}") for name in
                          ("dracd/dracd", "client/dracctl", "tests/torture/tracer"))
LIBEXEC = os.path.abspath(f"{BUILD}/maps")
TELL_PATIENCE = 2       # of what is told at once by who has the processor
PATIENCE = 15          # whatever takes longer hangs
END_PATIENCE = 30      # the guardian tries for three seconds, and waits two for who reads an old file

_LIBC = ctypes.CDLL(None)
KINDS = [kind for kind in ("hash", "btree", "lmdb", "cdb", "iplsearch") if kind in map_types.LIVE]
STATIC = {"connect:192.0.2.66": "REJECT"}
CONFIG = dracd_box.BASE + "lease_time_max = 24h\n"
EACH_MAP = "interval = 0 end_interval = 0"


def maps():
    """name: (type, file within maps/, what it holds without a lease).

    Each has a directory of its own: in a common one each change wakes the loop once for each map.
    """
    found = {kind: (kind, f"{kind}/map{map_types.LIVE[kind][1]}", {}) for kind in KINDS}
    if "hash" in map_types.LIVE:
        found["access"] = ("hash", "access/map.db", STATIC)
    return found


def die_with_parent():
    """Nothing outlives who has started it, even if that is killed: prctl(2), PR_SET_PDEATHSIG."""
    _LIBC.prctl(1, int(signal.SIGKILL))


class Roles:
    """The tracer's names of them, and ours. Threads start in the order of the code, maps in that of drac.conf."""

    def __init__(self):
        self._ours = {"0": "loop", "0.t1": "store", "0.p1": "guardian", "0.p2": "checker"}
        for number, name in enumerate(maps()):
            self._ours[f"0.t{number + 2}"] = f"map:{name}"

    def ours(self, traced):
        """0.t3.p1 is map:btree/1, the first process that this map's thread has started."""
        name, rest = traced, []
        while name not in self._ours:
            name, _, last = name.rpartition(".")
            if not name:
                return traced
            rest.insert(0, last)
        return "/".join([self._ours[name], *(part.removeprefix("p") for part in rest)])

    def traced(self, ours):
        """The other way round."""
        name, *rest = ours.split("/")
        for traced, known in self._ours.items():
            if known == name:
                return ".".join([traced, *("p" + part if part.isdigit() else part for part in rest)])
        return ours


ROLES = Roles()


class Report:
    """What the tracer tells, on a pipe, which ends with the last process. Without a tracer it only ends."""

    def __init__(self, pipe):
        self._pipe = pipe
        self._kept = b""
        self.pid = None
        self.hit = False
        self.ends = {}    # role: how
        self.counts = {}  # (role, call): number
        self.is_over = False

    def fileno(self):
        """For select."""
        return self._pipe

    def read(self):
        """What is there; waits if nothing is."""
        data = os.read(self._pipe, 65536)
        self.is_over = not data
        self._kept += data
        *lines, self._kept = self._kept.split(b"\n")
        for line in lines:
            self._note(*line.decode().split())

    def _note(self, kind, *words):
        if kind == "begin":
            self.pid = int(words[0])
        elif kind == "hit":
            self.hit = True
        elif kind == "end":
            self.ends[ROLES.ours(words[0])] = " ".join(words[1:])
        else:
            self.counts[ROLES.ours(words[0]), words[1]] = int(words[2])

    def poll(self):
        """Takes what is there now."""
        while not self.is_over and select.select([self], [], [], 0)[0]:
            self.read()

    def wait(self, seconds):
        """Until the last process has ended; False if the time is up."""
        until = time.monotonic() + seconds
        while not self.is_over:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self], [], [], left)[0]:
                return self.is_over
            self.read()
        return True


class Site:
    """dracd in a directory of its own, traced or not."""

    def __init__(self, directory, template=None):
        self.directory = directory
        if template:
            shutil.copytree(template, directory, copy_function=shutil.copy)
        else:
            for name in ("", "/state", "/etc", "/maps", *(f"/maps/{name}" for name in maps())):
                os.mkdir(directory + name, 0o755)
        self._write_config()
        self.log = open(f"{directory}/log", "ab")
        self.process = self.report = None
        self._notify = None
        self.is_traced = False

    def _write_config(self):
        text = CONFIG.format(dir=self.directory, uid=os.getuid())
        for name, (kind, _, static) in maps().items():
            keys = "access" if static else map_types.LIVE[kind][0]
            with_static = f'static = "{self.directory}/etc/static"' if static else ""
            text += f'map {name} {{ type = {kind} keys = {keys} path = "{self.directory}/maps/{name}/map"' \
                    f" {with_static} {EACH_MAP} }}\n"
        with open(self.path("drac.conf"), "w", encoding="utf-8") as file:
            file.write(text)
        with open(self.path("etc/static"), "w", encoding="utf-8") as file:
            file.write("Connect:192.0.2.66 REJECT\n")

    def path(self, name):
        """Of a file of this run."""
        return f"{self.directory}/{name}"

    # ---- life

    def start(self, point=None, traced=False):
        """Starts it; with the point's fault if there is one."""
        command = [DRACD, "-c", self.path("drac.conf")]
        self.is_traced = traced or point is not None
        if point:
            command = [TRACER, "-i", ROLES.traced(point.role), point.call, str(point.number),
                       faults.argument(point.fault), *command]
        elif traced:
            command = [TRACER, *command]
        self._listen()
        read, write = os.pipe()

        def prepare():
            die_with_parent()
            os.dup2(write, 3)
            os.set_inheritable(3, True)

        environment = {"DRACD_LIBEXECDIR": LIBEXEC, "NOTIFY_SOCKET": self.path("notify"), "PATH": "/usr/bin:/bin"}
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment,
                preexec_fn=prepare, close_fds=False)
        finally:
            os.close(write)
        self._forget_report()
        self.report = Report(read)

    def _forget_report(self):
        if self.report:
            os.close(self.report.fileno())
            self.report = None

    def _listen(self):
        if self._notify:
            self._notify.close()
            os.unlink(self.path("notify"))
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(self.path("notify"))

    def wait_ready(self, seconds):
        """True if it tells that it is ready within the time; False also if it ends."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            if left <= 0 or self.has_ended():
                return False
            for ready in select.select([self._notify, self.report], [], [], left)[0]:
                if ready is self.report:
                    self.report.read()
                elif b"READY=1" in self._notify.recv(4096):
                    return True

    def has_ended(self):
        """dracd itself; its guardian may be at work."""
        if not self.is_traced and self.process.poll() is not None:
            return True
        self.report.poll()
        return self.report.is_over or "loop" in self.report.ends

    def pid(self):
        """dracd's."""
        if not self.is_traced:
            return self.process.pid
        while self.report.pid is None and not self.report.is_over:
            self.report.read()
        return self.report.pid

    def end(self, how=signal.SIGTERM):
        """Asks it to end; the tracer holds its process until it has told of the end, so the number is its until then."""
        if not self.has_ended():
            try:
                os.kill(self.pid(), how)
            except ProcessLookupError:  # its fault was faster
                self.report.poll()

    def wait_end(self, seconds=END_PATIENCE):
        """Until the last of its processes has ended; False if that takes too long."""
        is_over = self.report.wait(seconds)
        if is_over:
            self.process.wait()
        return is_over

    def close(self):
        """Whatever still runs is killed: a traced process dies with its tracer."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._forget_report()

    def remove(self):
        """With all its files."""
        self.close()
        self._notify.close()
        self.log.close()
        shutil.rmtree(self.directory)

    # ---- what is there

    def text(self):
        """The log."""
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def await_text(self, text):
        """Until that is in the log, or dracd has had its time or its end."""
        until = time.monotonic() + TELL_PATIENCE
        while text not in self.text() and not self.has_ended() and time.monotonic() < until:
            time.sleep(0.01)

    def files(self, name):
        """Of a directory."""
        return set(os.listdir(self.path(name)))

    def rows(self, name):
        """Keys and values of a map, read by its library; ValueError or OSError if it is not to be read."""
        kind, file, _ = maps()[name]
        path = self.path(f"maps/{file}")
        if os.path.getsize(path) == 0 and kind not in ("iplsearch",):
            raise ValueError(f"{path} is empty")
        return map_types.rows(kind, path)

    def status(self):
        """The exit status of dracctl status."""
        return subprocess.run([DRACCTL, "-s", self.path("control"), "status"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=self.log, timeout=PATIENCE, check=False).returncode


def note(text):
    """At once, whatever stdout is."""
    print(text, flush=True)
    sys.stdout.flush()
