"""One run: a cycle with one fault, then a look at what is left, then a start without a fault.

What must hold is design.md section 2: an answered login is there, nothing past its end or revoked is
admitted, no map is torn, missing or empty, no lookup socket outlives dracd, no temporary file outlives
the next start, nothing hangs, and nothing dies of a signal that was not sent.
"""

import dataclasses
import os
import re
import shutil
import signal
import time

from tests.torture import cycle, faults
from tests.torture import site as sites
from tests.torture.faults import KILL

STATE_FILES = {"blocks", "lock", "published", "running", "table"}
TABLE_FILES = {"data.mdb", "lock.mdb"}
SOCKETS = {"control", "plain", "policy", "report", "socketmap"}
LOOKUPS = {"plain", "policy", "socketmap"}
LEFTOVERS = ("state/blocks.new", "state/published.new", "state/running.new", "maps/cdb/.map.cdb.dracd-0123abcd.tmp")
RESTART_FINDINGS = re.compile(r"moved aside|is damaged|differed from the table|could not be read|cannot withdraw")


@dataclasses.dataclass(frozen=True, order=True)
class Point:
    """One fault at one call."""
    scenario: str
    role: str
    call: str
    number: int
    fault: str

    def __str__(self):
        scenario = "" if self.scenario == "stop" else f"{self.scenario}/"
        return f"{scenario}{self.role} {self.call} {self.number} {self.fault}"


# name: (steps, starts from the template, how dracd is ended)
SCENARIOS = {
    "stop": (cycle.full, True, signal.SIGTERM),
    "die": (cycle.brief, True, signal.SIGKILL),
    "first": (cycle.brief, False, signal.SIGTERM),
}


@dataclasses.dataclass
class Result:
    """Of a run."""
    point: Point
    hit: bool = False
    findings: list = dataclasses.field(default_factory=list)
    counts: dict = dataclasses.field(default_factory=dict)
    log: str = ""


def map_files(name):
    """All that belongs into the directory of a map."""
    file = os.path.basename(sites.maps()[name][1])
    return {file, f".{file}.spare"}


def make_template(directory):
    """What an earlier dracd, killed, has left behind; returns what is known of its leases."""
    site = sites.Site(directory)
    world = cycle.World(site)
    try:
        site.start()
        if not site.wait_ready(sites.PATIENCE):
            raise RuntimeError(f"dracd does not start:\n{site.text()}")
        for _ in cycle.prepare(world):
            pass
        site.end(signal.SIGKILL)
        if not site.wait_end() or world.findings:
            raise RuntimeError(f"the template cannot be made: {world.findings}\n{site.text()}")
        world.await_end("past")
    finally:
        world.close()
        site.close()
    for name in (*SOCKETS, "notify", "log"):
        if os.path.exists(site.path(name)):
            os.unlink(site.path(name))
    for name in LEFTOVERS:
        with open(site.path(name), "w", encoding="utf-8") as file:
            file.write("half")
    return world.known


