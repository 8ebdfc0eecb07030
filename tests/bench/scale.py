"""A million leases, and a thousand logins a second: what nobody is to notice.

    python3 -m tests.bench.scale [quick]
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from tests.bench import programs
from tests.bench.figures import note, say
from tests.site import site as sites

MIB = 1 << 20
MILLION = 1000000
LONG = 7200  # seconds
PATIENCE = 60


def map_section(folder, kind, keys="postfix"):
    """One map of drac.conf."""
    return f'map {kind} {{ type = {kind} keys = {keys} path = "{folder}/maps/{kind}" }}\n'


def fill(folder, durability, seconds, count):
    """A table of a dracd that does not run; returns when its leases begin to end, on the boot clock."""
    os.makedirs(f"{folder}/maps", exist_ok=True)
    leases, _, ends = programs.run("fill_table", f"{folder}/state/table", durability, programs.LEASES_MAX, seconds, 0,
                                   count)
    if leases != count:
        raise ValueError(f"{leases:.0f} leases instead of {count}")
    return int(ends)


# ---- the start ----

class Start:
    """A dracd from its start to READY."""

    def __init__(self, folder):
        self._folder = folder
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(f"{folder}/notify")
        self._notify.settimeout(PATIENCE)
        self.lookup_ms = self.ready_ms = 0

    def run(self, how):
        """Start, wait for the first answer and for READY, end by the signal `how`."""
        environment = {**os.environ, "NOTIFY_SOCKET": f"{self._folder}/notify"}
        with open(f"{self._folder}/log", "ab") as log:
            started = time.monotonic()
            words = ["setpriv", "--pdeathsig", "KILL", f"{programs.BUILD}/dracd/dracd", "-c", f"{self._folder}/drac.conf"]
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log, env=environment)
        try:
            self._ask()
            self.lookup_ms = (time.monotonic() - started) * 1000
            while b"READY=1" not in self._notify.recv(4096):
                pass
            self.ready_ms = (time.monotonic() - started) * 1000
            memory = programs.memory_of(child.pid)
        finally:
            child.send_signal(how)
            child.wait(PATIENCE)
        while os.path.exists(f"{self._folder}/socketmap"):  # the guardian is at work
            time.sleep(0.01)
        return memory

    def _ask(self):
        """Until there is an answer, which must be the right one."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), \
                    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.connect(f"{self._folder}/socketmap")
                stream.sendall(b"13:drac 64.0.0.0,")
                if stream.recv(64) != b"5:OK OK,":
                    raise ValueError("the first answer is wrong")
                return
            time.sleep(0.001)
        raise TimeoutError("no answer")


def measure_start(folder):
    """After an orderly stop and after SIGKILL, with an lmdb and a hash map, at both ends of durability."""
    maps = map_section(folder, "lmdb") + map_section(folder, "hash")
    dracd = programs.Dracd(folder, "full", more=maps)
    fill(folder, "full", LONG, MILLION)
    start = Start(folder)
    for durability in ("full", "process"):
        dracd.configure(durability, more=maps)
        memory = start.run(signal.SIGTERM)
        for name, how in (("stop", signal.SIGKILL), ("kill", signal.SIGTERM)):
            start.run(how)
            say(f"start_lookup_ms_{durability}_{name}", start.lookup_ms)
            say(f"start_ready_ms_{durability}_{name}", start.ready_ms)
    say("rss_mib_1m", memory["VmRSS"] / MIB)
    say("rss_anon_mib_1m", memory["RssAnon"] / MIB)


# ---- a million ends ----

def measure_ends(folder, leases, lead, seconds):
    """Lookups from the second on in which all leases end, while a hundred logins a second go on. That is
    `lead` seconds after the table begins to be filled."""
    dracd = programs.Dracd(folder, "process", more=map_section(folder, "lmdb") + map_section(folder, "hash"))
    ends = fill(folder, "process", lead, leases)
    with dracd:
        left = ends / 1e6 - time.clock_gettime(time.CLOCK_BOOTTIME)
        if left < 0.2:
            raise ValueError("the machine is too slow: the leases have ended before dracd serves")
        dracd.skip_people(2 * leases)
        logins = threading.Thread(target=dracd.login, args=(8, left + seconds), kwargs={"options": ("rate=100",)})
        logins.start()
        _, _, _, p99, longest = programs.run("clients", "socketmap", dracd.path("socketmap"), 8, left + seconds, leases,
                                             0, "pause=1000", f"ends={ends}")
        logins.join()
    say("ends_lookup_p99_ms", p99 / 1000)
    say("ends_lookup_max_ms", longest / 1000)


# ---- a thousand logins a second ----

