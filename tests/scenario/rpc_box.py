"""drac-rpcd before a dracd of one's own, and a client that knows the wire and nothing else."""
import fcntl
import os
import re
import signal
import socket
import struct
import subprocess

from dracd_box import BUILD, PATIENCE, Dracd
import unittest

GATEWAY = os.path.abspath(os.path.join(BUILD, "rpc", "drac-rpcd"))
PROGRAM = 900101
SUCCESS, PERM, SYSERR = 0, 1, 2
LAST_FRAGMENT = 0x80000000


# ---- the wire

def message(xid, version=1, procedure=1, argument=b"", program=PROGRAM, rpc=2, credential=(0, b"")):
    """A call as RFC 5531 lays it out."""
    flavour, body = credential
    return (struct.pack(">8I", xid, 0, rpc, program, version, procedure, flavour, len(body)) +
            body + bytes(-len(body) % 4) + struct.pack(">2I", 0, 0) + argument)


def ipv4(address):
    return socket.inet_aton(address)


def ipv6(address, upper=lambda octet: 0xffffff00 if octet > 0x7f else 0):
    """char[16] as rpcgen makes it: an integer each; upper() gives its three upper octets."""
    octets = socket.inet_pton(socket.AF_INET6, address)
    return struct.pack(">16I", *(upper(octet) | octet for octet in octets))


def accepted(xid, status, *more):
    return struct.pack(f">{6 + len(more)}I", xid, 1, 0, 0, 0, status, *more)


def answered(xid, status):
    """The answer to procedure 1."""
    return accepted(xid, 0, status)


def record(data, *lengths):
    """One record, in fragments of these lengths and one of the rest."""
    whole = b""
    for length in lengths:
        whole += struct.pack(">I", length) + data[:length]
        data = data[length:]
    return whole + struct.pack(">I", LAST_FRAGMENT | len(data)) + data


class Udp:
    """A client that keeps its port."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                                    socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)

    def send(self, data):
        self.socket.send(data)

    def receive(self, limit=PATIENCE):
        self.socket.settimeout(limit)
        return self.socket.recv(65536)

    def ask(self, data):
        self.send(data)
        return self.receive()

    def ask_again(self, data):
        """As the protocol has it where datagrams may be dropped: once a second, with the same xid."""
        for _ in range(PATIENCE):
            self.send(data)
            try:
                return self.receive(1)
            except TimeoutError:
                continue
        raise TimeoutError("no answer")

    def close(self):
        self.socket.close()


class Tcp:
    """A connection."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, PATIENCE)

    def send_octets(self, data):
        self.socket.sendall(data)

    def send(self, data):
        self.send_octets(record(data))

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise EOFError("the connection has ended")
            data += part
        return data

    def receive(self, limit=PATIENCE):
        self.socket.settimeout(limit)
        mark = struct.unpack(">I", self._exactly(4))[0]
        assert mark & LAST_FRAGMENT, hex(mark)
        return self._exactly(mark & ~LAST_FRAGMENT)

    def ask(self, data):
        self.send(data)
        return self.receive()

    def is_closed(self):
        """Waits for the end that the other side makes; octets before it are a failure."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


# ---- the gateway

def bound(kind, address):
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    if ":" in address:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind((address, 0))
    if kind == socket.SOCK_STREAM:
        made.listen(1024)
    return made


class Gateway:
    """drac-rpcd with sockets as systemd would pass them, so that no port is fixed; without passed
    sockets it binds those of drac.conf."""

    def __init__(self, dracd, passed=True):
        self.dracd = dracd
        self.log_file = dracd.path("rpcd.log")
        self.sockets = []
        self.at = {}
        for kind, name in ((socket.SOCK_DGRAM, "udp"), (socket.SOCK_STREAM, "tcp")):
            for address in ("127.0.0.1", "::1") if passed else ():
                made = bound(kind, address)
                self.sockets.append(made)
                self.at[name, 6 if ":" in address else 4] = made.getsockname()[:2]
        self.process = None
        self.tracer = []  # a command to run it under, as the same process

    def start(self, wait=True):
        command = [*self.tracer, GATEWAY, "-d", "-c", self.dracd.config]
        environment = {**os.environ}
        passed = [fcntl.fcntl(made, fcntl.F_DUPFD, 100) for made in self.sockets]
        if passed:  # they are to be 3, 4 ...; LISTEN_PID is that of the shell, which becomes it
            moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(passed))
            command = ["bash", "-c", f'LISTEN_PID=$$ exec "$@" {moves}', "bash", *command]
            environment["LISTEN_FDS"] = str(len(passed))
        with open(self.log_file, "ab") as log:
            self.begins = log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=environment,
                                            pass_fds=passed)
        for fd in passed:
            os.close(fd)
        if wait:
            self.wait_for_log("started version=")
        return self

    def text(self):
        with open(self.log_file, encoding="utf-8") as log:
            log.seek(self.begins)
            return log.read()

    def wait_for_log(self, text):
        def is_there():
            if text not in self.text() and self.process.poll() is not None:
                raise AssertionError(f"drac-rpcd ended with {self.process.returncode}:\n{self.text()}")
            return text in self.text()
        self.dracd.wait_for(is_there, f"{text!r} in the log of drac-rpcd")

    def reload(self, rpc, text="reloaded"):
        before = self.text().count(text)
        self.dracd.write_config(self.dracd.rest + rpc)
        self.process.send_signal(signal.SIGHUP)
        self.dracd.wait_for(lambda: self.text().count(text) > before, f"{text!r} once more")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.stop(signal.SIGKILL)
        for made in self.sockets:
            made.close()

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Case(unittest.TestCase):
    """A case with both; `rpc` is what stands in section rpc, `allow` in dracd.allow (None: no file)."""
    config = ""
    rpc = ""
    allow = None
    passed = True

    def section(self, more=""):
        return (f'rpc {{ report_socket = "{self.dracd.path("report")}" rpcbind = no '
                f'allow_file = "{self.dracd.path("dracd.allow")}" {more} }}\n')

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        self.dracd.rest = self.config
        self.dracd.write_config(self.config + self.section(self.rpc))
        if self.allow is not None:
            self.write_allow(self.allow)
        self.dracd.start()
        self.gateway = Gateway(self.dracd, self.passed)
        self.addCleanup(self.gateway.remove)
        self.start_gateway()

    def start_gateway(self):
        self.gateway.start()

    def write_allow(self, text):
        with open(self.dracd.path("dracd.allow"), "w", encoding="latin-1") as file:
            file.write(text)

    def udp(self, family=4):
        client = Udp(self.gateway.at["udp", family])
        self.addCleanup(client.close)
        return client

    def tcp(self, family=4):
        client = Tcp(self.gateway.at["tcp", family])
        self.addCleanup(client.close)
        return client

    def clients(self):
        """One of each kind."""
        return [self.udp(4), self.udp(6), self.tcp(4), self.tcp(6)]

    def leases(self):
        """How many dracd has."""
        return int(re.search(r"^leases count=(\d+)", "\n".join(self.dracd.control("status")), re.M)[1])
