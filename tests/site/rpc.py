"""Who speaks DRAC's protocol on a site: rpcbind, dracd's gateway, and two clients that report logins: one that knows the
wire and nothing else, and a program that is linked to libdrac."""

import os
import shutil
import signal
import socket
import struct
import subprocess

from tests.site import kernel, old_drac, process, wait

PROGRAM = 900101
DEFAULT_PORT = 10901
GATEWAY = "rpc/drac-rpcd"
OLD_CLIENT = "tests/libdrac/old_client"
_COPIED = (GATEWAY, OLD_CLIENT, "client/libdrac.so.1")
_LIMIT = 20  # seconds, for an answer: an old client asks again after 15


class Rpcbind:
    """That of the release."""
    name = "rpcbind"

    def __init__(self, site_roots):
        self._root, self._log = site_roots.mail, f"{site_roots.logs}/rpcbind.log"
        # libtirpc says /run or /var/run
        self._shown_at = [f"{site_roots.dracd}{folder}/rpcbind.sock" for folder in ("/run", "/var/run")]
        self._process = None

    def start(self):
        """Start, and return when it accepts; the gateway, which has another root, sees its socket."""
        os.makedirs(f"{self._root}/run/rpcbind", exist_ok=True)
        self._process = process.Process(self.name, self._root, ["/usr/sbin/rpcbind", "-f", "-w"], self._log)
        wait.until(self._accepts, "rpcbind")
        for name in self._shown_at:
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, "wb"):
                kernel.bind(f"{self._root}/run/rpcbind.sock", name)

    def _accepts(self):
        if self._process.ended() is not None:
            raise OSError(f"rpcbind ended with {self._process.ended()}:\n{self._process.output()}")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(("127.0.0.1", 111)) == 0

    def knows(self):
        """What it says of DRAC's program: version, protocol and port."""
        text = process.must_run(self._root, ["/usr/sbin/rpcinfo", "-p", "127.0.0.1"])
        rows = [row.split() for row in text.splitlines()]
        return sorted(tuple(row[1:4]) for row in rows if row[0] == str(PROGRAM))

    def left_by_root(self, port):
        """rpc.dracd's entries, as the library of its time made them: by UDP from a port of root's. It leaves them there."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(_LIMIT)
            client.bind(("127.0.0.1", port))
            for version in (1, 2):
                for protocol in (socket.IPPROTO_UDP, socket.IPPROTO_TCP):
                    client.sendto(struct.pack(">14I", 1, 0, 2, 100000, 2, 1, 0, 0, 0, 0, PROGRAM, version, protocol, port),
                                  ("127.0.0.1", 111))
                    answer = struct.unpack(">7I", client.recv(4096))
                    assert answer == (1, 1, 0, 0, 0, 0, 1), answer

    def forget(self):
        """What the README tells to do about them, as root."""
        for command in old_drac.FORGET.splitlines():
            process.must_run(self._root, ["/usr/sbin/rpcinfo", *command.split()[1:]])

    def stop(self):
        """It leaves its registrations behind, as on a host that is shut down."""
        self._process.stop(signal.SIGTERM)
        for name in self._shown_at:
            kernel.unmount(name)
            os.unlink(name)


class Gateway:
    """drac-rpcd, with its account."""

    def __init__(self, site_roots):
        self._root, self._log = site_roots.dracd, f"{site_roots.logs}/drac-rpcd.log"
        self._process = None
        for name in _COPIED:
            source = os.path.join(site_roots.programs, name)
            os.makedirs(os.path.dirname(f"{self._root}/build/{name}"), exist_ok=True)
            shutil.copy(source, f"{self._root}/build/{name}")
        shutil.copy(f"{site_roots.system}/etc/netconfig", f"{self._root}/etc/netconfig")

    def start(self):
        """Start, and return when it serves."""
        begins = len(process.read_log(self._log))
        self._process = process.Process("drac-rpcd", self._root, [f"/build/{GATEWAY}"], self._log, user="drac-rpcd")

        def is_there():
            if self._process.ended() is not None:
                raise OSError(f"drac-rpcd ended with {self._process.ended()}:\n{self.log()}")
            return "started version=" in self.log()[begins:]
        wait.until(is_there, "drac-rpcd")

    def stop(self):
        """An orderly stop."""
        status = self._process.stop(signal.SIGTERM)
        assert status == 0, f"drac-rpcd: exit status {status}:\n{self.log()}"

    def stop_all(self):
        """As systemd stops a service: its children are told to end, too, also those that it then still makes."""
        self._process.send(signal.SIGTERM)
        children = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        while self._process.ended() is None:
            try:
                with open(children, encoding="ascii") as file:
                    for child in file.read().split():
                        os.kill(int(child), signal.SIGTERM)
            except (FileNotFoundError, ProcessLookupError):
                pass
        assert self._process.ended() == 0, self.log()

    def kill(self):
        """kill -9."""
        self._process.stop(signal.SIGKILL)

    def log(self):
        """All that it has logged."""
        return process.read_log(self._log)


class WireClient:
    """Keeps its port, as a client of DRAC does for months."""

    def __init__(self, port, host="127.0.0.1", limit=_LIMIT):
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(limit)
        self._socket.connect((host, port))
        self._xid = 0

    def report(self, address):
        """The status of one login: 0 success."""
        self._xid += 1
        if ":" in address:
            octets = socket.inet_pton(socket.AF_INET6, address)
            version, argument = 2, struct.pack(">16i", *(octet - 256 * (octet > 127) for octet in octets))
        else:
            version, argument = 1, socket.inet_aton(address)
        self._socket.send(struct.pack(">10I", self._xid, 0, 2, PROGRAM, version, 1, 0, 0, 0, 0) + argument)
        xid, *rest, status = struct.unpack(">7I", self._socket.recv(4096))
        assert (xid, rest) == (self._xid, [1, 0, 0, 0, 0]), (xid, rest)
        return status

    def close(self):
        """The end of the client."""
        self._socket.close()


class OldClient:
    """A program of DRAC's time; `settings` are libdrac's, without their DRAC_."""

    def __init__(self, site_roots, **settings):
        environment = {f"DRAC_{name.upper()}": str(value) for name, value in settings.items()}
        self._process = subprocess.Popen(
            ["/usr/sbin/chroot", site_roots.dracd, f"/build/{OLD_CLIENT}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment, text=True, bufsize=1, cwd="/")

    def call(self, line):
        """One call of the library: its result and its text."""
        self._process.stdin.write(line + "\n")
        return self._process.stdout.readline().rstrip("\n")

    def close(self):
        """The end of the program, which has to go well."""
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(wait.PATIENCE) == 0
