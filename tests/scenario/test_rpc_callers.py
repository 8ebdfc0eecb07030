"""Who may report by RPC, and where the gateway can be reached."""
import os
import socket
import subprocess
import tempfile
import unittest

from dracd_box import PATIENCE
from rpc_box import GATEWAY, PERM, SUCCESS, Case, Tcp, Udp, answered, bound, ipv4, message


class Callers(Case):
    """dracd.allow and callers, each with a reload."""

    def statuses(self):
        """The last octet of the answers to a caller of 127.0.0.1 and to one of ::1."""
        return [client.ask(message(1, 1, 1, ipv4("203.0.113.9")))[-1] for client in (self.tcp(4), self.tcp(6))]

    def set(self, allow, more=""):
        if allow is None:
            os.unlink(self.dracd.path("dracd.allow"))
        else:
            self.write_allow(allow)
        self.gateway.reload(self.section(more))

    def test_without_a_file_this_host_may(self):
        self.assertEqual(self.statuses(), [SUCCESS, SUCCESS])

    def test_with_an_empty_file_nobody_may(self):
        self.set("")
        self.assertEqual(self.statuses(), [PERM, PERM])
        self.assertIn("empty; no caller may report", self.gateway.text())
        self.assertIn("127.0.0.1 may not report", self.gateway.text())
        self.assertFalse(self.dracd.admits("203.0.113.9"))
        self.set(None)
        self.assertEqual(self.statuses(), [SUCCESS, SUCCESS])

    def test_masks(self):
        for text, may in (("255.255.255.255 127.0.0.1", True), ("255.0.0.0 127.0.0.0", True),
                          ("0.0.0.0 0.0.0.0", True), ("255.255.255.0 127.0.1.0", False),
                          ("255.0.0.0 127.0.0.1", False), ("127.0.0.1 255.255.255.255", False),
                          (" 255.0.0.0 127.0.0.0", False), ("255.0.0.0 127.0.0.0 # here", True),
                          ("#255.0.0.0 127.0.0.0", False), ("255.0.0.0\t127.0.0.0x", True),
                          ("127.0.0.0/8", False), ("localhost", False), ("255 127", False)):
            with self.subTest(text):
                self.set(text + "\n")
                self.assertEqual(self.statuses(), [SUCCESS if may else PERM, PERM])

    def test_unusable_lines_are_told_by_their_number(self):
        self.set("# who may\n\n255.0.0.0 10.0.0.0\n10.0.0.0/8\n255.0.0.0 10.1.0.0\n300.0.0.0 10.0.0.9\n")
        for number, problem in ((4, "not \"netmask address\""), (5, "host bits are set"),
                                (6, "no netmask; read as 255.255.255.255")):
            self.assertIn(f"dracd.allow:{number}: ", self.gateway.text())
            self.assertIn(problem, self.gateway.text())
        self.assertNotIn("dracd.allow:1:", self.gateway.text())
        self.assertNotIn("dracd.allow:3:", self.gateway.text())

    def test_prefixes(self):
        for callers, expected in (('{"127.0.0.0/8"}', [SUCCESS, PERM]), ('{"::1"}', [PERM, SUCCESS]),
                                  ('{"::/0"}', [PERM, SUCCESS]), ('{"0.0.0.0/0", "::1/128"}', [SUCCESS, SUCCESS]),
                                  ('{"127.0.0.2", "2001:db8::/32"}', [PERM, PERM])):
            with self.subTest(callers):
                self.set("", f"callers = {callers}")
                self.assertEqual(self.statuses(), expected)

    def test_the_null_procedure_is_anybodys(self):
        self.set("")
        self.assertEqual(self.udp().ask(message(3, 1, 0))[-4:], bytes(4))

    def test_a_reload_that_fails_changes_nothing(self):
        self.set("", 'callers = {"127.0.0.0/8"}')
        self.gateway.reload(self.section('callers = {"10.0.0.1/8"}'), "not reloaded")
        self.assertIn("host bits are set", self.gateway.text())
        self.assertEqual(self.statuses(), [SUCCESS, PERM])
        self.gateway.reload(self.section("calers = {}"), "not reloaded")
        self.assertIn("no such option 'calers'", self.gateway.text())
        self.assertEqual(self.statuses(), [SUCCESS, PERM])

    def test_what_takes_a_restart_is_told_as_long_as_it_is_not_in_force(self):
        told = "take effect at a restart"
        for more, times in (("", 0), ("max_connections = 7", 1), ("max_connections = 7", 2), ("", 2)):
            self.set("", more)
            self.assertEqual(self.gateway.text().count(told), times, more)

    def test_dracd_reads_nothing_of_the_section(self):
        self.dracd.write_config("rpc { port = all no_such_option = 5 }\n")
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK"))


