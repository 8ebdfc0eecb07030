"""make torture: a cycle of dracd with a fault at each of its system calls in turn.

    python3 -m tests.torture.sweep                  all of them
    TORTURE='map:hash fsync 3 EIO' ...              one, with its log
    TORTURE='store' ...                             those that begin so; "lasting": all whose fault lasts
    TORTURE_SAMPLE=200 TORTURE_SEED=7 ...           so many seconds of them, in the order of that seed
    TORTURE_DONE=FILE ...                           goes on where another run with this file was ended
    TORTURE_PART=1/2 ...                            the first of two parts, which have nothing in common
    TORTURE_JOBS=6  TORTURE_DIR=/dev/shm            runs at a time, as they mostly wait; where they run

Each run has a directory of its own, in memory: nothing here depends on a disk, and sync takes no time.
The last line is "N passed, N failed"; before it stands what was listed, reached and injected.
"""

import collections
import concurrent.futures
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time

from tests.torture import faults, run
from tests.torture import site as sites

JOBS = int(os.environ.get("TORTURE_JOBS", "6"))
TRIES = 3              # to reach a call that a run has not made
LISTINGS = 2           # runs that count calls
ONLY_GUARDIAN = {"die"}  # scenarios whose other calls are those of "stop"
PROGRESS_SECONDS = 60
TOLD = 3               # findings of one run


