"""A thousand logins a second, and real Postfix meanwhile: no smtpd is restarted because dracd publishes in
lmdb:, nobody whose lease lasts is refused, and nobody else let in.

hash: beside it shows that a restart would be seen: there each publication is a new file.
"""

import concurrent.futures
import itertools
import re
import sys
import time

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site
from tests.site import site as sites
from tests.site.stream import Stream

SECONDS = 15
RATE = 1000
BATCH = 50
LEASES = 6000  # that last: fewer than come and go
MTAS = ("postfix-lmdb", "postfix-policy", "postfix-hash")
QUIET = MTAS[:2]
CONFIGURATION = "lease_time = 1h\nmax_leases_per_user = 1000\n" + ask.SPECIAL


def report(site, lines):
    """Logins, all of which must be granted."""
    with Stream(f"{site.roots.dracd}/run/dracd", "report") as stream:
        answers = stream.ask_all(lines)
    bad = [answer for answer in answers if not answer.startswith("OK granted")]
    assert not bad, f"{len(bad)} of {len(lines)} logins: {bad[0]}"


def keep_logging_in(site, end):
    """New addresses, for a second or two each, until `end`; returns how many."""
    started = time.monotonic()
    for number in itertools.count():
        late = time.monotonic() - (started + number * BATCH / RATE)
        if late < 0:
            time.sleep(-late)
        if time.monotonic() >= end:
            return number * BATCH
        report(site, [f"login address=2001:db8:1:{number + 1:x}::{host:x} ttl_ms={1000 + 20 * host}"
                      for host in range(BATCH)])


def keep_asking(site, mta, clients, end):
    """New sessions one after the other, of one who may relay and of one who may not; returns how many."""
    permitted, stranger = clients
    for number in itertools.count():
        if time.monotonic() >= end:
            return number
        ask.expect(site, permitted, mta, ask.PERMITTED)
        ask.expect(site, stranger, mta, ask.REFUSED["postfix-hash"])


def restarts(site, mta):
    """How often an smtpd has seen a new table of this type, by Postfix's log."""
    kind = mta.removeprefix("postfix-")
    return len(re.findall(rf"table {kind}:\S+ has changed -- restarting", site.postfix.log()))


def under_load(site, clients):
    """All at once; returns the number of logins, and of rounds by MTA."""
    end = time.monotonic() + SECONDS
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(MTAS) + 1) as pool:
        logins = pool.submit(keep_logging_in, site, end)
        rounds = {mta: pool.submit(keep_asking, site, mta, clients, end) for mta in MTAS}
        return logins.result(), {mta: future.result() for mta, future in rounds.items()}


def right_answers(found):
    """They were asked for in the threads; here it is that there were many."""
    logins, rounds = found
    print(f"# {logins} logins in {SECONDS} s; sessions: "
          + ", ".join(f"{mta} {2 * count}" for mta, count in rounds.items()), flush=True)
    assert logins >= SECONDS * RATE / 4, f"only {logins} logins"
    assert min(rounds.values()) >= SECONDS, f"only {rounds}"


def no_restart(site, mta, before):
    """Not one."""
    count = restarts(site, mta) - before[mta]
    assert count == 0, f"{count} restarts"


def restarts_are_seen(site, before):
    """Else the others prove nothing."""
    assert restarts(site, "postfix-hash") > before["postfix-hash"], "no restart for hash: either"


def main():
    """Postfix and dracd; the logins are reported by the test."""
    cases, addresses = Cases(), ask.Addresses()
    site = Site(CONFIGURATION, more=sites.FORMATS["postfix-lmdb"])
    if "lmdb" not in site.postfix.types():
        cases.skip("smtpd under load: this release's Postfix has no lmdb")
        return cases.finish(site)
    site.dracd.start()
    site.start(site.postfix)
    report(site, [f"login address=2001:db8:1:ffff:{n >> 16:x}::{n & 0xffff:x}" for n in range(LEASES)])
    clients = addresses.new("IPv4"), addresses.new("IPv4")
    report(site, [f"login address={clients[0]} wait_ms=10000"])
    for mta in MTAS:  # an smtpd of before the leases above restarts now
        ask.expect_soon(site, clients[0], mta, ask.PERMITTED)
    before = {mta: restarts(site, mta) for mta in MTAS}
    cases.one(f"{RATE} logins a second for {SECONDS} s: right answers from each smtpd",
              lambda: right_answers(under_load(site, clients)))
    for mta in QUIET:
        cases.one(f"{RATE} logins a second: no smtpd restarts because of {mta}", no_restart, site, mta, before)
    cases.one("restarts would be seen: hash has them", restarts_are_seen, site, before)
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
