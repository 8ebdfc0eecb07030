"""Whatever ends dracd: how long it takes until each MTA refuses who had a lease, by each lookup and each kind of map.

Every MTA is asked in new sessions all the time, by a thread of its own, from before the death until it refuses; and once more
when all of them do. Then dracd is started again, and each must permit again.
"""

import concurrent.futures
import sys
import time

from tests.interop import ask
from tests.interop.cases import Cases
from tests.interop.test_formats import lookups, map_line, readable
from tests.site import Site, wait

WATCHDOG = 2.0
CONFIGURATION = f"lease_time = 1h\nwatchdog = {WATCHDOG:g}s\n" + ask.SPECIAL
LIVE = ("policy", "socketmap", "socket", "readsocket")
LOOKUP_BOUND, FILE_BOUND = 0.1, 2.0  # what is told; nothing fails on it
LATE = 5.0  # no test fails on less
PATIENCE = 20.0


def is_lookup(mta):
    """Whether it asks dracd itself."""
    return mta.endswith(LIVE)


def refusal(site, client, mta, begins):
    """Seconds from the death until a session that began after it was refused; None while it is permitted."""
    while True:
        started = time.monotonic()
        try:
            reply = site.relay(client, mta)
        except OSError:
            continue
        if reply.code != 250 and begins and started >= begins[0]:
            return time.monotonic() - begins[0], reply
        if begins and started > begins[0] + PATIENCE:
            raise AssertionError(f"{mta}: {reply.code} {reply.text} after {PATIENCE:g} s")


def die(site, mtas, client, death):
    """One death, from a state in which each MTA permits; returns the time of each."""
    for mta in mtas:
        ask.permitted(site, client, mta)
    begins = []
    with concurrent.futures.ThreadPoolExecutor(len(mtas)) as pool:
        asked = {mta: pool.submit(refusal, site, client, mta, begins) for mta in mtas}
        begins.append(time.monotonic())
        death(site)
        times = {mta: future.result() for mta, future in asked.items()}
    for mta in mtas:
        reply = site.relay(client, mta)
        assert reply.code != 250, f"{mta}: {reply.text}, when it had refused before"
    return {mta: seconds for mta, (seconds, _) in times.items()}


def stop(site):
    """systemctl stop."""
    site.dracd.send_stop()


def kill(site):
    """kill -9; the guardian withdraws."""
    site.dracd.send_kill()


def crash(site):
    """SIGABRT; the guardian withdraws."""
    site.dracd.crash()


def kill_both(site):
    """kill -9 of dracd and its guardian; the service manager runs dracd-withdraw."""
    site.dracd.kill_with_guardian()
    status, output = site.dracd.withdraw()
    assert status == 0, output


def hang(site):
    """SIGSTOP; the guardian kills it after its watchdog time."""
    site.dracd.pause()


def in_time(site, mtas, client, name, death):
    """Tells the times of one death, and starts dracd again."""
    times = die(site, mtas, client, death)
    if death is not kill_both:
        site.dracd.join()
    site.dracd.start()
    for mta in mtas:
        ask.permitted(site, client, mta)
    allowed = WATCHDOG if death is hang else 0
    for mta in sorted(times, key=times.get):
        bound = allowed + (LOOKUP_BOUND if is_lookup(mta) else FILE_BOUND)
        print(f"# {name}: {mta} refuses after {times[mta] * 1000:.0f} ms"
              + ("" if times[mta] <= bound else f", more than {bound * 1000:.0f}"))
    late = {mta: seconds for mta, seconds in times.items() if seconds > allowed + LATE}
    assert not late, late


def main():
    """Each death on one site."""
    cases = Cases()
    site = Site(CONFIGURATION)
    mtas, _ = readable(site)
    site.dracd.configure(CONFIGURATION + lookups() + "".join(map(map_line, mtas)))
    site.dracd.start()
    site.start(site.postfix, site.exim,
               *(server for server in site.sendmails + site.more_sendmails if server.name in mtas))
    client = ask.Addresses().new("IPv4")
    status, output = site.dracd.control("add", client, "--time", "1h")
    assert status == 0, output
    for death in (stop, kill, crash, kill_both, hang):
        name = death.__doc__.rstrip(".")
        try:
            cases.one(f"withdrawn: {name}", in_time, site, mtas, client, name.partition(";")[0], death)
        except wait.Late as error:
            cases.fail(name, error)
    return cases.finish(site)


if __name__ == "__main__":
    sys.exit(main())