def list_points(directory, template, known):
    """What a cycle calls, and what of it is given which fault."""
    points, lasting, listed, not_applicable = [], [], 0, 0
    for scenario in run.SCENARIOS:
        counts = collections.Counter()
        for number in range(LISTINGS):
            result = run.Run(f"{directory}/list{number}", template, known, None, scenario).run()
            if result.findings:
                raise SystemExit(f"without a fault: {result.findings}\n{result.log}")
            counts |= collections.Counter(result.counts)
        for (role, call), count in sorted(counts.items()):
            if scenario in ONLY_GUARDIAN and not role.startswith("guardian"):
                continue
            listed += count
            given = [faults.KILL, *faults.of_call(call)]
            not_applicable += count * (1 + len(faults.ERRORS) - len(given))
            points += [run.Point(scenario, role, call, number + 1, fault)
                       for number in range(count) for fault in given]
            if scenario == "stop" and not role.startswith(("guardian", "checker")):
                lasting += [run.Point(scenario, role, call, number, fault)
                            for number in sorted({1, (count + 1) // 2, count})
                            for fault in faults.lasting_of_call(call)]
    return points + lasting, listed, not_applicable, len(lasting)


def in_order(points, seed):
    """First each kind of thread, call and fault once, then each thread, then all others, "first" last.

    Which is where does not depend on what else there is: listings differ by a few calls.
    """
    rank = list(run.SCENARIOS).index
    points = sorted(points, key=lambda point: hashlib.sha256(f"{seed} {point}".encode()).digest())
    first, second, kinds, roles = [], [], set(), set()
    for point in sorted(points, key=lambda point: rank(point.scenario)):
        kind = (point.role.split(":")[0].rstrip("0123456789"), point.call, point.fault)
        role = (point.role, point.call, point.fault)
        if kind not in kinds and faults.LASTING not in point.fault:
            first.append(point)
        elif role not in roles:
            second.append(point)
        kinds.add(kind)
        roles.add(role)
    chosen = set(first + second)
    others = sorted((point for point in points if point not in chosen), key=lambda point: point.scenario == "first")
    return first + second + others, len(first), len(first) + len(second)


class Done:
    """The points without a finding, one a line, in a file that outlives a run; without a file, of this run."""

    def __init__(self, path):
        self._file = open(path, "a+", encoding="utf-8") if path else None
        self._points = set()
        if self._file:
            self._file.seek(0)
            self._points = set(self._file.read().splitlines())

    def __contains__(self, point):
        return str(point) in self._points

    def add(self, point):
        """At once: it may be the last."""
        if self._file:
            print(point, file=self._file, flush=True)


def named(text):
    """The one point that TORTURE names, whether it is listed or not; None if it names none or several."""
    words = text.split()
    if len(words) != 4 or not words[2].isdigit():
        return None
    scenario, _, role = words[0].partition("/")
    if scenario not in run.SCENARIOS:
        scenario, role = "stop", words[0]
    return run.Point(scenario, role, words[1], int(words[2]), words[3])


def choose(points, text):
    """Those that TORTURE names the beginning of, or "lasting": the faults that last."""
    if text == "lasting":
        return [point for point in points if faults.LASTING in point.fault]
    if not text.endswith("/"):  # else any part of it, "die/guardian/": what that has started
        text += " "
    return [point for point in points if (str(point) + " ").startswith(text)]


def of_part(points, text):
    """Those of one part of several, "1/2": by the point alone, since listings differ by a few calls."""
    part, _, parts = text.partition("/")
    if not part.isdigit() or not parts.isdigit() or not 1 <= int(part) <= int(parts):
        raise SystemExit(f"TORTURE_PART={text!r} is not a part of a number of parts, as in 1/2")
    return [point for point in points
            if int(hashlib.sha256(str(point).encode()).hexdigest(), 16) % int(parts) == int(part) - 1]


def begin_worker():
    """It ends with its runs, not by a signal for all."""
    sites.die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Sweep:
    """All runs, some at a time."""

    def __init__(self, directory, template, known, done):
        self._directory = directory
        self._done = done
        self._template = template
        self._known = known
        self._tries = collections.Counter()
        self._number = 0
        self.injected = self.runs = self.not_reached = 0
        self.found = {}

    def run(self, points, seconds, tell=None):
        """Until all are done, or the time is up; how many are left then. Each result is given to tell, too."""
        begun = told = time.monotonic()
        queue = collections.deque(points)
        with concurrent.futures.ProcessPoolExecutor(JOBS, initializer=begin_worker) as pool:
            running = set()
            while queue or running:
                is_late = seconds and time.monotonic() - begun > seconds
                while queue and len(running) < JOBS and not is_late:
                    running.add(self._start(pool, queue.popleft()))
                if not running:
                    break
                done, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    if tell:
                        tell(future.result())
                    self._take(future.result(), queue)
                if time.monotonic() - told > PROGRESS_SECONDS:
                    told = time.monotonic()
                    sites.note(f"# {told - begun:.0f} s: {self.runs} runs, {len(queue)} points to go, "
                               f"{len(self.found)} with findings")
        return len(queue)

    def _start(self, pool, point):
        self._number += 1
        return pool.submit(run.run, f"{self._directory}/{self._number}", self._template, self._known, point)

    def _take(self, result, queue):
        point = result.point
        self.runs += 1
        self._tries[point] += 1
        if result.findings:
            self._tell(result)
        if result.hit:
            self.injected += 1
            if not result.findings:
                self._done.add(point)
        elif self._tries[point] < TRIES and not result.findings:
            queue.appendleft(point)
        elif not result.findings:
            self.not_reached += 1

    def _tell(self, result):
        self.found[result.point] = result
        for what in result.findings[:TOLD]:
            sites.note(f"not ok {result.point}: {what}")
        if len(result.findings) > TOLD:
            sites.note(f"    and {len(result.findings) - TOLD} more")
        sites.note(f"    make torture TORTURE='{result.point}'")


def show(result):
    """One run in full."""
    sites.note(result.log.rstrip())
    sites.note(f"# {result.point}: {'reached' if result.hit else 'not reached'}")


def plan(directory, template, known, only, seed):
    """What is to be run, in which order."""
    one = named(only)
    if one:
        return [one]
    points, listed, not_applicable, lasting = list_points(directory, template, known)
    sites.note(f"# listed: {listed} calls in {len(run.SCENARIOS)} cycles; faults that apply: {len(points) - lasting}, "
               f"that do not: {not_applicable}; besides, that last: {lasting}")
    if os.environ.get("TORTURE_PART"):
        points = of_part(points, os.environ["TORTURE_PART"])
        sites.note(f"# part {os.environ['TORTURE_PART']}: {len(points)} of them")
    points, kinds, roles = in_order(points, seed)
    if not only:
        sites.note(f"# seed {seed}: the first {kinds} are one of each kind of thread, call and fault, "
                   f"the first {roles} one of each thread, call and fault")
        return points
    points = choose(points, only)
    if not points:
        raise SystemExit(f"TORTURE={only!r} names nothing that is listed")
    return points


def sweep(directory, only, seconds, seed):
    """Returns the number of points with findings."""
    begun = time.monotonic()
    template = f"{directory}/template"
    known = run.make_template(template)
    points = plan(directory, template, known, only, seed)
    done = Done(os.environ.get("TORTURE_DONE"))
    all_ = Sweep(directory, template, known, done)
    one = len(points) == 1
    before = len(points)
    if not one:
        points = [point for point in points if point not in done]
    if len(points) < before:
        sites.note(f"# done before: {before - len(points)}")
    left = all_.run(points, seconds, show if one else None)
    failed = len(all_.found)
    sites.note(f"# faults that apply {len(points)}, injected {all_.injected}, not reached in {TRIES} tries "
               f"{all_.not_reached}, left out {left}; runs {all_.runs}; violations {failed}; "
               f"{time.monotonic() - begun:.0f} s")
    sites.note(f"{all_.injected + all_.not_reached - failed} passed, {failed} failed")
    return failed


def main():
    """By the environment."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = os.environ.get("TORTURE_SEED") or str(random.SystemRandom().randrange(1 << 32))
    base = os.environ.get("TORTURE_DIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    directory = tempfile.mkdtemp(prefix="dracd-torture-", dir=base)
    try:
        return sweep(directory, os.environ.get("TORTURE", "").strip(), float(os.environ.get("TORTURE_SAMPLE") or 0), seed)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
