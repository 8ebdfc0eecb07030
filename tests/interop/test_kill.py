"""kill -9 at random moments, with 32 reporters at work and a map of each kind.

Every reporter logs in from addresses of its own, revokes some, and asks about them, and so knows
what must be true of each: until when a lease must be there, because it was answered, and until when
one may be, because a question was left without an answer. dracd is killed, in the middle of that or
while it starts; what it left behind is looked at; it is started again, and lookups and maps are
compared with what the reporters know. Meanwhile `postmap -q` runs in a loop.

    KILLS=2000 SEED=7 ...        so many kills for each durability; the choices of another run
"""

import ipaddress
import os
import random
import subprocess
import sys
import threading
import time

from tests.interop.cases import Cases
from tests.site import Site, postfix, roots, wait
from tests.site import site as sites
from tests.site.stream import Stream, words_of

KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("SEED", "") or random.SystemRandom().randrange(1 << 32))
REPORTERS, REVOKERS, ADDRESSES = 32, 8, 40
LOAD_SECONDS = 0.12    # at most, before a kill
LONG_MS, SHORT_MS = 600000, (1000, 2000)
CONFIGURATION = 'lease_time = 1h\nlease_special = {"10.0.0.0/8", "2001:db8::/32"}\n'
MAPS = ("postfix", "drac", "access")
STATE_FILES = {"blocks", "lock", "maps", "published", "running", "table"}
MAP_FILES = {name for map_ in MAPS for name in (f"{map_}.db", f".{map_}.db.spare")}
STATIC = {"connect:192.0.2.66": "REJECT"}


def boot_ms():
    """Now, on the clock of the deadlines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


class Known:
    """What is known of one address: a lease must be there until `must`, and may be until `may`."""

    def __init__(self):
        self.must = self.may = 0.0

    def judge(self, admitted, asked, answered):
        """What is wrong with an answer to a question asked and answered at these times."""
        if not admitted and self.must > answered:
            return f"not admitted, {self.must - answered:.0f} ms before its end"
        if admitted and self.may < asked:
            return f"admitted, {asked - self.may:.0f} ms after its end"
        return None


class Findings:
    """What went wrong, by kind."""

    def __init__(self):
        self._lock = threading.Lock()
        self.by_kind = {kind: [] for kind in (
            "answered logins are there", "nothing ended is admitted", "a question has its answer",
            "a dead dracd leaves withdrawn maps", "no file is left over", "all processes end")}
        self.counts = dict.fromkeys(("logins", "revocations", "questions", "killed while starting"), 0)

    def add(self, kind, what):
        """Note what went wrong."""
        with self._lock:
            self.by_kind[kind].append(what)

    def count(self, what, number=1):
        """Count what was done."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def answer(self, address, problem):
        """Note what was wrong with an answer, if anything."""
        if problem:
            self.add("nothing ended is admitted" if problem.startswith("admitted")
                     else "answered logins are there", f"{address} {problem}")


class Reporter:
    """One reporter; its knowledge outlives dracd."""

    def __init__(self, number, site, findings):
        self._number = number
        self._site = site
        self._findings = findings
        self.known = {}
        for n in range(ADDRESSES):
            address = f"10.9.{number}.{n}" if n % 2 else f"2001:db8:9:{number:x}::{n + 1:x}"
            self.known[str(ipaddress.ip_address(address))] = Known()

    def work(self, choices):
        """Goes on until dracd is gone."""
        run = f"{self._site.roots.dracd}/run/dracd"
        queue = f"{self._site.roots.dracd}/var/spool/postfix/dracd"
        try:
            with Stream(run, "report") as report, Stream(queue, "policy") as policy:
                control = Stream(run, "control") if self._number < REVOKERS else None
                while True:
                    self._step(choices, report, policy, control)
        except (EOFError, OSError):
            return  # killed

    def _step(self, choices, report, policy, control):
        address = choices.choice(list(self.known))
        kind = choices.random()
        if kind < 0.1:
            self._ask(address, policy)
        elif kind < 0.2 and control:
            self._revoke(address, control, choices.choice((0, 500)))
            self._ask(address, policy)
        else:
            self._login(address, report, choices)

    def _login(self, address, report, choices):
        known = self.known[address]
        ttl = choices.choice((LONG_MS, LONG_MS, choices.randint(*SHORT_MS)))
        answer = None
        try:
            waits = " wait_ms=100" if choices.random() < 0.03 else ""
            answer = report.ask(f"login address={address} ttl_ms={ttl}{waits}")
        finally:
            if answer is None:  # it may have been stored all the same
                known.may = max(known.may, boot_ms() + ttl)
        if answer.startswith("OK "):
            known.must = known.may = int(words_of(answer)["boot_ms"])
            known.may += 1  # it was rounded down
            self._findings.count("logins")
        elif not answer.startswith("NO reason=revoked "):
            self._findings.add("a question has its answer", f"login: {answer}")

    def _revoke(self, address, control, hold):
        known = self.known[address]
        known.must = 0
        answer = control.ask(f"revoke address={address} hold_ms={hold}")
        if answer.startswith("OK revoked "):
            known.may = 0
            self._findings.count("revocations")
        else:
            self._findings.add("a question has its answer", f"revoke: {answer}")

    def _ask(self, address, policy):
        asked = boot_ms()
        policy.send(f"request=smtpd_access_policy\nclient_address={address}\n\n")
        admitted = policy.until("\n\n") == "action=OK"
        self._findings.answer(address, self.known[address].judge(admitted, asked, boot_ms()))
        self._findings.count("questions")


