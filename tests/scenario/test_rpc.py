"""The DRAC protocol on the wire: what drac-rpcd answers, and what dracd then admits."""
import itertools
import os
import re
import signal
import socket
import time
import unittest

from dracd_box import PATIENCE
from rpc_box import (PERM, SUCCESS, SYSERR, Case, accepted, answered, ipv4, ipv6, message, record)

UPPERS = {"sign-extended": lambda octet: 0xffffff00 if octet > 0x7f else 0,
          "not extended": lambda octet: 0,
          "junk": lambda octet: 0xdeadbe00}


class Wire(Case):
    """Each message, by UDP and TCP, over IPv4 and IPv6."""

    def test_version_1(self):
        for number, client in enumerate(self.clients(), 1):
            address = f"203.0.113.{number}"
            self.assertFalse(self.dracd.admits(address))
            self.assertEqual(client.ask(message(77, 1, 1, ipv4(address))), answered(77, SUCCESS))
            self.assertTrue(self.dracd.admits(address))

    def test_version_2(self):
        numbers = itertools.count(1)
        for client in self.clients():
            for name, upper in UPPERS.items():
                address = f"2001:db8:80ff::{next(numbers):x}"
                with self.subTest(name):
                    self.assertEqual(client.ask(message(78, 2, 1, ipv6(address, upper))),
                                     answered(78, SUCCESS))
                    self.assertTrue(self.dracd.admits(address))

    def test_version_2_with_a_mapped_address(self):
        self.assertEqual(self.udp().ask(message(1, 2, 1, ipv6("::ffff:203.0.113.9"))), answered(1, SUCCESS))
        self.assertTrue(self.dracd.admits("203.0.113.9"))

    def test_the_length_of_a_datagram(self):
        """44 and 104 octets of call, 28 of answer: as captured of DRAC itself."""
        self.assertEqual(len(message(1, 1, 1, ipv4("203.0.113.9"))), 44)
        self.assertEqual(len(message(1, 2, 1, ipv6("2001:db8::9"))), 104)
        self.assertEqual(len(self.udp().ask(message(1, 1, 1, ipv4("203.0.113.9")))), 28)

    def test_null_procedure(self):
        for client in self.clients():
            for version in (1, 2):
                self.assertEqual(client.ask(message(5, version, 0)), accepted(5, 0))

    def test_wrong_program_version_and_procedure(self):
        good = ipv4("203.0.113.66")
        for client in self.clients():
            self.assertEqual(client.ask(message(6, 1, 1, good, program=900102)), accepted(6, 1))
            for version in (0, 3, 0xffffffff):
                self.assertEqual(client.ask(message(7, version, 1, good)), accepted(7, 2, 1, 2))
            for procedure in (2, 0xffffffff):
                self.assertEqual(client.ask(message(8, 1, procedure, good)), accepted(8, 3))
            self.assertEqual(client.ask(message(9, 1, 1, good, rpc=3))[:12],
                             b"\0\0\0\x09\0\0\0\x01\0\0\0\x01")
        self.assertFalse(self.dracd.admits("203.0.113.66"))

    def test_truncated_arguments(self):
        for client in self.clients():
            for version, whole in ((1, ipv4("203.0.113.66")), (2, ipv6("2001:db8::66"))):
                for length in range(0, len(whole), 4):
                    self.assertEqual(client.ask(message(10, version, 1, whole[:length])), accepted(10, 4))
            self.assertEqual(client.ask(message(10, 1, 1, b"\xcb\0\x71")), accepted(10, 4))
        self.assertEqual(self.leases(), 0)

    def test_overlong_arguments(self):
        """What follows the argument is passed over, as DRAC passes it over."""
        for number, client in enumerate(self.clients(), 1):
            address = f"203.0.113.{number}"
            self.assertEqual(client.ask(message(11, 1, 1, ipv4(address) + b"x" * 8000)), answered(11, SUCCESS))
            self.assertTrue(self.dracd.admits(address))

    def test_credentials(self):
        """Those of AUTH_SYS are passed over; others cannot be verified."""
        for client in self.clients():
            whole = message(12, 1, 1, ipv4("203.0.113.9"), credential=(1, b"c" * 399))
            self.assertEqual(client.ask(whole), answered(12, SUCCESS))
            self.assertEqual(client.ask(message(13, 1, 1, ipv4("203.0.113.9"), credential=(6, b"c" * 8)))[:16],
                             b"\0\0\0\x0d\0\0\0\x01\0\0\0\x01\0\0\0\x01")

    def test_what_is_no_call_is_not_answered(self):
        client = self.udp()
        good = message(14, 1, 1, ipv4("203.0.113.9"))
        for data in (b"", b"x", good[:11], good[:39], b"\0\0\0\1" * 10, b"\xff" * 1400, good[:4] + b"\0\0\0\1" + good[8:],
                     message(14, 1, 1, credential=(1, b"c" * 404))):
            client.send(data)
        self.assertEqual(client.ask(message(15, 1, 0)), accepted(15, 0))

    def test_an_answer_comes_from_the_address_that_was_asked(self):
        """Udp clients are connected, so they see no other; both addresses are served by now."""
        for family in (4, 6):
            self.assertEqual(self.udp(family).ask(message(16, 1, 0)), accepted(16, 0))


