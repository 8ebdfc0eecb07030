"""How long after its end a lease is in a file, with 10,000 others that live on; and what sessions see
that were open before.

The ends come one after the other; each is looked for with new sessions, again and again, in every
file at the same time.
"""

import concurrent.futures
import statistics
import sys
import time

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site, postfix, process, wait
from tests.site import site as sites
from tests.site.stream import Stream, words_of

CONFIGURATION = "lease_time = 1h\n" + ask.SPECIAL
LIVE = 10000
ENDS = 20
FIRST_MS, APART_MS = 6000, 700
BOUND_MS = 250
END_INTERVAL_MS = {"postfix-hash": 1000, "postmap -q": 1000}  # of the map, which comes on top
HASH = "hash:/var/lib/dracd/maps/postfix"


def boot_ms():
    """Now, on the clock of the deadlines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def reporter(site):
    """A connection to the report socket."""
    return Stream(f"{site.roots.dracd}/run/dracd", "report")


def fill(site):
    """The leases that live on."""
    lines = [f"login address=2001:db8:1:ffff:{n >> 16:x}::{n & 0xffff:x}" for n in range(LIVE)]
    with reporter(site) as report:
        granted = [answer for answer in report.ask_all(lines) if answer.startswith("OK granted")]
    assert len(granted) == LIVE, f"{len(granted)} of {LIVE} leases"


def grant(site, clients, first_ms=FIRST_MS):
    """Grants each a lease, the one to end after the other; returns their ends, published everywhere."""
    lines = [f"login address={client} ttl_ms={first_ms + APART_MS * n} wait_ms=2000"
             for n, client in enumerate(clients)]
    with reporter(site) as report:
        answers = report.ask_all(lines)
    for answer in answers:
        assert "published=yes" in answer, answer
    return [int(words_of(answer)["boot_ms"]) for answer in answers]


def asks_mta(site, mta):
    """A question to an MTA in a new session: whether the client may relay."""
    def ask_mta(client):
        reply = site.relay(client, mta)
        if (reply.code, reply.enhanced) == ask.PERMITTED:
            return True
        # Sendmail says 451 where the map is replaced as it opens it: neither yes nor no
        return None if reply.code == 451 else False
    return ask_mta


def asks_postmap(site):
    """A question by postmap -q: whether the client's address is there."""
    def ask_postmap(client):
        status, output = process.run(site.roots.mail, ["/usr/sbin/postmap", "-q", client, HASH])
        output = postfix.without_notices(output)
        assert (status, output) in ((0, "OK\n"), (1, "")), f"postmap -q: {status} {output}"
        return status == 0
    return ask_postmap


def lateness(question, client, end):
    """How many ms after the end of the lease the first refusal has come."""
    assert question(client) is not False, f"{client} was not permitted before its end"
    time.sleep(max(end - 200 - boot_ms(), 0) / 1000)
    while question(client) is not False:
        assert boot_ms() < end + 10000, f"{client} is still in the file 10 s after its end"
    return boot_ms() - end


def soon_enough(name, late):
    """Tells how late, and judges the median."""
    bound = BOUND_MS + END_INTERVAL_MS.get(name, 0)
    median = statistics.median(late)
    print(f"# {name}: refused after the end, ms: median {median:.0f} min {min(late):.0f} "
          f"max {max(late):.0f} (bound {bound})", flush=True)
    assert min(late) >= 0, f"refused {-min(late):.0f} ms before its end"
    assert median <= bound, f"median {median:.0f} ms, bound {bound} ms"


def ends_in_files(site, cases, clients):
    """All ends in all files."""
    questions = {mta: asks_mta(site, mta) for mta in ("postfix-hash", "sendmail-drac-hash", "sendmail-access")}
    questions["postmap -q"] = asks_postmap(site)
    ends = grant(site, clients)
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(questions) * ENDS) as pool:
        running = {name: [pool.submit(lateness, question, *lease) for lease in zip(clients, ends)]
                   for name, question in questions.items()}
        for name, futures in running.items():
            cases.one(f"{ENDS} leases end, with {LIVE} others: {name}",
                      lambda n=name, f=futures: soon_enough(n, [future.result() for future in f]))


def open_sessions(site, cases, client):
    """What sessions see at the end of a lease that were open, and permitted, before."""
    for ttl_ms in (3000, 9000, 27000):
        end, = grant(site, [client], ttl_ms)
        sessions = {mta: site.session(client, mta) for mta in ask.MTAS}
        before = {mta: session.rcpt(sites.OUTSIDE) for mta, session in sessions.items()}
        in_time = boot_ms() < end
        for mta in ask.MTAS:
            wait.until(lambda m=mta: asks_mta(site, m)(client) is False, f"{mta} to refuse new sessions")
        if in_time:
            break
    assert in_time, "the machine is too slow for this test"
    after = {mta: session.rcpt(sites.OUTSIDE) for mta, session in sessions.items()}
    for mta in ask.MTAS:
        expected = ask.PERMITTED if mta == "postfix-hash" else ask.REFUSED[mta]
        cases.one(f"a session open at the end of a lease, {mta}: {expected[0]}",
                  sees, before[mta], after[mta], expected)


def sees(before, after, expected):
    """Permitted before, and then what is expected."""
    assert (before.code, before.enhanced) == ask.PERMITTED, f"before: {before}"
    assert (after.code, after.enhanced) == expected, f"after: {after}"


def main():
    """One site, without Dovecot: the logins are reported by the test."""
    cases, addresses = Cases(), ask.Addresses()
    site = Site(CONFIGURATION)
    site.dracd.start()
    site.start(site.postfix, *site.sendmails)
    fill(site)
    clients = [addresses.new("IPv6" if n % 4 == 3 else "IPv4") for n in range(ENDS)]
    ends_in_files(site, cases, clients)
    open_sessions(site, cases, addresses.new("IPv4"))
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
