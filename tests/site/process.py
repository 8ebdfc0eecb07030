"""Starting, watching and ending the servers."""

import os
import signal
import subprocess

from tests.site import wait


class Process:
    """A program in one of the roots, its output in a log file of its own."""

    def __init__(self, name, root, command, log, user=None, environment=None):
        self.name = name
        self.log = log
        words = ["chroot", root]
        if user:  # by name, inside the root: the account exists only there
            words += ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--no-new-privs",
                      "--inh-caps=-all", "--bounding-set=-all"]
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", **(environment or {})}
        with open(log, "ab") as output:
            self._child = subprocess.Popen(
                words + command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=variables, start_new_session=True, cwd="/")

    @property
    def pid(self):
        """The process id, inside the namespace."""
        return self._child.pid

    def ended(self):
        """The exit status, or None while it runs."""
        return self._child.poll()

    def send(self, number):
        """Send a signal to the process."""
        self._child.send_signal(number)

    def stop(self, number=signal.SIGTERM, limit=wait.PATIENCE):
        """Send a signal and wait for the end; what does not end is killed, and that is a failure."""
        if self.ended() is None:
            self.send(number)
        try:
            return self._child.wait(limit)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise wait.Late(f"{self.name}: did not end within {limit:g} s of signal {number}") from None

    def output(self):
        """All that is in the log."""
        return read_log(self.log)


def read_log(path):
    """The text of a log; a log that does not exist yet is empty."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def run(root, command, limit=60):
    """Run a program to its end in a root; returns its exit status and its output."""
    done = subprocess.run(["chroot", root, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=limit, check=False, cwd="/",
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC"})
    return done.returncode, done.stdout.decode(errors="replace")


def must_run(root, command, text=None):
    """Run a program that has to succeed, `text` being its input; returns its output."""
    done = subprocess.run(["chroot", root, *command], input=text or "", stdout=subprocess.PIPE, cwd="/",
                          stderr=subprocess.PIPE, encoding="utf-8", timeout=120, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
