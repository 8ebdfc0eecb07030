"""Exim with dracd up, hung, stopped, restarted and killed, and with its file gone: leases are not believed, mail for
the site's own users is accepted, and nobody waits for long."""

import os
import sys

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site
from tests.site import site as sites

CONFIGURATION = "lease_time = 1h\nwatchdog = 0\n" + ask.SPECIAL
MTAS = list(sites.EXIM_PORTS)
LIST = "/var/lib/dracd/maps/relayhosts"
HUNG_MS = 6000  # the recipe's limit is 2 s, and the machine may be slow


def each(site, cases, clients, state, check, mtas=tuple(MTAS)):
    """check(site, client, mta) for both families."""
    for family, client in clients.items():
        for mta in mtas:
            cases.one(f"dracd {state}: {check.__doc__.rstrip('.').lower()}, {mta}, {family}", check, site, client, mta)


def admitted(site, client, mta):
    """The lease is in force."""
    ask.permitted(site, client, mta)


def not_admitted(site, client, mta):
    """The lease is not in force."""
    ask.expect_soon(site, client, mta, ask.REFUSED[mta])


def local(site, client, mta):
    """Local mail."""
    ask.local(site, client, mta)


def in_time(site, client, mta):
    """Refused when the time is over."""
    reply = ask.expect(site, client, mta, ask.REFUSED[mta])
    assert reply.ms < HUNG_MS, f"took {reply.ms:.0f} ms"


def restarted(site, client, mta):
    """A restart within a session costs no recipients."""
    with site.session(client, mta) as session:
        for moment in ("before", "after"):
            reply = session.rcpt(sites.OUTSIDE)
            assert (reply.code, reply.enhanced) == ask.permit_of(mta), f"{moment} the restart: {reply}"
            if moment == "before":
                site.dracd.stop()
                site.dracd.start()


def hung(site, cases, clients):
    """SIGSTOP: the socket accepts, nobody answers."""
    site.dracd.pause()
    try:
        each(site, cases, clients, "hung", local)
        each(site, cases, clients, "hung", in_time, ["exim-readsocket"])
        each(site, cases, clients, "hung", admitted, ["exim-iplsearch"])  # as last published
    finally:
        site.dracd.resume()
    each(site, cases, clients, "back from hanging", admitted)


def gone(site, cases, clients):
    """Somebody removes the file: nobody is told 421, and dracd notices and writes another."""
    site.dracd.pause()
    try:
        os.unlink(site.roots.dracd + LIST)
        each(site, cases, clients, "hung and the file gone", in_time, ["exim-iplsearch"])
        each(site, cases, clients, "hung and the file gone", local, ["exim-iplsearch"])
    finally:
        site.dracd.resume()
    each(site, cases, clients, "back, the file written anew", admitted)


def main():
    """All states of dracd on one site, where leases are given by dracctl."""
    cases, addresses = Cases(), ask.Addresses()
    clients = {family: addresses.new(family) for family in ask.FAMILIES}
    site = Site(CONFIGURATION, more=sites.EXIM)
    site.start(site.exim)
    each(site, cases, clients, "never started", not_admitted)
    each(site, cases, clients, "never started", local)
    site.dracd.start()
    for client in clients.values():
        ask.control(site, "add", client, "--time", "1h")
    each(site, cases, clients, "up", admitted)
    for scene in (hung, gone):
        scene(site, cases, clients)
    each(site, cases, clients, "restarted", restarted)
    for state, end in (("stopped", site.dracd.stop), ("killed", site.dracd.kill)):
        end()
        each(site, cases, clients, state, not_admitted)
        each(site, cases, clients, state, local)
        site.dracd.start()
        each(site, cases, clients, f"started after it was {state}", admitted)
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