def map_rows(site, name):
    """Keys and values of a map, by Berkeley DB's own tool."""
    path = f"{site.roots.dracd}/var/lib/dracd/maps/{name}.db"
    dump = subprocess.run(["db5.3_dump", "-p", path], capture_output=True, text=True, check=True).stdout
    body = dump.split("HEADER=END\n")[1].split("DATA=END")[0].splitlines()
    plain = [line[1:].removesuffix("\\00") for line in body]
    return dict(zip(plain[::2], plain[1::2]))


def leased(rows):
    """The addresses that rows of a map are for."""
    return {str(ipaddress.ip_address(key.removeprefix("connect:").removeprefix("ipv6:")))
            for key in rows if key not in STATIC}


class PostmapLoop:
    """`postmap -q` again and again, in Postfix's root, until told to stop."""

    _SCRIPT = """while [ ! -e "$2/stop" ]; do
        for address in 10.9.0.1 10.9.1.1 2001:db8:9::1; do
            chroot "$1" /usr/sbin/postmap -q $address hash:/var/lib/dracd/maps/postfix >>"$2/out" 2>>"$2/err"
            echo $? >>"$2/status"
        done
        sleep 0.01
    done"""

    def __init__(self, site):
        self._root = site.roots.mail
        self._folder = roots.make_directory(f"{site.roots.base}/postmap-loop")
        self._shell = None

    def __enter__(self):
        self._shell = subprocess.Popen(["sh", "-c", self._SCRIPT, "sh", self._root, self._folder],
                                       stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *ignored):
        roots.write_file(f"{self._folder}/stop", "")
        self._shell.wait(60)

    def judge(self):
        """All exit statuses, and the warnings."""
        texts = {}
        for name in ("out", "err", "status"):
            with open(f"{self._folder}/{name}", encoding="utf-8") as file:
                texts[name] = file.read()
        statuses = texts["status"].split()
        print(f"# postmap -q ran {len(statuses)} times, {statuses.count('0')} times the address was there",
              flush=True)
        warnings = postfix.without_notices(texts["err"])
        assert not warnings, f"it warned: {warnings[:300]}"
        assert set(statuses) == {"0", "1"}, f"exit statuses {sorted(set(statuses))}"
        assert set(texts["out"].split()) == {"OK"}, texts["out"][:300]