class Again(Case):
    """Duplicates."""

    def test_a_duplicate_has_the_same_answer_without_another_login(self):
        for number, client in enumerate((self.udp(4), self.udp(6)), 1):
            address = f"203.0.113.{number}"
            call = message(21, 1, 1, ipv4(address))
            answer = client.ask(call)
            self.assertEqual(answer, answered(21, SUCCESS))
            for _ in range(5):
                self.assertEqual(client.ask(call), answer)
            self.dracd.wait_for_log(f"granted {address} ")
            self.assertNotIn(f"renewed {address} ", self.dracd.text())

    def test_the_same_xid_for_another_address_is_another_call(self):
        client = self.udp()
        for number in (1, 2):
            address = f"203.0.113.{number}"
            self.assertEqual(client.ask(message(22, 1, 1, ipv4(address))), answered(22, SUCCESS))
            self.assertTrue(self.dracd.admits(address))

    def test_another_xid_renews(self):
        client = self.udp()
        for xid in (23, 24):
            self.assertEqual(client.ask(message(xid, 1, 1, ipv4("203.0.113.9"))), answered(xid, SUCCESS))
        self.dracd.wait_for_log("renewed 203.0.113.9 ")

    def test_a_duplicate_of_a_call_under_way_is_not_made_twice(self):
        client = self.udp()
        call = message(25, 1, 1, ipv4("203.0.113.9"))
        self.dracd.process.send_signal(signal.SIGSTOP)
        for _ in range(5):
            client.send(call)
        client.send(message(26, 1, 0))
        self.assertEqual(client.receive(), accepted(26, 0))  # all before it have been taken
        self.dracd.process.send_signal(signal.SIGCONT)
        self.assertEqual(client.receive(), answered(25, SUCCESS))
        self.assertEqual(client.ask(message(27, 1, 0)), accepted(27, 0))
        self.assertNotIn("renewed", self.dracd.text())

    def test_by_tcp_each_is_a_call(self):
        client = self.tcp()
        for _ in range(3):
            self.assertEqual(client.ask(message(28, 1, 1, ipv4("203.0.113.9"))), answered(28, SUCCESS))


