"""libdrac: a program of DRAC's time that is linked to it, shared and static, with dracd and its gateway."""
import os
import re
import signal
import socket
import subprocess
import time
import unittest

from dracd_box import BUILD, PATIENCE
from rpc_box import Case, bound

PROGRAMS = {name: os.path.abspath(f"{BUILD}/tests/libdrac/{name}") for name in ("old_client", "old_client_static")}
LIBRARY = f"{BUILD}/client/libdrac.so.1"
CALLS = ["dracauth", "dracauth6", "dracconn", "dracconn6", "dracdisc", "dracdisc6", "dracsend", "dracsend6"]
ADDED, PERM, SYSERR = ("0 Server reports add succeeded", "1 Server reports permission denied",
                       "2 Server reports system error")
CONNECTED, GONE, NOT_CONNECTED = "0 Connect succeeded", "0 Disconnect succeeded", "-1 Not connected"
TIME_LIMIT = 1.0  # of a call


class OldClient:
    """One that runs until the end of the test."""

    def __init__(self, program="old_client", **settings):
        environment = {**os.environ, "DRAC_TIMEOUT_MS": str(int(TIME_LIMIT * 1000)),
                       **{f"DRAC_{name.upper()}": str(value) for name, value in settings.items()}}
        self.process = subprocess.Popen([PROGRAMS[program]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment, text=True, bufsize=1)

    def __call__(self, call):
        self.process.stdin.write(call + "\n")
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(PATIENCE)


class Library(Case):
    """The ways to a server, each with both programs."""

    def client(self, **settings):
        client = OldClient(**settings)
        self.addCleanup(client.process.wait, PATIENCE)
        self.addCleanup(client.process.kill)
        self.addCleanup(client.process.stdout.close)
        self.addCleanup(client.process.stdin.close)
        return client

    def local(self, **settings):
        """By the report socket alone: at the port of RPC nobody listens."""
        silent = bound(socket.SOCK_DGRAM, "127.0.0.1")
        port = silent.getsockname()[1]
        silent.close()
        return self.client(report_socket=self.dracd.path("report"), **{"port": port, **settings})

    def remote(self, family=4, **settings):
        """By RPC alone."""
        return self.client(report_socket="", port=self.gateway.at["udp", family][1], **settings)

    def all_calls(self, client, server, number):
        """The eight, in the order of a server's life."""
        four, six = [f"203.0.113.{number + n}" for n in range(3)], [f"2001:db8::{number + n:x}" for n in range(3)]
        for addresses, suffix in ((four, ""), (six, "6")):
            self.assertEqual(client(f"send{suffix} {addresses[0]}"), NOT_CONNECTED)
            self.assertEqual(client(f"disc{suffix}"), NOT_CONNECTED)
            self.assertFalse(self.dracd.admits(addresses[0]))
            self.assertEqual(client(f"auth{suffix} {server} {addresses[0]}"), ADDED)
            self.assertEqual(client(f"conn{suffix} {server}"), CONNECTED)
            for address in addresses[1:]:
                self.assertEqual(client(f"send{suffix} {address}"), ADDED)
            for address in addresses:
                self.assertTrue(self.dracd.admits(address))
            self.assertEqual(client(f"disc{suffix}"), GONE)
            self.assertEqual(client(f"send{suffix} {addresses[0]}"), NOT_CONNECTED)
        self.assertEqual(client(f"quiet auth {server} {four[0]}"), "0")
        self.assertEqual(client(f"quiet conn {server}"), "0")
        self.assertEqual(client("quiet disc"), "0")

    def test_the_eight_calls_by_the_report_socket(self):
        for number, (program, server) in enumerate((("old_client", "localhost"), ("old_client_static", "127.0.0.1"),
                                                    ("old_client", "127.3.2.1"), ("old_client", "::1"))):
            self.all_calls(self.local(program=program), server, 10 * number + 1)
        self.assertEqual(self.local().end(), 0)

    def test_the_eight_calls_by_rpc(self):
        for number, (program, server, family) in enumerate((
                ("old_client", "127.0.0.1", 4), ("old_client_static", "127.0.0.1", 4), ("old_client", "::1", 6),
                ("old_client", "::ffff:127.0.0.1", 4), ("old_client", "localhost", 4))):
            self.all_calls(self.remote(family, program=program), server, 10 * number + 1)

    def test_a_connection_of_each_family(self):
        """dracconn() and dracconn6() are two."""
        client = self.remote()
        self.assertEqual(client("conn 127.0.0.1"), CONNECTED)
        self.assertEqual(client("send6 2001:db8::1"), NOT_CONNECTED)
        self.assertEqual(client("conn6 127.0.0.1"), CONNECTED)
        self.assertEqual(client("disc"), GONE)
        self.assertEqual(client("send6 2001:db8::1"), ADDED)

    def test_who_may_not_report(self):
        self.write_allow("255.255.255.255 192.0.2.1\n")
        self.gateway.reload(self.section())
        client = self.remote()
        self.assertEqual(client("auth 127.0.0.1 203.0.113.9"), PERM)
        self.assertEqual(client("conn 127.0.0.1"), CONNECTED)
        self.assertEqual(client("send 203.0.113.9"), PERM)
        self.assertFalse(self.dracd.admits("203.0.113.9"))

    def test_an_account_that_is_no_reporter_goes_by_rpc(self):
        """As did all of DRAC's; the gateway has its own list of callers."""
        self.dracd.write_config('reporters = {"65533"}\n' + self.section())
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK"))
        client = self.local(port=self.gateway.at["udp", 4][1])
        # the gateway here has the same account, so it is told no: what counts is that it was asked
        self.assertEqual(client("auth localhost 203.0.113.9"), SYSERR)
        self.assertIn("not among the reporters", self.gateway.text())

    def test_dracd_down(self):
        self.dracd.stop()
        self.assertEqual(self.remote()("auth 127.0.0.1 203.0.113.9"), SYSERR)
        client = self.local()
        for call in ("auth localhost 203.0.113.9", "conn localhost", "auth6 localhost 2001:db8::9", "conn6 localhost"):
            self.assertRegex(client(call), r"^-1 localhost: port \d+: nobody listens there$")
        self.dracd.start()
        self.assertEqual(client("auth localhost 203.0.113.9"), ADDED)

    def test_a_connection_outlives_restarts(self):
        for client, what in ((self.local(), self.dracd), (self.remote(), self.gateway)):
            self.assertEqual(client("conn 127.0.0.1"), CONNECTED)
            for _ in range(3):
                what.stop()
                self.assertRegex(client("send 203.0.113.9"), "^-[12] ")
                what.start()
                self.assertEqual(client("send 203.0.113.9"), ADDED)

    def test_a_server_that_hangs_has_its_time(self):
        """The call's own limit holds, whatever the server does; DRAC's would wait 25 seconds."""
        for client, what, says in ((self.local(), self.dracd, r"^-2 .*/report: Connection timed out$"),
                                   (self.remote(), self.gateway, r"^-1 127\.0\.0\.1: port \d+: RPC: Timed out$")):
            what.process.send_signal(signal.SIGSTOP)
            begun = time.monotonic()
            self.assertRegex(client("auth 127.0.0.1 203.0.113.9"), says)
            self.assertGreater(time.monotonic() - begun, TIME_LIMIT / 4)
            self.assertLess(time.monotonic() - begun, TIME_LIMIT + PATIENCE / 2)
            what.process.send_signal(signal.SIGCONT)
            self.assertEqual(client("auth 127.0.0.1 203.0.113.9"), ADDED)

    def test_a_connection_that_hangs(self):
        client = self.remote()
        self.assertEqual(client("conn 127.0.0.1"), CONNECTED)
        self.gateway.process.send_signal(signal.SIGSTOP)
        self.assertEqual(client("send 203.0.113.9"), "-2 127.0.0.1: RPC: Timed out")
        self.gateway.process.send_signal(signal.SIGCONT)
        self.assertEqual(client("send 203.0.113.9"), ADDED)

    def test_an_address_that_gets_no_lease(self):
        """255.255.255.255 is what inet_addr() makes of bad text; a client that is told of a failure reports no more."""
        for client in (self.local(), self.remote()):
            for address in ("255.255.255.255", "nonsense", "127.0.0.1"):
                self.assertEqual(client(f"auth 127.0.0.1 {address}"), ADDED)
        self.assertEqual(self.leases(), 0)

    def test_threads(self):
        """Each has its own text and its own answer."""
        for client in (self.local(), self.remote()):
            self.assertEqual(client("conn 127.0.0.1"), CONNECTED)
            self.assertEqual(client("threads 16 send 203.0.113.9"), "0 failed")
            self.assertEqual(client("threads 16 auth 127.0.0.1 203.0.113.10"), "0 failed")

    def test_a_child_has_the_connection_too(self):
        client = self.remote()
        self.assertEqual(client("conn 127.0.0.1"), CONNECTED)
        for _ in range(3):
            self.assertEqual(client("fork send 203.0.113.9"), ADDED)
            self.assertEqual(client("send 203.0.113.9"), ADDED)

    def test_names(self):
        client = self.local()
        self.assertRegex(client("auth nosuch.invalid 203.0.113.9"), r"^-1 nosuch\.invalid: ")
        self.assertEqual(client(f"conn {'x' * 300}"), "-1 the server's name is too long")
        self.assertEqual(client("send 203.0.113.9"), NOT_CONNECTED)

    def test_ipv4_is_tried_first(self):
        """What DRAC's own library calls from, and so what dracd.allow permits."""
        port = self.gateway.at["udp", 4][1]
        other = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.addCleanup(other.close)
        other.bind(("::1", port))
        other.setblocking(False)
        client = self.remote()
        for call in ("auth ::1,127.0.0.1 203.0.113.9", "auth6 ::1,127.0.0.1 2001:db8::9"):
            self.assertEqual(client(call), ADDED)
        with self.assertRaises(BlockingIOError):
            other.recv(4096)

    def test_the_look_up_of_a_name_has_time_of_its_own(self):
        call = f"slow {int(TIME_LIMIT * 1500)}"
        for client in (self.local(), self.remote()):
            self.assertEqual(client(f"{call} auth 127.0.0.1 203.0.113.9"), ADDED)
            self.assertEqual(client(f"{call} conn 127.0.0.1"), CONNECTED)

    def test_settings_that_are_wrong(self):
        for name, value, problem in (("timeout_ms", "5s", "no number from 100 to 25000"),
                                     ("timeout_ms", "99", "no number from 100 to 25000"),
                                     ("timeout_ms", "", "no number from 100 to 25000"),
                                     ("port", "0", "no number from 1 to 65535"),
                                     ("port", "-1", "no number from 1 to 65535"),
                                     ("report_socket", "/" + "x" * 200, "longer than 107 octets")):
            with self.subTest(value):
                client = self.client(**{name: value})
                for call in ("auth localhost 203.0.113.9", "conn localhost"):
                    self.assertEqual(client(call), f"-1 DRAC_{name.upper()} in the environment is {problem}")


class Files(unittest.TestCase):
    """What the library shows. What a sanitizer or the coverage of gcc adds is set aside: names with an underscore (and
    one of libgcov's without), and libraries, of which a user's build has none."""
    instrumented = os.path.basename(BUILD).startswith("cc-")

    def symbols(self, *arguments):
        text = subprocess.run(["nm", *arguments], check=True, capture_output=True, text=True).stdout
        names = re.findall(r" [A-TV-Z] (\S+)$", text, re.M)
        return sorted(name for name in names if not (self.instrumented and re.match("_|mangle_path$", name)))

    def test_the_eight_calls_and_nothing_else(self):
        """Unversioned: a version would stand behind an @."""
        self.assertEqual(self.symbols("-D", "--defined-only", LIBRARY), CALLS)
        self.assertEqual(self.symbols("--defined-only", f"{BUILD}/client/libdrac.a"), CALLS)

    def test_what_it_needs(self):
        text = subprocess.run(["readelf", "-d", LIBRARY], check=True, capture_output=True, text=True).stdout
        self.assertEqual(re.findall(r"SONAME.*\[(.*)\]", text), ["libdrac.so.1"])
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", text))
        if self.instrumented:
            needed = {name for name in needed if not re.match(r"lib(asan|ubsan|tsan|gcov|gcc_s|m)\.", name)}
        # the loader is the C library's: thread-local variables name it
        self.assertEqual({name for name in needed if not name.startswith("ld-linux")}, {"libc.so.6", "libtirpc.so.3"})


if __name__ == "__main__":
    unittest.main()
