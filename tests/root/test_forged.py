"""Datagrams whose source is forged, from another host, before a gateway that trusts that source: without `udp = yes`
nobody takes them. With it they are believed, which shows that they arrive.

Needs root, for raw sockets and for two hosts.
"""
import concurrent.futures
import os
import socket
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenario"))

from tests.site import kernel  # noqa: E402
from tests.scenario.rpc_box import Case, Udp, accepted, ipv4, message  # noqa: E402

SERVER, ATTACKER, TRUSTED = "203.0.113.2", "203.0.113.1", "203.0.113.7"
PORT = 10901
BAD = "198.51.100.66"
TIMES = 20


def ip(words):
    subprocess.run(["ip", *words.split()], check=True)


def forged(source, payload):
    """An IPv4 datagram; the kernel puts in its length and its sum."""
    udp = struct.pack(">4H", 800, PORT, 8 + len(payload), 0) + payload
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(source), socket.inet_aton(SERVER)) + udp


def attack(source):
    """From the other host: each call anew, and then a question of its own, which is answered after all of them.
    False if the port is closed."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for xid in range(TIMES):
            raw.sendto(forged(source, message(xid, 1, 1, ipv4(BAD))), (SERVER, 0))
    client = Udp((SERVER, PORT))
    try:
        return client.ask_again(message(99, 1, 0)) == accepted(99, 0)
    except ConnectionRefusedError:
        return False
    finally:
        client.close()


class Forged(Case):
    passed = False

    @classmethod
    def setUpClass(cls):
        cls.other_host = concurrent.futures.ThreadPoolExecutor(1, initializer=kernel.new_network)
        other = cls.other_host.submit(lambda: os.open("/proc/thread-self/ns/net", os.O_RDONLY)).result()
        for words in ("link set lo up", "link add wire type veth peer name far",
                      f"link set far netns /proc/{os.getpid()}/fd/{other}", f"address add {SERVER}/24 dev wire",
                      "link set wire up"):
            ip(words)
        os.close(other)
        for words in ("link set lo up", f"address add {ATTACKER}/24 dev far", "link set far up",
                      f"route add {TRUSTED}/32 dev far"):
            cls.other_host.submit(ip, words).result()

    @classmethod
    def tearDownClass(cls):
        ip("link delete wire")
        cls.other_host.shutdown()

    def start_gateway(self):
        pass

    def listen(self, more):
        self.dracd.write_config(self.section(f'listen = {{"127.0.0.1", "{SERVER}"}} port = {PORT} {more}'))
        self.gateway.start()

    def attack(self, source):
        """True if it was believed; None if the port is closed."""
        if not self.other_host.submit(attack, source).result():
            return None
        for _ in range(2):  # answered after what the gateway has reported
            self.dracd.login("203.0.113.99")
        return self.dracd.admits(BAD)

    def test_the_default_takes_none(self):
        self.listen(f'callers = {{"{TRUSTED}"}}')
        self.assertIsNone(self.attack(TRUSTED))
        self.assertEqual(self.leases(), 0)

    def test_without_udp(self):
        self.listen(f'callers = {{"{TRUSTED}"}} udp = no')
        self.assertIsNone(self.attack(TRUSTED))

    def test_with_udp_they_are_believed_and_that_is_said_before(self):
        self.listen(f'callers = {{"{TRUSTED}"}} udp = yes')
        self.assertIn("can be forged", self.gateway.text())
        self.assertIs(self.attack(TRUSTED), True)

    def test_nobody_is_this_host_but_itself(self):
        """Who comes from elsewhere with our own address, or that of loopback."""
        self.listen("udp = yes")
        for source in (SERVER, "127.0.0.1"):
            self.assertIs(self.attack(source), False)


if __name__ == "__main__":
    unittest.main()