class Records(Case):
    """Record marking."""

    def test_fragments(self):
        call = message(31, 1, 1, ipv4("203.0.113.9"))
        client = self.tcp()
        for lengths in ([1] * 43, [0] * 10, [43], [0, 20, 0, 20], [4] * 10):
            client.send_octets(record(call, *lengths))
            self.assertEqual(client.receive(), answered(31, SUCCESS))

    def test_octet_by_octet(self):
        client = self.tcp()
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in record(message(32, 1, 1, ipv4("203.0.113.9")), 7, 11):
            client.send_octets(bytes([octet]))
        self.assertEqual(client.receive(), answered(32, SUCCESS))

    def test_many_calls_at_once(self):
        """Answered each, in any order; more than dracd takes at a time."""
        client = self.tcp()
        calls = {xid: message(xid, 1, 1, ipv4(f"203.0.113.{xid % 200}")) for xid in range(500)}
        client.send_octets(b"".join(record(call) for call in calls.values()))
        answers = {client.receive() for _ in calls}
        self.assertEqual(answers, {answered(xid, SUCCESS) for xid in calls})

    def test_the_peer_may_end_its_half(self):
        client = self.tcp()
        client.send(message(33, 1, 1, ipv4("203.0.113.9")))
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(client.receive(), answered(33, SUCCESS))
        self.assertTrue(client.is_closed())

    def test_garbage_ends_the_connection(self):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4, b"\x80\0\x22\x61", record(b""), record(b"x" * 40),
                        b"\0\0\0\0" * 5000, record(b"x" * 100, 50), b"\0\0\x22\0" + b"x" * 8704 + b"\x80\0\1\0"):
            client = self.tcp()
            try:
                client.send_octets(garbage)
            except (ConnectionResetError, BrokenPipeError):
                pass
            self.assertTrue(client.is_closed(), garbage[:20])
        self.assertEqual(self.tcp().ask(message(34, 1, 0)), accepted(34, 0))

    def test_who_does_not_read_is_let_go(self):
        """Its answers fill what the system keeps for it; then it is closed, and nobody waits."""
        client = self.tcp()
        call = record(message(35, 1, 0)) * 1000
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            while True:
                client.send_octets(call)
        self.assertEqual(self.udp().ask(message(36, 1, 0)), accepted(36, 0))


class Many(Case):
    """Who does nothing, or does it slowly, delays nobody."""
    rpc = "max_connections = 1000"

    def good_call_is_quick(self, number):
        for client in self.clients():
            begun = time.monotonic()
            self.assertEqual(client.ask(message(41, 1, 1, ipv4(f"203.0.113.{number}"))), answered(41, SUCCESS))
            self.assertLess(time.monotonic() - begun, 2)

    def test_idle_connections(self):
        """A thousand; beyond its limit the gateway closes the one that is idle longest."""
        idle = [self.tcp() for _ in range(1000)]
        self.good_call_is_quick(1)
        self.assertTrue(idle[0].is_closed())
        self.assertEqual(idle[-1].ask(message(42, 1, 0)), accepted(42, 0))
        self.assertLess(self.gateway.open_files(), 1050)

    def test_slow_writers(self):
        call = record(message(43, 1, 1, ipv4("203.0.113.66")))
        slow = [self.tcp() for _ in range(200)]
        for number, client in enumerate(slow):
            client.send_octets(call[:number % len(call)])
        self.good_call_is_quick(2)
        for number, client in enumerate(slow):
            client.send_octets(call[number % len(call):])
            self.assertEqual(client.receive(), answered(43, SUCCESS))

    def test_garbage(self):
        """As much as can be sent while good calls go on."""
        garbage = b"\x80\0\x20\0" + bytes(range(256)) * 32
        clients = [self.tcp() for _ in range(20)]
        for client in clients:
            client.socket.setblocking(False)
        for number in range(20):
            for index, client in enumerate(clients):
                try:
                    client.socket.send(garbage * 10)
                except BlockingIOError:
                    pass
                except (ConnectionResetError, BrokenPipeError):
                    clients[index] = self.tcp()
                    clients[index].socket.setblocking(False)
            self.good_call_is_quick(10 + number)

    def test_datagrams_of_garbage(self):
        client = self.udp()
        for number in range(5000):
            client.send(bytes([number & 255]) * (number % 1400))
        # The system keeps so many, and drops more, what is good too.
        self.assertEqual(self.udp().ask_again(message(43, 1, 0)), accepted(43, 0))
        self.good_call_is_quick(3)