def processes_of(uid):
    """The processes of an account."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.stat(f"/proc/{entry}").st_uid == uid:
                found.append(int(entry))
        except FileNotFoundError:
            pass
    return found


def look_at_remains(site, findings):
    """After a death, when the guardian has done its work."""
    try:
        wait.until(lambda: not processes_of(roots.uid_of("dracd")), "all processes of dracd to end", pause=0.002)
    except wait.Late as error:
        findings.add("all processes end", str(error))
    for name in MAPS:
        rows = map_rows(site, name)
        if rows != (STATIC if name == "access" else {}):
            findings.add("a dead dracd leaves withdrawn maps", f"{name}: {len(rows)} rows")
    look_at_files(site, findings, "dead", {"report", "control"}, {"blocks.new", "running.new", "published.new"})


def look_at_files(site, findings, when, run_may_have, state_may_have=frozenset()):
    """There is nothing in dracd's directories but what belongs there. One that is at work has temporary files: each of them goes."""
    for path, expected in (("/var/lib/dracd", STATE_FILES | state_may_have), ("/var/lib/dracd/maps", MAP_FILES),
                           ("/run/dracd", run_may_have),
                           ("/var/spool/postfix/dracd", {"policy", "socketmap"} & run_may_have)):
        more = set(os.listdir(site.roots.dracd + path)) - expected
        try:
            for name in more:
                wait.until(lambda file=f"{site.roots.dracd}{path}/{name}": not os.path.lexists(file), name, pause=0.002)
        except wait.Late as error:
            findings.add("no file is left over", f"{when}: {path}: {error}")


def compare(site, reporters, findings, started):
    """Lookups and maps with what the reporters know; dracd has just started, and nobody logs in."""
    known = {address: of for reporter in reporters for address, of in reporter.known.items()}
    maps = {name: leased(map_rows(site, name)) for name in MAPS}
    read = boot_ms()
    with Stream(f"{site.roots.dracd}/var/spool/postfix/dracd", "policy") as policy:
        for address, of in known.items():
            asked = boot_ms()
            policy.send(f"request=smtpd_access_policy\nclient_address={address}\n\n")
            admitted = policy.until("\n\n") == "action=OK"
            findings.answer(address, of.judge(admitted, asked, boot_ms()))
            for name in MAPS:
                # what has ended since the start may still be there for its end_interval
                problem = of.judge(address in maps[name], started, read)
                findings.answer(address, problem and f"{problem}, map {name}")


def load_and_kill(site, reporters, choices):
    """One life: the reporters work until the kill."""
    threads = [threading.Thread(target=reporter.work, args=(random.Random(choices.random()),))
               for reporter in reporters]
    for thread in threads:
        thread.start()
    time.sleep(choices.uniform(0, LOAD_SECONDS))  # the random moment
    site.dracd.kill()
    for thread in threads:
        thread.join()


def one_kill(site, reporters, findings, choices):
    """Kill, look, start again, compare."""
    load_and_kill(site, reporters, choices)
    if choices.random() < 0.5:
        look_at_remains(site, findings)
    if choices.random() < 0.2:
        site.dracd.launch()
        time.sleep(choices.uniform(0, 0.04))
        site.dracd.kill()
        findings.count("killed while starting")
    started = boot_ms()
    site.dracd.start()
    compare(site, reporters, findings, started)
    look_at_files(site, findings, "started again", {"report", "control", "policy", "socketmap"})


def kills(site, cases, durability):
    """All kills at one level of durability."""
    choices = random.Random(f"{SEED} {durability}")
    findings = Findings()
    reporters = [Reporter(number, site, findings) for number in range(REPORTERS)]
    site.dracd.configure(f"{CONFIGURATION}durability = {durability}\n{sites.LOOKUPS_AND_MAPS}")
    site.dracd.start()
    begun = time.monotonic()
    for _ in range(KILLS):
        one_kill(site, reporters, findings, choices)
    site.dracd.control("flush", "--yes")
    site.dracd.stop()
    look_at_files(site, findings, "stopped", set())
    print(f"# {durability}: {KILLS} kills in {time.monotonic() - begun:.0f} s; "
          + ", ".join(f"{what} {number}" for what, number in findings.counts.items()), flush=True)
    for kind, found in findings.by_kind.items():
        cases.one(f"{KILLS} times kill -9, durability {durability}: {kind}", nothing, found)


def nothing(found):
    """The list of what went wrong is empty."""
    assert not found, f"{len(found)} times not; seed {SEED}; first: {found[0]}"


def main():
    """Both levels, one after the other, and postmap all the time."""
    print(f"# seed {SEED}", flush=True)
    cases = Cases()
    site = Site(CONFIGURATION, "Connect:192.0.2.66 REJECT\n")
    site.dracd.start()
    site.start(site.postfix)
    site.dracd.stop()
    with PostmapLoop(site) as postmap:
        for durability in ("full", "process"):
            kills(site, cases, durability)
    cases.one("postmap -q all the while: exit status 0 or 1, and no warning", postmap.judge)
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
