"""What can be measured without root: grants, lookups, the table, a slow disk.

    python3 -m tests.bench.bench [quick]

What is compared is measured in turn, in one run; a ratio is taken within a round, and the median of
the rounds is printed. Rounds are short and many: what else a machine does changes from second to
second, and is to meet both.
"""

import contextlib
import os
import random
import statistics
import subprocess
import sys
import threading

from tests.bench import programs
from tests.bench.figures import note, say, say_median
from tests.site import site

LOOKUP_LEASES = 10000
SLOW_LEASES = 1000
TABLE_LEASES = 100000
SLOW_USEC = 10000
PAUSE_USEC = 1000  # of the clients whose lookups must not be disturbed
MIB = 1 << 20


class Size:
    """How long it may take."""

    def __init__(self, quick):
        self.rounds = 9 if quick else 17
        self.seconds = 0.1 if quick else 0.25
        self.slow_rounds = 5 if quick else 9
        self.slow_seconds = 0.3 if quick else 1.0


# ---- grants ----

class Grants:
    """A dracd, and the bare loop with the same people and batch."""

    def __init__(self, dracd, bare, seconds):
        self._dracd = dracd
        self._bare = bare
        self._seconds = seconds
        self._batch = 1
        self._people = 0

    def _login(self, connections):
        before = self._dracd.size()[0]
        answers = self._dracd.login(connections, self._seconds)
        self._batch = answers[0] / (self._dracd.size()[0] - before)
        return answers

    def _loop(self, durability):
        rows = programs.run("bare_table", self._bare, durability, max(round(self._batch), 1), self._seconds,
                            self._people, 1 << 22)
        self._people += int(rows[0])
        return rows

    def rounds(self, durability, connections, count):
        """A list of: numbers of clients, numbers of the bare loop, mean batch. Each goes first in turn."""
        found = []
        self._login(connections)  # for the batch
        for number in range(count):
            if number % 2 == 0:
                answers, rows = self._login(connections), self._loop(durability)
            else:
                rows, answers = self._loop(durability), self._login(connections)
            found.append((answers, rows, self._batch))
        return found


def measure_grants(folder, durability, size):
    """One reporter and 64 of them, each beside the bare loop."""
    suffix = "" if durability == "full" else "_process"
    bare = f"{folder}/bare-{durability}"
    os.mkdir(bare)
    with programs.Dracd(f"{folder}/dracd-{durability}", durability) as dracd:
        grants = Grants(dracd, bare, size.seconds)
        for connections in (1, 64):
            rounds = grants.rounds(durability, connections, size.rounds)
            say_median(f"grants_per_s_{connections}{suffix}", [answers[0] / answers[1] for answers, _, _ in rounds])
            say_median(f"grant_vs_lmdb_{connections}{suffix}",
                       [answers[0] / answers[1] / (rows[0] / rows[1]) for answers, rows, _ in rounds])
            note(f"bare loop {statistics.median(rows[0] / rows[1] for _, rows, _ in rounds):.0f} /s, commits of "
                 f"{statistics.median(rows[2] for _, rows, _ in rounds) / 1000:.3f} ms (median); "
                 f"batch {statistics.median(batch for _, _, batch in rounds):.1f}")
            if durability == "full" and connections == 1:
                say_median("grant_added_ms_1", [(answers[2] - rows[2]) / 1000 for answers, rows, _ in rounds])
            if durability == "full" and connections == 64:
                say_median("grants_per_commit_64", [batch for _, _, batch in rounds])
        if durability == "full":
            say_median("login_latency_ms_p99_32",
                       [dracd.login(32, size.seconds)[3] / 1000 for _ in range(size.rounds)])


def rpc_round(dracd, port, connections, seconds):
    """Logins a second by the gateway and by the report socket, in either order."""
    ways = {"rpc": lambda: dracd.login_by_rpc(port, connections, seconds),
            "report": lambda: dracd.login(connections, seconds)}
    answers = {name: ways[name]() for name in random.sample(sorted(ways), 2)}
    return {name: numbers[0] / numbers[1] for name, numbers in answers.items()}


def measure_rpc(folder, size):
    """The DRAC protocol by UDP, beside the report socket; and with an fsync that takes 5 ms longer."""
    with programs.Dracd(f"{folder}/rpc", "full") as dracd, programs.gateway(dracd) as port:
        for connections in (1, 32):
            rounds = [rpc_round(dracd, port, connections, size.seconds) for _ in range(size.rounds)]
            say_median(f"rpc_adds_per_s_{connections}", [rates["rpc"] for rates in rounds])
            say_median(f"rpc_vs_report_{connections}", ratios(rounds, "rpc", "report"))
    slow = {"LD_PRELOAD": programs.program("slow_sync.so"), "SLOW_SYNC_USEC": "5000", "SLOW_SYNC_WRITES": "0"}
    with programs.Dracd(f"{folder}/rpc-slow", "full", environment=slow) as dracd, programs.gateway(dracd) as port:
        rounds = [[numbers[0] / numbers[1] for numbers in (dracd.login_by_rpc(port, connections, size.slow_seconds)
                                                           for connections in (1, 32))]
                  for _ in range(size.slow_rounds)]
        say_median("rpc_slow_disk_32_vs_1", [many / one for one, many in rounds])


# ---- lookups ----