class Few(Case):
    """A limit is a number that may be there, not one that may not be reached."""
    rpc = "max_connections = 2"

    def test_nobody_is_closed_for_room_that_is_there(self):
        first, second = self.tcp(4), self.tcp(6)
        self.assertEqual(second.ask(message(44, 1, 0)), accepted(44, 0))
        self.assertEqual(first.ask(message(45, 1, 0)), accepted(45, 0))
        third = self.tcp(4)  # for which there is none: the one whose last call is longest ago goes
        self.assertEqual(third.ask(message(46, 1, 0)), accepted(46, 0))
        self.assertTrue(second.is_closed())
        self.assertEqual(first.ask(message(47, 1, 0)), accepted(47, 0))

    def test_one_is_served(self):
        self.gateway.stop()
        self.dracd.write_config(self.section("max_connections = 1"))
        self.gateway.start()
        for _ in range(3):
            self.assertEqual(self.tcp().ask(message(48, 1, 0)), accepted(48, 0))


class Core(Case):
    """dracd down, hung, and back."""

    def ask(self, xid, client=None):
        begun = time.monotonic()
        answer = (client or self.udp()).ask(message(xid, 1, 1, ipv4("203.0.113.9")))
        return answer, time.monotonic() - begun

    def test_down(self):
        self.dracd.stop()
        for client in self.clients():
            answer, took = self.ask(51, client)
            self.assertEqual(answer, answered(51, SYSERR))
            self.assertLess(took, 2)
        self.assertIn("no login can be reported", self.gateway.text())
        self.dracd.start()
        self.assertEqual(self.ask(52)[0], answered(52, SUCCESS))
        self.assertIn("dracd answers again", self.gateway.text())

    def test_killed_while_a_call_is_under_way(self):
        client = self.tcp()
        self.assertEqual(self.ask(53, client)[0], answered(53, SUCCESS))
        self.dracd.process.send_signal(signal.SIGSTOP)
        client.send(message(54, 1, 1, ipv4("203.0.113.10")))
        client.send(message(55, 1, 0))
        self.assertEqual(client.receive(), accepted(55, 0))
        self.dracd.stop(signal.SIGKILL)
        self.assertEqual(client.receive(), answered(54, SYSERR))

    def test_hung(self):
        """Told within the gateway's budget, far from the 15 s of a client's first retry; then at once."""
        self.assertEqual(self.ask(56)[0], answered(56, SUCCESS))
        self.dracd.process.send_signal(signal.SIGSTOP)
        answer, took = self.ask(57)
        self.assertEqual(answer, answered(57, SYSERR))
        self.assertLess(took, 12)
        answer, took = self.ask(58)
        self.assertEqual(answer, answered(58, SYSERR))
        self.assertLess(took, 2)
        self.dracd.process.send_signal(signal.SIGCONT)
        self.dracd.wait_for(lambda: self.ask(59)[0] == answered(59, SUCCESS), "an answer")

    def test_restarted(self):
        """The same client, its port kept, over twenty restarts of the gateway and of dracd."""
        client = self.udp()
        for xid in range(60, 80):
            self.gateway.stop()
            if xid % 5 == 0:
                self.dracd.stop()
                self.dracd.start()
            self.gateway.start()
            self.assertEqual(client.ask(message(xid, 1, 1, ipv4("203.0.113.9"))), answered(xid, SUCCESS))

    def wait_until_it_is_told(self):
        """No signal is pending: the gateway has read it."""
        def is_read():
            with open(f"/proc/{self.gateway.process.pid}/status", encoding="ascii") as status:
                return re.search(r"^ShdPnd:\t0+$", status.read(), re.M)
        self.dracd.wait_for(is_read, "the signal to be read")

    def test_what_dracd_has_been_told_is_answered_before_it_ends(self):
        """The lease is granted, so that is what the caller hears; later calls are the next gateway's."""
        self.assertEqual(self.ask(83)[0], answered(83, SUCCESS))  # it is connected
        self.dracd.process.send_signal(signal.SIGSTOP)
        clients = self.clients()
        for xid, client in enumerate(clients, 84):
            client.send(message(xid, 1, 1, ipv4("203.0.113.9")))
            client.send(message(90, 1, 0))
            self.assertEqual(client.receive(), accepted(90, 0))
        self.gateway.process.send_signal(signal.SIGTERM)
        self.wait_until_it_is_told()
        later = self.udp()
        later.send(message(91, 1, 1, ipv4("203.0.113.10")))
        self.dracd.process.send_signal(signal.SIGCONT)
        for xid, client in enumerate(clients, 84):
            self.assertEqual(client.receive(), answered(xid, SUCCESS))
        self.assertEqual(self.gateway.process.wait(PATIENCE), 0)
        self.gateway.start()
        self.assertEqual(later.receive(), answered(91, SUCCESS))

    def test_what_has_come_by_then_is_answered(self):
        """Signal and calls are there when the gateway looks, whichever it sees first."""
        clients = self.clients()
        for client in clients:
            self.assertEqual(client.ask(message(92, 1, 0)), accepted(92, 0))
        self.gateway.process.send_signal(signal.SIGSTOP)
        for xid, client in enumerate(clients, 93):
            client.send(message(xid, 1, 1, ipv4("203.0.113.9")))
        self.gateway.process.send_signal(signal.SIGTERM)
        self.gateway.process.send_signal(signal.SIGCONT)
        for xid, client in enumerate(clients, 93):
            self.assertEqual(client.receive(), answered(xid, SUCCESS))
        self.assertEqual(self.gateway.process.wait(PATIENCE), 0)

    def test_it_ends_when_told(self):
        idle, slow = self.tcp(), self.tcp()
        slow.send_octets(b"\x80\0")
        self.dracd.process.send_signal(signal.SIGSTOP)
        busy = self.tcp()
        busy.send(message(81, 1, 1, ipv4("203.0.113.9")))
        busy.send(message(82, 1, 0))
        self.assertEqual(busy.receive(), accepted(82, 0))
        self.assertEqual(self.gateway.stop(), 0)
        self.assertEqual(busy.receive(), answered(81, SYSERR))
        self.assertTrue(idle.is_closed())
        self.dracd.process.send_signal(signal.SIGCONT)