class Bound(Case):
    """Sockets that the gateway binds itself."""
    passed = False

    def start_gateway(self):
        pass

    def bind(self, listen, more=""):
        """Start on a port that is free just now; try again if it was taken meanwhile."""
        for _ in range(20):
            with bound(socket.SOCK_STREAM, "127.0.0.1") as probe:
                port = probe.getsockname()[1]
            self.dracd.write_config(self.section(f"listen = {listen} port = {port} {more}"))
            self.gateway.start(wait=False)
            self.dracd.wait_for(lambda: "started version=" in self.gateway.text() or
                                self.gateway.process.poll() is not None, "the gateway")
            if "Address already in use" not in self.gateway.text():
                return port
            self.gateway.process.wait()
        raise AssertionError("no port is free")

    def serves(self, client, address, port):
        made = client((address, port))
        self.addCleanup(made.close)
        return made.ask(message(1, 1, 1, ipv4("203.0.113.9"))) == answered(1, SUCCESS)

    def test_loopback(self):
        port = self.bind('{"127.0.0.1", "::1"}')
        for client in (Udp, Tcp):
            for address in ("127.0.0.1", "::1"):
                self.assertTrue(self.serves(client, address, port))
            with self.assertRaises(ConnectionRefusedError):
                self.serves(client, "127.0.0.2", port)

    def test_who_has_the_port_may_let_go_of_it(self):
        """As the child of a gateway that was killed; it is not waited for long."""
        with bound(socket.SOCK_STREAM, "127.0.0.1") as other:
            port = other.getsockname()[1]
            self.dracd.write_config(self.section(f'listen = {{"127.0.0.1"}} port = {port}'))
            self.gateway.start(wait=False)
            wchan = f"/proc/{self.gateway.process.pid}/wchan"

            def waits():
                with open(wchan, encoding="ascii") as file:
                    return "nanosleep" in file.read()
            self.dracd.wait_for(waits, "the gateway to wait")
        self.gateway.wait_for_log("started version=")
        self.assertTrue(self.serves(Udp, "127.0.0.1", port))
        self.gateway.stop()

    def test_who_has_the_port_and_keeps_it(self):
        with bound(socket.SOCK_STREAM, "127.0.0.1") as other:
            self.dracd.write_config(self.section(f'listen = {{"127.0.0.1"}} port = {other.getsockname()[1]}'))
            self.gateway.start(wait=False)
            self.assertEqual(self.gateway.process.wait(PATIENCE), 1)
        self.assertIn("Address already in use", self.gateway.text())

    def test_the_port_is_kept_over_restarts(self):
        port = self.bind('{"127.0.0.1"}')
        client, connection = Udp(("127.0.0.1", port)), Tcp(("127.0.0.1", port))
        self.addCleanup(client.close)
        self.addCleanup(connection.close)
        for xid in range(20):
            self.assertEqual(client.ask(message(xid, 1, 1, ipv4("203.0.113.9"))), answered(xid, SUCCESS))
            self.assertEqual(self.gateway.stop(), 0)
            self.gateway.start()

    def test_udp_from_other_hosts_has_to_be_wanted(self):
        port = self.bind('{"0.0.0.0"}')
        self.assertTrue(self.serves(Tcp, "127.0.0.1", port))
        with self.assertRaises(ConnectionRefusedError):
            self.serves(Udp, "127.0.0.1", port)

    def test_and_is_warned_of(self):
        port = self.bind('{"0.0.0.0", "::"}', "udp = yes")
        self.assertIn("UDP on 0.0.0.0", self.gateway.text())
        self.assertIn("can be forged", self.gateway.text())
        for client in (Udp, Tcp):
            for address in ("127.0.0.1", "::1", "127.0.0.5"):  # answered from where it was asked
                self.assertTrue(self.serves(client, address, port))

    def test_no_udp(self):
        port = self.bind('{"127.0.0.1"}', "udp = no")
        self.assertTrue(self.serves(Tcp, "127.0.0.1", port))
        with self.assertRaises(ConnectionRefusedError):
            self.serves(Udp, "127.0.0.1", port)


class Options(unittest.TestCase):
    """The command line."""

    def run_it(self, *arguments):
        done = subprocess.run([GATEWAY, *arguments], capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def test_version_and_usage(self):
        status, text = self.run_it("-V")
        self.assertEqual((status, text.split()[0]), (0, "drac-rpcd"))
        self.assertEqual(self.run_it("-h")[0], 0)
        for wrong in (["-x"], ["file"]):
            status, text = self.run_it(*wrong)
            self.assertEqual(status, 1)
            self.assertIn("usage: drac-rpcd", text)

    def test_the_shipped_file_is_good(self):
        status, text = self.run_it("-t", "-c", os.path.abspath("drac.conf"))
        self.assertEqual((status, "drac.conf: no errors\n" in text), (0, True), text)

    def test_the_file_of_callers_is_checked_too(self):
        with tempfile.TemporaryDirectory() as directory:
            config, allow = f"{directory}/drac.conf", f"{directory}/dracd.allow"
            with open(config, "w", encoding="ascii") as file:
                file.write(f'rpc {{ allow_file = "{allow}" }}\n')
            status, text = self.run_it("-t", "-c", config)
            self.assertEqual((status, "callers on this host may report" in text), (0, True), text)
            for lines, told in (("", "empty; no caller may report"),
                                ("127.0.0.1 255.255.255.255\n", ":1: host bits are set in the second field (the netmask comes first)")):
                with open(allow, "w", encoding="ascii") as file:
                    file.write(lines)
                status, text = self.run_it("-t", "-c", config)
                self.assertEqual((status, told in text, "no errors" in text), (0, True, True), text)
            os.unlink(allow)
            os.mkdir(allow)
            status, text = self.run_it("-t", "-c", config)
            self.assertEqual((status, f"cannot read {allow}" in text, "no errors" in text), (1, True, False), text)


if __name__ == "__main__":
    unittest.main()
