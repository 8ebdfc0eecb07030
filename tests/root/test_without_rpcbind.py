"""A gateway that would tell rpcbind its port, on a host that has none: whoever knows the port is served.

Needs root, for a host of its own.
"""
import os
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenario"))

from tests.scenario.rpc_box import SUCCESS, Case, Tcp, Udp, answered, ipv4, message  # noqa: E402

PORT = 10901


class WithoutRpcbind(Case):
    passed = False
    rpc = f"port = {PORT} rpcbind = yes"

    @classmethod
    def setUpClass(cls):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def test_it_serves(self):
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 111))
        for xid, (client, address) in enumerate(((Udp, "127.0.0.1"), (Tcp, "127.0.0.1"), (Tcp, "::1"))):
            made = client((address, PORT))
            self.addCleanup(made.close)
            self.assertEqual(made.ask(message(xid, 1, 1, ipv4("203.0.113.9"))), answered(xid, SUCCESS))
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.gateway.wait_for_log("rpcbind is not there; only clients that know the port find this gateway")


if __name__ == "__main__":
    unittest.main()