class Apart(Case):
    """What becomes of the gateway is nothing to dracd."""

    def dracd_goes_on(self, number):
        begun = time.monotonic()
        address = f"203.0.113.{number}"
        self.assertTrue(self.dracd.login(address).startswith("OK granted"))
        self.assertTrue(self.dracd.admits(address))
        self.assertLess(time.monotonic() - begun, 2)

    def test_hung(self):
        client = self.tcp()
        self.assertEqual(client.ask(message(83, 1, 1, ipv4("203.0.113.9"))), answered(83, SUCCESS))
        self.gateway.process.send_signal(signal.SIGSTOP)
        client.send_octets(record(message(84, 1, 1, ipv4("203.0.113.9"))) * 500)
        self.dracd_goes_on(1)

    def test_killed(self):
        client = self.tcp()
        client.send_octets(record(message(85, 1, 1, ipv4("203.0.113.9"))) * 500)
        self.gateway.stop(signal.SIGKILL)
        self.dracd_goes_on(2)
        self.gateway.start()
        self.assertEqual(self.udp().ask(message(86, 1, 1, ipv4("203.0.113.9"))), answered(86, SUCCESS))

    def test_it_may_not_report(self):
        """Its account is no reporter: a system error, and the log says why."""
        self.dracd.write_config('reporters = {"65533"}\n' + self.section())
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK"))
        self.assertEqual(self.udp().ask(message(87, 1, 1, ipv4("203.0.113.9"))), answered(87, SYSERR))
        self.assertIn("not among the reporters", self.gateway.text())


class Refused(Case):
    """Addresses that get no lease."""

    def test_an_old_client_is_told_of_success(self):
        for xid, address in enumerate(("255.255.255.255", "127.0.0.1", "0.0.0.0", "10.1.2.3", "224.0.0.1"), 91):
            self.assertEqual(self.udp().ask(message(xid, 1, 1, ipv4(address))), answered(xid, SUCCESS))
            self.dracd.wait_for_log(f"refused {address} ")
        self.assertEqual(self.leases(), 0)

    def test_or_of_a_lack_of_permission(self):
        self.gateway.reload(self.section("refused = perm"))
        self.assertEqual(self.udp().ask(message(96, 1, 1, ipv4("127.0.0.1"))), answered(96, PERM))
        self.assertEqual(self.udp().ask(message(97, 1, 1, ipv4("203.0.113.9"))), answered(97, SUCCESS))


