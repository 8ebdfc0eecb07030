"""What becomes of the gateway is nothing to dracd: killed, hung, or fed garbage, a gigabyte of it where RPC_GARBAGE_MIB
says 1024, while dracd's lookups and logins go on, each with the right answer."""
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import unittest

from dracd_box import BUILD, PATIENCE
from rpc_box import SUCCESS, Case, answered, ipv4, message, record

CLIENTS = os.path.abspath(f"{BUILD}/tests/bench/clients")
GARBAGE = int(os.environ.get("RPC_GARBAGE_MIB", "32")) << 20
PIECE = 1 << 16
LEASES = 500
SECONDS = 3  # at least, of what is measured


class Feeder(threading.Thread):
    """Sends its share of garbage: `make` gives a piece, `open` a socket to send it by."""

    def __init__(self, connect, make, share):
        super().__init__()
        self._connect, self._make = connect, make
        self.left, self.broken = share, 0

    def run(self):
        client = None
        while self.left > 0:
            if not client:
                client = self._connect()
            try:
                self.left -= client.send(self._make())
            except (ConnectionError, TimeoutError):
                client.close()
                client = None
                self.broken += 1
        if client:
            client.close()


class Load:
    """Somebody asks a thousand times a second, and others log in."""

    def __init__(self, dracd):
        self._dracd = dracd
        self._next = 2 * LEASES  # the people from LEASES to here are asked for and must have no lease
        subprocess.run(self.command("login", "report", 1, PATIENCE, 0, LEASES), check=True, stdout=subprocess.DEVNULL)

    def command(self, kind, socket_name, *words):
        return [CLIENTS, kind, self._dracd.path(socket_name), *map(str, words)]

    def run(self, meanwhile=None, seconds=SECONDS):
        """Its 99th percentile of a lookup and of a login in milliseconds; a wrong answer fails."""
        lookups = subprocess.Popen(self.command("socketmap", "socketmap", 4, seconds, LEASES, 0, "rate=1000"),
                                   stdout=subprocess.PIPE, text=True)
        logins = subprocess.Popen(
            self.command("login", "report", 4, seconds, self._next, 100 * seconds, "rate=100"),
            stdout=subprocess.PIPE, text=True)
        self._next += 100 * seconds
        if meanwhile:
            meanwhile()
        figures = []
        for load in (lookups, logins):
            text = load.communicate(timeout=seconds + PATIENCE)[0]
            assert load.returncode == 0, text
            number, _, _, p99, _ = map(float, text.split())
            assert number > 0, text
            figures.append(p99 / 1000)
        return figures


class Hostile(Case):
    """The 99th percentiles are told, beside those of a gateway that is idle."""
    config = "max_leases = 100000\n"

    def setUp(self):
        super().setUp()
        self.load = Load(self.dracd)

    def tell(self, name, figures, idle):
        print(f"# {name}: 99th percentile of a lookup {figures[0]:.2f} ms, of a login {figures[1]:.2f} ms; "
              f"without that {idle[0]:.2f} and {idle[1]:.2f} ms")

    def good_call(self, xid=1):
        answer = self.udp().ask_again(message(xid, 1, 1, ipv4("203.0.113.9")))
        self.assertEqual(answer, answered(xid, SUCCESS))

    def test_killed_and_hung(self):
        client = self.tcp()
        idle = self.load.run()
        for name, number in (("hung", signal.SIGSTOP), ("killed", signal.SIGKILL)):
            client.send_octets(record(message(2, 1, 1, ipv4("203.0.113.10"))) * 500)  # under way
            self.gateway.process.send_signal(number)
            self.tell(f"gateway {name}", self.load.run(), idle)
            if number == signal.SIGSTOP:
                self.gateway.process.send_signal(signal.SIGCONT)
                self.good_call()
        self.gateway.process.wait(PATIENCE)
        self.gateway.start()
        self.good_call(3)

    def connect(self, kind):
        client = socket.socket(socket.AF_INET, kind)
        client.settimeout(1)  # a gateway that reads no more of one who takes no answers is left for another
        client.connect(self.gateway.at["udp" if kind == socket.SOCK_DGRAM else "tcp", 4])
        return client

    def feeders(self):
        """By TCP what is no record, records that are no calls, calls with much behind them; and datagrams."""
        choices = random.Random(7)
        noise = choices.randbytes(PIECE)
        mark = struct.pack(">I", 0x80000000 | 8000)
        records = (mark + noise[:8000]) * 8
        overlong = record(message(9, 1, 0, noise[:8000])) * 8
        datagrams = [noise[n:n + choices.randrange(1400)] for n in range(100)] + [
            message(9, 1, 1, noise[:choices.randrange(1000)], program=900101 + n % 2) for n in range(100)]
        share = GARBAGE // 4
        tcp, udp = (lambda: self.connect(socket.SOCK_STREAM)), (lambda: self.connect(socket.SOCK_DGRAM))
        return [Feeder(tcp, lambda: noise, share), Feeder(tcp, lambda: records, share),
                Feeder(tcp, lambda: overlong, share), Feeder(udp, lambda: choices.choice(datagrams), share)]

    def test_garbage(self):
        idle = self.load.run()
        feeders = self.feeders()
        worst = [0, 0]
        for feeder in feeders:
            feeder.start()
        while any(feeder.is_alive() for feeder in feeders):
            worst = [max(pair) for pair in zip(worst, self.load.run(self.good_call))]
        for feeder in feeders:
            feeder.join()
        self.assertGreater(feeders[0].broken, 0)
        self.tell(f"gateway fed {GARBAGE >> 20} MiB of garbage", worst, idle)
        self.good_call(4)
        self.assertLess(self.gateway.open_files(), 100)


if __name__ == "__main__":
    unittest.main()