class Run:
    """Of one point; point None: all calls are counted."""

    def __init__(self, directory, template, known, point, scenario="stop"):
        self._scenario = point.scenario if point else scenario
        self._steps, with_template, self._signal = SCENARIOS[self._scenario]
        self._site = sites.Site(directory, template if with_template else None)
        copy = {address: dataclasses.replace(of) for address, of in known.items()} if with_template else None
        lasts = point is not None and faults.LASTING in point.fault
        self._world = cycle.World(self._site, copy, lasts, self._stuck_map(point) if lasts else None)
        self._point = point
        self.result = Result(point)

    @staticmethod
    def _stuck_map(point):
        """Where nothing can be renamed, or looked at before that, nobody gets out of a map while dracd lives: it tells."""
        return point.role.removeprefix("map:") if re.match("rename|newfstatat|fstat$", point.call) else None

    def run(self):
        """All of it."""
        try:
            self._live()
            self._look_at_remains()
            self._live_again()
        except cycle.Hang as hang:
            self._find(f"hang: {hang}")
        finally:
            self.result.findings = self._world.findings
            self.result.log = self._site.text()
            self._world.close()
            self._site.remove()
        return self.result

    def _find(self, what):
        self._world.find(what)

    # ---- the life with the fault

    def _live(self):
        site = self._site
        site.start(self._point, traced=True)
        site.wait_ready(3 if self._point else sites.PATIENCE)
        ended_itself = site.has_ended()
        if not ended_itself:
            self._wait_answers()
        for _ in self._steps(self._world):
            if site.has_ended():
                break
        ended_itself = site.has_ended()
        # a start that withdraws has a child for that first, which is taken for the guardian, and ends
        guardian_died = ("guardian" in site.report.ends and not ended_itself
                         and "nobody has withdrawn the leases" not in site.text())
        if guardian_died:
            site.await_text("guardian")
        site.end(self._signal)
        if not site.wait_end():
            raise cycle.Hang(f"not all processes have ended; so far: {site.report.ends}")
        self.result.hit = site.report.hit
        self.result.counts = site.report.counts
        self._judge_ends(ended_itself, guardian_died)

    def _wait_answers(self):
        """Whoever does not hear that dracd is ready asks until it answers."""
        if self._point and not os.path.exists(self._site.path("control")):
            self._site.wait_ready(sites.PATIENCE)
            if not self._site.has_ended() and not os.path.exists(self._site.path("control")):
                raise cycle.Hang("dracd starts for ever")

    def _judge_ends(self, ended_itself, guardian_died):
        is_kill = self._point is not None and self._point.fault == KILL
        for role, how in self._site.report.ends.items():
            kind, status = how.split()
            if kind == "signal" and not self._is_of_libc(role, status) and (
                    status != "9" or not (self._signal == signal.SIGKILL or is_kill)):
                self._find(f"{role} dies of signal {status}")
        if ended_itself and self._site.report.ends.get("loop") == "exit 0":
            self._find("dracd ends with success, and was not asked to")
        if guardian_died and "guardian" not in self._site.text():
            self._find("the guardian has ended, and the log does not tell")

    def _is_of_libc(self, role, status):
        """glibc aborts when it cannot give back the stack of a thread, and its loader has no word for want of memory."""
        if not self._point or self._point.role != role:
            return False
        return (self._point.call, status) == ("munmap", "6") or (
            (self._point.call, self._point.number, status) == ("mmap", 1, "11"))

    # ---- when it is dead

    def _look_at_remains(self):
        left = LOOKUPS & self._site.files("")
        # a name that could not be removed is no socket that waits: who connects is refused at once
        may_stay = self._point is not None and self._point.call.startswith("unlink")
        for name in sorted(left):
            if cycle.is_listening(self._site.path(name)):
                self._find(f"dead: lookup socket {name} takes connections")
            elif self._guards() and not may_stay:
                self._find(f"dead: lookup socket {name} is left")
        for name, (_, file, static) in sites.maps().items():
            if not os.path.exists(self._site.path(f"maps/{file}")):
                if self._scenario != "first":
                    self._find(f"dead: map {name} is missing")
                continue
            try:
                rows = self._site.rows(name)
            except (OSError, ValueError) as error:
                self._find(f"dead: map {name} is torn: {error}")
                continue
            if rows != static and self._guards():
                self._find(f"dead: map {name} holds {rows}")

    def _guards(self):
        """False if what was killed is the guardian, after dracd: nobody is left to withdraw."""
        return not (self._scenario == "die" and self._point and self._point.fault == KILL and
                    self._point.role.split("/")[0] == "guardian")

    # ---- the next life

    def _live_again(self):
        site = self._site
        before = len(site.text())
        started = cycle.boot_ms()
        self._world.maps_fail = False
        if self._world.is_stuck and "error: map " not in site.text():
            self._find("a map cannot be replaced, and the log does not tell")
        self._world.stuck = None
        site.start()
        try:
            if not site.wait_ready(sites.PATIENCE):
                self._find("the next start fails")
                return
            self._compare(started, before)
        finally:
            self._world.close()
            site.end()
        if not site.wait_end():
            raise cycle.Hang("the next dracd does not end")
        if site.process.returncode != 0:
            self._find(f"the next dracd ends with {site.process.returncode}")

    def _compare(self, started, log_from):
        self._world.findings += self._world.read_maps("started again", started)
        self._world.ask(*cycle.ADDRESSES)
        for name in cycle.ADDRESSES:
            self._world.plain(name)
            if self._world.known[cycle.ADDRESSES[name]].is_revoked:
                self._world.is_held(name)
        status = self._site.status()
        if status not in (0, 1):
            self._find(f"started again: dracctl status exits with {status}")
        found = RESTART_FINDINGS.search(self._site.text()[log_from:])
        if found:
            self._find(f"started again: the log says {found[0]!r}")
        for name, expected in (("state", STATE_FILES), ("state/table", TABLE_FILES),
                               ("", SOCKETS | {"state", "maps", "drac.conf", "etc", "log", "notify"}),
                               *((f"maps/{name}", map_files(name)) for name in sites.maps())):
            more = self._left_over(name, expected)
            if more:
                self._find(f"started again: left over in {name or '.'}: {' '.join(sorted(more))}")

    def _left_over(self, name, expected):
        """What dracd has not done with after a while: it may be about to rename a temporary file."""
        until = time.monotonic() + sites.PATIENCE
        more = self._site.files(name) - expected
        while more and time.monotonic() < until:
            time.sleep(0.02)
            more &= self._site.files(name)
        return more


def run(directory, template, known, point):
    """For a process of its own: whatever happens is a result."""
    try:
        return Run(directory, template, known, point).run()
    except Exception as error:  # noqa: the sweep goes on, and tells
        shutil.rmtree(directory, ignore_errors=True)
        return Result(point, True, [f"the run itself failed: {type(error).__name__}: {error}"])