class CoreLimit(Case):
    config = "max_leases = 1\n"

    def test_a_limit_of_dracd_is_a_system_error(self):
        client = self.udp()
        self.assertEqual(client.ask(message(98, 1, 1, ipv4("203.0.113.1"))), answered(98, SUCCESS))
        self.assertEqual(client.ask(message(99, 1, 1, ipv4("203.0.113.2"))), answered(99, SYSERR))


class ReporterLimit(Case):
    """What dracd grants a gateway that does not keep to its own limits."""
    config = f"reporter {os.getuid()} {{ max_leases = 2 max_rate = 20 lease_time_max = 1min }}\n"

    def test_number_of_leases(self):
        client = self.udp()
        for xid, (number, status) in enumerate(((1, SUCCESS), (2, SUCCESS), (3, SYSERR), (1, SUCCESS)), 131):
            self.assertEqual(client.ask(message(xid, 1, 1, ipv4(f"203.0.113.{number}"))), answered(xid, status))
        self.assertFalse(self.dracd.admits("203.0.113.3"))
        answer = self.dracd.control("check address=203.0.113.1")[0]
        self.assertLessEqual(int(re.search(r"left_ms=(\d+)", answer)[1]), 60000)

    def test_rate(self):
        client = self.tcp()
        for xid in range(100):
            client.send(message(xid, 1, 1, ipv4("203.0.113.1")))
        answers = [client.receive()[-4:] for _ in range(100)]
        self.assertIn(bytes([0, 0, 0, SYSERR]), answers)
        self.assertGreaterEqual(answers.count(bytes(4)), 20)


class Limits(Case):
    """The gateway's own."""
    rpc = "max_leases = 2 lease_time = 2min"

    def test_number_of_leases(self):
        client = self.udp()
        for xid, (number, status) in enumerate(((1, SUCCESS), (2, SUCCESS), (3, SYSERR), (1, SUCCESS)), 101):
            self.assertEqual(client.ask(message(xid, 1, 1, ipv4(f"203.0.113.{number}"))), answered(xid, status))
        self.assertFalse(self.dracd.admits("203.0.113.3"))
        self.assertIn("max_leases is reached", self.gateway.text())

    def test_an_address_that_is_refused_takes_no_place(self):
        client = self.udp()
        for xid in range(110, 120):
            self.assertEqual(client.ask(message(xid, 1, 1, ipv4("127.0.0.1"))), answered(xid, SUCCESS))
        self.assertEqual(client.ask(message(121, 1, 1, ipv4("203.0.113.1"))), answered(121, SUCCESS))

    def test_lease_time(self):
        self.assertEqual(self.udp().ask(message(122, 1, 1, ipv4("203.0.113.1"))), answered(122, SUCCESS))
        answer = self.dracd.control("check address=203.0.113.1")[0]
        self.assertLessEqual(int(re.search(r"left_ms=(\d+)", answer)[1]), 120000)

    def test_rate(self):
        self.gateway.reload(self.section("max_rate = 5"))
        client = self.tcp()
        for xid in range(20):
            client.send(message(xid, 1, 1, ipv4("203.0.113.1")))
        answers = [client.receive()[-4:] for _ in range(20)]
        self.assertIn(bytes([0, 0, 0, SYSERR]), answers)
        self.assertGreaterEqual(answers.count(bytes(4)), 5)
        self.assertIn("max_rate is reached", self.gateway.text())
        self.dracd.wait_for(lambda: client.ask(message(21, 1, 1, ipv4("203.0.113.1"))) == answered(21, SUCCESS),
                            "the rate to allow one more")


if __name__ == "__main__":
    unittest.main()
