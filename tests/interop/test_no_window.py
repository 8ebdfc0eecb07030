"""No window between a login and the right to relay.

200 times, from 200 addresses: an IMAP login with the helper asked to wait for publication, and then,
as soon as the tagged OK is read, the first RCPT of a new SMTP session with every MTA. There are no
second tries: a temporary refusal is a failure.
"""

import concurrent.futures
import statistics
import sys

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site
from tests.site import site as sites

LOGINS = 200
CONFIGURATION = "lease_time = 1h\nmax_leases_per_user = 1000\n" + ask.SPECIAL
LATENCY_LIMIT_MS = 300  # the budget of the helper: a login that took longer has not waited for us


def clients_of(addresses):
    """As many addresses as logins, each fourth of them IPv6."""
    return [addresses.new("IPv6" if n % 4 == 3 else "IPv4") for n in range(LOGINS)]


def ask_all(site, pool, client):
    """The replies of all MTAs to a RCPT from a client, asked at the same time."""
    futures = {mta: pool.submit(site.relay, client, mta) for mta in ask.MTAS}
    return {mta: future.result() for mta, future in futures.items()}


def count(site, cases, what, replies, wanted):
    """One case per MTA: each of these replies, by client, is the wanted one."""
    for mta in ask.MTAS:
        bad = [f"{client}: {reply[mta].code} {reply[mta].enhanced} {reply[mta].text}"
               for client, reply in replies.items()
               if (reply[mta].code, reply[mta].enhanced) != wanted(mta)]
        cases.one(f"{what}: {len(replies) - len(bad)} of {LOGINS}, {mta}", none, bad)


def none(bad):
    """There is nothing in the list."""
    assert not bad, f"{len(bad)} were not, first: {bad[0]}"


def login_and_relay(site, pool, clients):
    """The replies by client, and how long each login took."""
    replies, latencies = {}, []
    for client in clients:
        login = site.login(client, "imap", "serve")
        replies[client] = ask_all(site, pool, client)
        assert login.ok, f"login from {client}: {login.text}"
        latencies.append(login.ms)
    return replies, latencies


def quick_enough(latencies):
    """Tells the latencies; the budget holds at the median at least."""
    ordered = sorted(latencies)
    median, p99 = statistics.median(ordered), ordered[len(ordered) * 99 // 100]
    print(f"# login that waits for publication: median {median:.1f} ms, p99 {p99:.1f} ms, "
          f"max {ordered[-1]:.1f} ms", flush=True)
    assert median < LATENCY_LIMIT_MS, f"median {median:.0f} ms"


def main():
    """One site, one login after the other."""
    cases, addresses = Cases(), ask.Addresses()
    site = Site(CONFIGURATION, helper_options={"serve": "--wait"})
    site.start_all()
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(ask.MTAS)) as pool:
        replies, latencies = login_and_relay(site, pool, clients_of(addresses))
        count(site, cases, "login, then RCPT accepted", replies, lambda mta: ask.PERMITTED)
        strangers = {client: ask_all(site, pool, client) for client in clients_of(addresses)}
        count(site, cases, "never logged in, RCPT refused", strangers, ask.REFUSED.get)
    cases.one("latency of a login that waits for publication", quick_enough, latencies)
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