def place(pid, cpu):
    """Keep a process on one processor, all its threads."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {cpu})


def lookup_rounds(paths, connections, size):
    """Answers per second of each (kind, socket) in paths, by name; a list of rounds.

    Servers have the last processor; the clients share it if they are one, which waits while the server
    works, and else have the first. Left to the kernel, a round differs from the next by a
    factor of four: it depends on who is put where, and on how deep an idle processor sleeps."""
    all_cpus = os.sched_getaffinity(0)
    rounds = []
    os.sched_setaffinity(0, {max(all_cpus) if connections == 1 else min(all_cpus)})
    for _ in range(size.rounds):
        names = random.sample(sorted(paths), len(paths))
        answers = {name: programs.run("clients", *paths[name], connections, size.seconds, LOOKUP_LEASES, 0)
                   for name in names}
        rounds.append({name: numbers[0] / numbers[1] for name, numbers in answers.items()})
    os.sched_setaffinity(0, all_cpus)
    return rounds


def ratios(rounds, name, other):
    """Of each round."""
    return [rates[name] / rates[other] for rates in rounds]


def measure_lookups(folder, size):
    """Beside an echo in dracd's own server, and beside the barest one."""
    with contextlib.ExitStack() as stack:
        dracd = stack.enter_context(programs.Dracd(f"{folder}/lookup", "process"))
        for name in ("echo_loop", "echo_epoll"):
            path = f"{folder}/{name}"
            echo = stack.enter_context(programs.server([programs.program(name), path], path, f"{folder}/log"))
            place(echo.pid, max(os.sched_getaffinity(0)))
        dracd.login(64, programs.PATIENCE, LOOKUP_LEASES)
        place(dracd.pid, max(os.sched_getaffinity(0)))
        paths = {"map": ("socketmap", dracd.path("socketmap")), "loop": ("echo", f"{folder}/echo_loop")}
        alone = lookup_rounds(paths, 1, size)
        paths["policy"] = ("policy", dracd.path("policy"))
        paths["epoll"] = ("echo", f"{folder}/echo_epoll")
        many = lookup_rounds(paths, 32, size)
    say_median("lookups_per_s", [rates["map"] for rates in many])
    say_median("lookup_vs_echo_1", ratios(alone, "map", "loop"))
    say_median("lookup_vs_echo_32", ratios(many, "map", "loop"))
    say_median("lookup_vs_epoll_32", ratios(many, "map", "epoll"))
    say_median("policy_vs_echo_32", ratios(many, "policy", "loop"))
    for name in sorted(paths):
        note(f"{name} with 32 connections: {statistics.median(rates[name] for rates in many):.0f} /s")
    for name in ("map", "loop"):
        note(f"{name} with 1 connection: {statistics.median(rates[name] for rates in alone):.0f} /s")


# ---- the table ----

def measure_table(folder):
    """Its size and dracd's memory with many leases, stored by logins in random order of addresses."""
    with programs.Dracd(f"{folder}/table", "process", leases=2 * TABLE_LEASES) as dracd:
        answers = dracd.login(64, programs.PATIENCE * 5, TABLE_LEASES)
        _, leases, octets = dracd.size()
        if int(answers[0]) != TABLE_LEASES or leases != TABLE_LEASES:
            raise ValueError(f"{leases} leases after {answers[0]:.0f} logins")
        say("table_bytes_per_lease", octets / leases)
        say("rss_mib_100k", dracd.memory("VmRSS") / MIB)
        say("rss_anon_mib_100k", dracd.memory("RssAnon") / MIB)


# ---- a slow disk ----

def paced_lookups(dracd, seconds):
    """The 99th percentile, in ms."""
    return programs.run("clients", "socketmap", dracd.path("socketmap"), 4, seconds, SLOW_LEASES, 0,
                        f"pause={PAUSE_USEC}")[3] / 1000


def slow_round(dracd, seconds):
    """Lookups alone, then beside 32 reporters: added p99 in ms, grants in the time of one delay."""
    alone = paced_lookups(dracd, seconds)
    grants = []
    reporters = threading.Thread(target=lambda: grants.extend(dracd.login(32, seconds)))
    reporters.start()
    beside = paced_lookups(dracd, seconds)
    reporters.join()
    return beside - alone, grants[0] / grants[1] * SLOW_USEC / 1e6


def measure_slow_disk(folder, writes, size):
    """An fsync that takes 10 ms longer; with `writes` O_DSYNC writes as well."""
    environment = {"LD_PRELOAD": programs.program("slow_sync.so"), "SLOW_SYNC_USEC": str(SLOW_USEC),
                   "SLOW_SYNC_WRITES": "1" if writes else "0"}
    with programs.Dracd(f"{folder}/slow-{writes}", "full", environment=environment) as dracd:
        dracd.login(64, programs.PATIENCE, SLOW_LEASES)
        dracd.skip_people(SLOW_LEASES)
        rounds = [slow_round(dracd, size.slow_seconds) for _ in range(size.slow_rounds)]
    if writes:
        say_median("slow_disk_grants_per_fsync_writes", [grants for _, grants in rounds])
    else:
        say_median("slow_disk_lookup_p99_added_ms", [added for added, _ in rounds])
        say_median("slow_disk_grants_per_fsync", [grants for _, grants in rounds])


def file_system(path):
    """Its type."""
    words = ["df", "--output=fstype", path]
    return subprocess.run(words, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout.split()[-1]


def main():
    """All of it."""
    size = Size(sys.argv[1:] == ["quick"])
    with programs.directory() as folder:
        note(f"durability = full is measured on {file_system(folder)}, {folder}")
        measure_grants(folder, "full", size)
        measure_grants(folder, "process", size)
        measure_rpc(folder, size)
        measure_lookups(folder, size)
        measure_table(folder)
        measure_slow_disk(folder, False, size)
        measure_slow_disk(folder, True, size)
    return 0


if __name__ == "__main__":
    site.end_on_signals()
    sys.exit(main())
