"""Two hosts on one wire: the mail server (the namespace we run in) and the clients.

Clients live in a second network namespace, because dracd never opens an address of its own host:
an address configured on the server would not do. There, whole networks are local (AnyIP), so that
every test case can have an address nobody has used before.
"""

import concurrent.futures
import os
import socket
import subprocess
import threading

from tests.site import kernel

SERVER4, SERVER6 = "192.0.2.25", "2001:db8:25::25"
CLIENT_NETWORKS4 = ("198.51.100.0/24", "203.0.113.0/24")
CLIENT_NETWORK6 = "2001:db8:1::/48"
_GATEWAY4, _GATEWAY6 = "192.0.2.254", "2001:db8:25::fe"
_IPV6_FREEBIND = 78


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL)


def family_of(address):
    """The socket family of an address in text form."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Network:
    """Sets up both sides, and makes sockets on either."""

    def __init__(self):
        self._clients = None
        thread = threading.Thread(target=self._make_client_side)
        thread.start()
        thread.join()
        if self._clients is None:
            raise OSError("cannot make the clients' network namespace")
        self._connect_both()
        self._inside = concurrent.futures.ThreadPoolExecutor(
            max_workers=2, initializer=kernel.join_network, initargs=(self._clients,))
        self._inside.submit(self._configure_client_side).result()

    def _make_client_side(self):
        kernel.new_network()
        self._clients = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _connect_both(self):
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "wire", "type", "veth", "peer", "name", "clients")
        _ip("link", "set", "clients", "netns", f"/proc/{os.getpid()}/fd/{self._clients}")
        _ip("address", "add", f"{SERVER4}/24", "dev", "wire")
        _ip("address", "add", f"{SERVER6}/64", "dev", "wire", "nodad")
        _ip("link", "set", "wire", "up")
        for network in CLIENT_NETWORKS4:
            _ip("route", "add", network, "via", _GATEWAY4)
        _ip("-6", "route", "add", CLIENT_NETWORK6, "via", _GATEWAY6)

    @staticmethod
    def _configure_client_side():
        _ip("link", "set", "lo", "up")
        _ip("address", "add", f"{_GATEWAY4}/24", "dev", "clients")
        _ip("address", "add", f"{_GATEWAY6}/64", "dev", "clients", "nodad")
        _ip("link", "set", "clients", "up")
        for network in CLIENT_NETWORKS4:
            _ip("route", "add", "local", network, "dev", "lo")
        _ip("-6", "route", "add", "local", CLIENT_NETWORK6, "dev", "lo")

    @staticmethod
    def _bound_socket(address):
        family = family_of(address)
        new = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        new.bind((address, 0))
        return new

    def connect(self, client, port, limit):
        """A TCP connection from the address `client` to the server.

        A loopback client is on the server's own side, and talks to 127.0.0.1."""
        if client.startswith("127."):
            new, server = self._bound_socket(client), "127.0.0.1"
        else:
            new = self._inside.submit(self._bound_socket, client).result()
            server = SERVER6 if family_of(client) == socket.AF_INET6 else SERVER4
        new.settimeout(limit)
        try:
            new.connect((server, port))
        except OSError:
            new.close()
            raise
        return new
