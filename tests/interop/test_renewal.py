"""A mail session that lasts keeps its lease, by `doveadm who` and `dracctl renew`, and grants none."""

import sys
import time

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site, dialogue, dovecot, dracd, process
from tests.site import site as sites

LEASE = 6.0
CONFIGURATION = f"lease_time = {LEASE:g}s\n" + ask.SPECIAL
MTAS = ("postfix-policy", "postfix-hash")


def renew(site, mode):
    """What the README's command line says, with `doveadm` and `dracctl` each in its root."""
    sessions = next(server for server in site.dovecots if server.mode == mode).sessions()
    return process.must_run(site.roots.dracd, [dracd.CONTROL, "renew", "-"], sessions)


def stay(site, client, mode, user="alice"):
    """An IMAP session that stays open."""
    return dialogue.Imap(site.network, client, dovecot.PORTS[mode]["imap"], user)


def nobody_there(site, mode):
    """Without a session the list is a header, and all is well."""
    told = renew(site, mode)
    assert told == "renewed the leases of 0 of 0 sessions\n", told


def lasting(site, addresses, mode, family):
    """Three clients: one stays, one has left, one stays but his lease was ended."""
    stays, left, ended = (addresses.new(family) for _ in range(3))
    with stay(site, stays, mode) as session, stay(site, stays, mode), stay(site, ended, mode, "bob"):
        ask.login(site, left, "imap", mode)
        since = time.monotonic()
        for client in (stays, left, ended):
            ask.permitted(site, client, "postfix-policy")
        ask.control(site, "revoke", ended, "--hold", "0s")
        yield since + LEASE / 2
        told = renew(site, mode)
        assert told == "renewed the leases of 2 of 3 sessions (1 without a lease)\n", told
        renewed = time.monotonic()
        yield since + LEASE  # past the old end
        for mta in MTAS:
            ask.expect(site, stays, mta, ask.PERMITTED)
            for client in (left, ended):
                ask.expect_soon(site, client, mta, ask.REFUSED[mta])
        session.command("NOOP")
        row = next(line for line in ask.control(site, "list").splitlines() if line.startswith(stays))
        assert row.split()[-2] == "2", f"a renewal is no login: {row}"
        yield renewed + LEASE
        told = renew(site, mode)  # too late
        assert told == "renewed the leases of 0 of 3 sessions (3 without a lease)\n", told
        for mta in MTAS:
            ask.expect_soon(site, stays, mta, ask.REFUSED[mta])


def main():
    """Both ways to report a login, both families."""
    cases, addresses = Cases(), ask.Addresses()
    site = Site(CONFIGURATION)
    site.dracd.start()
    site.start(*site.dovecots, site.postfix)
    for mode in dovecot.PORTS:
        cases.one(f"no session, helper {mode}", nobody_there, site, mode)
    for family in ask.FAMILIES:
        cases.run([(f"a session that lasts keeps its lease, helper {mode}, {family}",
                    lasting(site, addresses, mode, family)) for mode in dovecot.PORTS])
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