class Load:
    """How much of it."""

    def __init__(self, quick):
        self.seconds = 3 if quick else 60
        self.warm = 1.5 if quick else 20  # until memory is measured first
        self.rate = 1000
        self.life = 1 if quick else 10  # seconds of a lease
        self.stable = 4000 if quick else 90000  # leases that lookups ask for, besides those that come and go
        self.leases = self.stable + self.rate * self.life


def threads_written(pid):
    """Octets that each map's thread of dracd has written."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as file:
            name = file.read().strip()
        if name.startswith("map "):
            with open(f"/proc/{pid}/task/{thread}/io", encoding="ascii") as file:
                found[name[4:]] = next(int(line.split()[1]) for line in file if line.startswith("wchar:"))
    return found


def maps_of(folder):
    """What dracd tells of each map, by name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(f"{folder}/control")
        stream.sendall(b"maps\n")
        with stream.makefile(encoding="utf-8") as lines:
            found = {}
            for line in lines:
                words = dict(word.partition("=")[::2] for word in line.split())
                if "name" not in words:
                    return found
                if words["state"] != "ok":
                    raise ValueError(line)
                found[words["name"]] = words
    return found


def await_maps(folder):
    """Until all are published: lookups are answered before."""
    end = time.monotonic() + PATIENCE
    while not all("published_ago_ms" in words for words in maps_of(folder).values()):
        if time.monotonic() > end:
            raise TimeoutError("the maps are not published")
        time.sleep(0.01)


def bare_loop(folder, name, load):
    """The 99th percentile of the bare loop at the same rate, in usec."""
    os.makedirs(f"{folder}/{name}")
    seconds = min(load.seconds / 4, 10)
    return programs.run("bare_table", f"{folder}/{name}", "full", 1 << 16, seconds, 0, 1 << 22, load.rate)[3]


def measure_load(folder, load):
    """Logins at that rate with maps and lookups; the bare loop at the same rate before and after."""
    before = bare_loop(folder, "bare-before", load)
    maps = "".join(map_section(folder, kind, keys) for kind, keys in
                   (("hash", "postfix"), ("lmdb", "postfix"), ("iplsearch", "plain")))
    dracd = programs.Dracd(folder, "full", more=f"lease_time = {load.life}s\n{maps}")
    fill(folder, "full", LONG, load.stable)
    results = {}
    with dracd:
        dracd.skip_people(2 * load.stable)
        await_maps(folder)
        already = threads_written(dracd.pid)
        workers = [
            threading.Thread(target=lambda: results.update(login=dracd.login(
                64, load.seconds, options=(f"rate={load.rate}",)))),
            threading.Thread(target=lambda: results.update(policy=programs.run(
                "clients", "policy", dracd.path("policy"), 8, load.seconds, load.stable, 0, "pause=2000"))),
        ]
        for worker in workers:
            worker.start()
        time.sleep(load.warm)
        early = programs.memory_of(dracd.pid)
        for worker in workers:
            worker.join()
        late = programs.memory_of(dracd.pid)
        maps = maps_of(folder)
        written = threads_written(dracd.pid)
    bare = (before + bare_loop(folder, "bare-after", load)) / 2
    print_load(load, results, bare, (early, late))
    for kind, octets in written.items():
        say(f"load_slowest_ms_{kind}", int(maps[kind]["slowest_ms"]))
        say(f"load_written_mb_per_s_{kind}", (octets - already[kind]) / load.seconds / 1e6)


def print_load(load, results, bare, memories):
    """What is not of one map."""
    early, late = memories
    note(f"{results['login'][0]:.0f} logins in {results['login'][1]:.1f} s, {load.leases} live leases")
    say("login_p99_ms_load", results["login"][3] / 1000)
    say("bare_lmdb_p99_ms_load", bare / 1000)
    say("login_p99_over_bare_ms", (results["login"][3] - bare) / 1000)
    say("lookup_p99_ms_load", results["policy"][3] / 1000)
    say("rss_mib_load", late["VmRSS"] / MIB)
    say("rss_growth_load", late["VmRSS"] / early["VmRSS"])
    note(f"of its own {early['RssAnon'] / MIB:.1f} MiB after {load.warm} s, {late['RssAnon'] / MIB:.1f} at the end")


def main():
    """All of it."""
    quick = sys.argv[1:] == ["quick"]
    with programs.directory() as folder:
        if quick:
            measure_ends(f"{folder}/ends", 20000, 2, 1.5)
        else:
            measure_start(f"{folder}/start")
            measure_ends(f"{folder}/ends", MILLION, 30, 15)
        measure_load(f"{folder}/load", Load(quick))
    return 0


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
