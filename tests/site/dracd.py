"""dracd as its unit would run it: its own account, no capabilities, READY awaited."""

import os
import re
import signal
import socket

from tests.site import process, roots, wait

PROGRAM = "/build/dracd/dracd"
CONTROL = "/build/client/dracctl"
LIBEXEC = "/build/maps"
HELPER = "/usr/libexec/dracd/drac-postlogin"


class Dracd:
    """The daemon of a site. Starting it again after an end of any kind keeps its state."""

    def __init__(self, site_roots):
        self._roots = site_roots
        self._process = None
        self.log_file = f"{site_roots.logs}/dracd.log"

    @property
    def present(self):
        """Whether the programs have been built."""
        return all(os.path.exists(f"{self._roots.dracd}/build/{name}") for name in roots.PROGRAMS)

    def configure(self, text):
        """Write drac.conf; takes effect at the next start or reload."""
        roots.write_file(f"{self._roots.dracd}/etc/drac/drac.conf", text)

    def check_configuration(self):
        """What `dracd -t` says: exit status and output."""
        return process.run(self._roots.dracd, [PROGRAM, "-t"])

    def start(self):
        """Start, and return when it has said READY=1."""
        directory = roots.make_directory(f"{self._roots.dracd}/run/site")
        path = f"{directory}/notify"
        if os.path.exists(path):
            os.unlink(path)
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(f"/proc/self/fd/{folder}/notify")  # the real path may be too long
            os.close(folder)
            os.chmod(path, 0o666)
            ready.setblocking(False)
            self.launch({"NOTIFY_SOCKET": "/run/site/notify"})
            wait.until(lambda: self._is_ready(ready), "READY=1 of dracd")

    def launch(self, environment=None):
        """Start, and return at once."""
        self._process = process.Process(
            "dracd", self._roots.dracd, [PROGRAM, "-c", "/etc/drac/drac.conf"], self.log_file,
            user="dracd", environment={"DRACD_LIBEXECDIR": LIBEXEC, **(environment or {})})

    def _is_ready(self, ready):
        if self._process.ended() is not None:
            raise OSError(f"dracd ended with {self._process.ended()} while starting:\n{self.log()}")
        try:
            return "READY=1" in ready.recv(4096).decode().splitlines()
        except BlockingIOError:
            return False

    def ended(self):
        """Its exit status, or None while it runs."""
        return self._process.ended() if self._process else 0

    def stop(self):
        """An orderly stop; it has to exit with 0."""
        status = self._process.stop(signal.SIGTERM)
        if status != 0:
            raise OSError(f"dracd: exit status {status} after SIGTERM:\n{self.log()}")

    def kill(self):
        """kill -9."""
        self._process.stop(signal.SIGKILL)

    def crash(self):
        """Ends as a failed assertion would end it."""
        self._process.send(signal.SIGABRT)

    def send_kill(self):
        """kill -9, and nothing is waited for."""
        self._process.send(signal.SIGKILL)

    def send_stop(self):
        """SIGTERM, and nothing is waited for."""
        self._process.send(signal.SIGTERM)

    def join(self):
        """Its exit status."""
        return wait.until(lambda: (self._process.ended(),) if self._process.ended() is not None else None,
                          "dracd to end")[0]

    def guardian(self):
        """The process that watches over it."""
        with open(f"/proc/{self._process.pid}/task/{self._process.pid}/children", encoding="ascii") as children:
            pid, = children.read().split()
        return int(pid)

    def kill_with_guardian(self):
        """kill -9 to both, so that neither can withdraw anything; waits for the end."""
        guardian = self.guardian()
        self.pause()
        os.kill(guardian, signal.SIGKILL)
        self.kill()

    def withdraw(self):
        """Run dracd-withdraw, as a service manager does when dracd has ended."""
        return process.run(self._roots.dracd, ["/build/dracd/dracd-withdraw", "-f"])

    def pause(self):
        """Hang it: the sockets stay, nobody answers. Waits until every thread stands still."""
        self._process.send(signal.SIGSTOP)
        status = f"/proc/{self._process.pid}/status"
        wait.until(lambda: "\nState:\tT" in process.read_log(status), "dracd to stand still")

    def resume(self):
        """Let it go on."""
        self._process.send(signal.SIGCONT)

    def control(self, *words, limit=60):
        """Run dracctl as root; returns its exit status and all its output."""
        return process.run(self._roots.dracd, [CONTROL, *words], limit)

    def ask(self, line, limit=10):
        """Speak to the control socket: the words of the answer's last line, as a dictionary."""
        folder = os.open(f"{self._roots.dracd}/run/dracd", os.O_PATH | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(limit)
            control.connect(f"/proc/self/fd/{folder}/control")
            os.close(folder)
            control.sendall(line.encode() + b"\n")
            lines = control.makefile()
            answer = lines.readline()
            while answer.split(" ")[0].strip() not in ("OK", "NO", "ERR", ""):
                answer = lines.readline()
        return dict(word.partition("=")[::2] for word in answer.split())

    def log(self):
        """All that dracd has logged since the site began."""
        return process.read_log(self.log_file)

    def logged(self, pattern):
        """The first match of a pattern in the log, awaited."""
        return wait.until(lambda: re.search(pattern, self.log(), re.MULTILINE), f"log line {pattern!r}")

    def version(self):
        """What `dracd -V` says."""
        return process.run(self._roots.dracd, [PROGRAM, "-V"])[1].strip()
