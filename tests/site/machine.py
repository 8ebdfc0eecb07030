"""A Debian that a real systemd boots as its process 1, in namespaces, and dracd installed on it.

The tree of tests/systemd-tree is the lower half of an overlay, so it stays as it was made. The
machine has process, mount, network, IPC, host name and control group namespaces of its own: its
systemd sees only what it started. /proc/sys is read-only, since most of it is the host's.
"""

import concurrent.futures
import os
import signal
import socket
import subprocess
import tempfile

from tests.site import kernel, wait

LIMIT = 120.0  # seconds for one command

_BOOT = r"""
set -e
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for directory in run tmp dev; do mount -t tmpfs -o mode=755 $directory $directory; done
chmod 1777 tmp
for device in null zero full random urandom tty; do
	touch dev/$device
	mount --bind /dev/$device dev/$device
done
ln -s /proc/self/fd dev/fd
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
mkdir -p old
pivot_root . old
umount -l old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal
"""
# What a container has no use for.
_MASKED = ("console-getty.service", "getty@.service", "systemd-networkd-wait-online.service",
           "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_reap.service")


class Machine:
    """One machine; `base` becomes a tmpfs of this namespace."""

    def __init__(self, base, tree):
        if not os.path.exists(f"{tree}/.stamp"):
            raise FileNotFoundError(f"{tree}: not there; run tests/systemd-tree first")
        os.makedirs(base, exist_ok=True)
        kernel.mount("machine", base, "tmpfs", options="mode=0755")
        self.root = f"{base}/root"
        for name in ("root", "upper", "work", "cgroup"):
            os.mkdir(f"{base}/{name}")
        kernel.mount("overlay", self.root, "overlay",
                     options=f"lowerdir={tree},upperdir={base}/upper,workdir={base}/work")
        self.write("/etc/machine-id", "4711" * 8 + "\n")
        self.write("/etc/hostname", "mx\n")
        for unit in _MASKED:
            os.symlink("/dev/null", f"{self.root}/etc/systemd/system/{unit}")
        kernel.mount("cgroup2", f"{base}/cgroup", "cgroup2")
        self._groups = f"{base}/cgroup"
        self._group = None
        self._child = None
        self._inside = None
        self.pid = 0

    def write(self, path, text, mode=0o644):
        """Write a file of the machine."""
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.root + path, mode)

    # ---- power ----

    def _join_group(self):
        with open(f"{self._group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")

    def boot(self):
        """Power on, and return when systemd has started all it wants to."""
        # of a name nobody else has: the hierarchy is the host's, and a process id only ours
        self._group = tempfile.mkdtemp(prefix="dracd-machine-", dir=self._groups)
        # pylint: disable-next=subprocess-popen-preexec-fn  # no thread of ours runs yet
        self._child = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--net", "--fork", "--kill-child",
             "--propagation", "private", "sh", "-c", _BOOT, "boot", self.root],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=self._join_group,
            start_new_session=True)
        self.pid = wait.until(self._find_first_process, "process 1 of the machine")
        wait.until(lambda: self.run("test", "-S", "/run/systemd/private")[0] == 0, "systemd to listen", LIMIT)
        status, state = self.run("systemctl", "is-system-running", "--wait")
        if (status, state) != (0, "running\n"):
            raise OSError(f"the machine is {state.strip()}:\n" + self.run("systemctl", "--failed")[1]
                          + self.run("journalctl", "-b", "-n", "60")[1])
        with open(f"/proc/{self.pid}/ns/net", "rb") as namespace:
            network = os.dup(namespace.fileno())
        self._inside = concurrent.futures.ThreadPoolExecutor(
            max_workers=2, initializer=kernel.join_network, initargs=(network,))

    def _find_first_process(self):
        if self._child.poll() is not None:
            raise OSError(f"the machine did not boot: status {self._child.returncode}")
        with open(f"/proc/{self._child.pid}/task/{self._child.pid}/children", encoding="ascii") as file:
            children = file.read().split()
        if not children:
            return None
        with open(f"/proc/{children[0]}/comm", encoding="ascii") as file:
            return int(children[0]) if file.read() == "systemd\n" else None

    def power_off(self):
        """Shut down as an administrator does, and wait for it."""
        self.run("systemctl", "poweroff")
        self._child.wait(LIMIT)
        self._gone()

    def pull_the_plug(self):
        """Kill everything at once; nothing of the machine is left. Its disk keeps what was written."""
        if self._child and self._child.poll() is None:
            os.kill(self.pid or self._child.pid, signal.SIGKILL)
            self._child.wait()
        self._gone()

    def _gone(self):
        try:
            wait.until(lambda: _remove_groups(self._group), "the control groups to be empty")
        except wait.Late as error:
            left = subprocess.run(["grep", "-r", "", "--include=cgroup.procs", self._group], stdout=subprocess.PIPE,
                                  encoding="utf-8", check=False).stdout
            raise wait.Late(f"{error}: {left}") from None

    # ---- use ----

    def _enter(self, words):
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--net",
                "--root", "--wd", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                "SYSTEMD_PAGER=", *words]

    def run(self, *words, text=""):
        """Run a command as root to its end; returns exit status and output."""
        done = subprocess.run(self._enter(words), input=text, encoding="utf-8", timeout=LIMIT, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def network(self, *words):
        """Run ip(8), which the machine does not have, in its network."""
        subprocess.run(["nsenter", "--target", str(self.pid), "--net", "ip", *words], check=True, stdin=subprocess.DEVNULL,
                       timeout=LIMIT)

    def must(self, *words, text=""):
        """Run a command that has to succeed; returns its output."""
        status, output = self.run(*words, text=text)
        if status != 0:
            raise AssertionError(f"{' '.join(words)}: status {status}: {output.strip()}")
        return output

    def start(self, *words):
        """Start a command and return its process."""
        return subprocess.Popen(self._enter(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, encoding="utf-8")

    def connect_unix(self, path):
        """A connection to a unix socket of the machine, as root."""
        folder = os.open(f"/proc/{self.pid}/root{os.path.dirname(path)}", os.O_PATH | os.O_DIRECTORY)
        new = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        new.settimeout(30)
        try:
            new.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        except OSError:
            new.close()
            raise
        finally:
            os.close(folder)
        return new

    def connect(self, client, port, limit):
        """A TCP connection from one of its loopback addresses to 127.0.0.1, for a dialogue."""
        new = self._inside.submit(socket.socket, socket.AF_INET, socket.SOCK_STREAM).result()
        new.settimeout(limit)
        new.bind((client, 0))
        new.connect(("127.0.0.1", port))
        return new

    def shows(self, unit, name):
        """A property of a unit."""
        return self.must("systemctl", "show", "--value", "--property", name, unit).strip()


def _remove_groups(top):
    """Remove a control group and all below it; false if one is not yet empty."""
    for directory, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:
            return False
    return not os.path.exists(top)
