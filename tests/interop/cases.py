"""Running cases: one printed line each, steps in parallel, and waiting for many leases at once.

A case is a generator. What it yields is the moment (time.monotonic()) at which it wants to go on;
until then others run. So fifty leases end while one is waited for, and yet each case reads from top
to bottom.
"""

import concurrent.futures
import heapq
import inspect
import itertools
import sys
import threading
import time
import traceback

from tests import record

WORKERS = 4


class Cases:
    """The cases of one test program, and how they went."""

    def __init__(self):
        self._lock = threading.Lock()
        self.failed = 0
        self.passed = set()  # names

    def _print(self, line):
        with self._lock:
            print(line, flush=True)
            record.case(line)

    def _pass(self, name):
        with self._lock:
            self.passed.add(name)
        self._print(f"ok {name}")

    def skip(self, name):
        """Tell what cannot be tried here, and why."""
        self._print(f"SKIP {name}")

    def fail(self, name, error):
        """Record that a case failed."""
        with self._lock:
            self.failed += 1
        frame = traceback.extract_tb(error.__traceback__)[-1]
        reason = str(error) or frame.line
        if not isinstance(error, AssertionError) or not str(error):
            reason += f" ({type(error).__name__}, {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"
        self._print(f"not ok {name}: " + reason.replace("\n", "\n    "))

    def _advance(self, name, case):
        """Run a case to its next yield; returns the moment it yielded, or None when it has ended."""
        try:
            return next(case)
        except StopIteration:
            self._pass(name)
        except Exception as error:  # pylint: disable=broad-except  # every error is the case's result
            self.fail(name, error)
        return None

    def run(self, cases, workers=WORKERS):
        """Run (name, generator) pairs to their ends, the one that is due first first."""
        order = itertools.count()
        waiting = [(0.0, next(order), pair) for pair in cases]
        running = {}
        with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
            while waiting or running:
                while waiting and len(running) < workers and waiting[0][0] <= time.monotonic():
                    _, _, pair = heapq.heappop(waiting)
                    running[pool.submit(self._advance, *pair)] = pair
                pause = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
                if not running:
                    time.sleep(pause)
                    continue
                done, _ = concurrent.futures.wait(
                    running, pause if len(running) < workers else None, concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    pair = running.pop(future)
                    if future.result() is not None:
                        heapq.heappush(waiting, (future.result(), next(order), pair))

    def one(self, name, function, *arguments):
        """Run one case now, a function or a generator."""
        result = None
        try:
            result = function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            self.fail(name, error)
            return
        if inspect.isgenerator(result):
            self.run([(name, result)])
        else:
            self._pass(name)

    def finish(self, site):
        """Stop dracd in good order; the exit status, with the logs of the site if something failed."""
        if site.dracd.ended() is None:
            try:
                site.dracd.stop()
            except (OSError, AssertionError) as error:
                self.fail("dracd ends in good order", error)
        if self.failed:
            print(site.logs(), file=sys.stderr, flush=True)
        return 1 if self.failed else 0
