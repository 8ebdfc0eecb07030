"""dracd never started, hung, stopped, killed: mail and logins go on, and leases are not believed."""

import sys

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site, wait
from tests.site import site as sites

CONFIGURATION = "lease_time = 1h\nwatchdog = 0\n" + ask.SPECIAL  # it is to hang for as long as this takes
STATIC_RELAY = {"IPv4": "198.51.100.67", "IPv6": "2001:db8:1::67"}
ACCESS = "Connect:198.51.100.67 RELAY\nConnect:IPv6:2001:db8:1:0:0:0:0:67 RELAY\n"
CLIENT_ACCESS = "198.51.100.67 OK\n2001:db8:1::67 OK\n"
STATIC_MTAS = ("postfix-static", "sendmail-drac-hash", "sendmail-drac-socket", "sendmail-access")

# FEATURE(drac) asks the socket before the access database, and waits 30 s for a dracd that hangs.
STATIC_MTAS_HUNG = tuple(mta for mta in STATIC_MTAS if mta != "sendmail-drac-socket")

# A socketmap client of Postfix cannot tell a dead server from a broken one: a temporary refusal.
REFUSED_WHEN_DEAD = {**ask.REFUSED, "postfix-socketmap": (451, "4.3.5")}
HUNG_POLICY_MS = 10000  # two attempts of 2 s, a pause of 1 s between them, and a slow machine


def logins(site, cases, addresses, state):
    """Every way to log in works."""
    for protocol, mode in ask.LOGINS:
        for family in ask.FAMILIES:
            cases.one(f"{state}: {protocol} login, helper {mode}, {family}",
                      ask.login, site, addresses.new(family), protocol, mode)


def mail(site, cases, clients, state, static_mtas=STATIC_MTAS):
    """Local mail and the administrator's own relays work."""
    for family, client in clients.items():
        for mta in ask.MTAS:
            cases.one(f"{state}: local mail, {mta}, {family}", ask.local, site, client, mta)
        for mta in static_mtas:
            cases.one(f"{state}: static RELAY, {mta}, {family}",
                      ask.expect, site, STATIC_RELAY[family], mta, ask.PERMITTED)


def admitted(site, cases, clients, state):
    """The leases are in force at every MTA."""
    for family, client in clients.items():
        for mta in ask.MTAS:
            cases.one(f"{state}: the lease is in force, {mta}, {family}", ask.permitted, site, client, mta)


def not_believed(site, cases, clients, state, mtas):
    """The leases are in force nowhere."""
    for family, client in clients.items():
        for mta in mtas:
            cases.one(f"{state}: the lease is not in force, {mta}, {family}",
                      ask.expect_soon, site, client, mta, REFUSED_WHEN_DEAD[mta])


def hung_policy(site, client):
    """A hung dracd costs seconds per attempt to relay, and permits nothing."""
    reply = ask.expect(site, client, "postfix-policy", ask.REFUSED["postfix-policy"])
    assert reply.ms < HUNG_POLICY_MS, f"took {reply.ms:.0f} ms"


def restarted(site, client, mta):
    """A restart of dracd within an SMTP session does not cost a leased user his next recipients."""
    with site.session(client, mta) as session:
        before = session.rcpt(sites.OUTSIDE)
        assert (before.code, before.enhanced) == ask.PERMITTED, f"before the restart: {before}"
        site.dracd.stop()
        site.dracd.start()
        after = session.rcpt(sites.OUTSIDE)
        assert (after.code, after.enhanced) == ask.PERMITTED, f"after the restart: {after}"


def status(site, *wanted):
    """`dracctl status` as a monitoring system reads it."""
    got, output = site.dracd.control("status", limit=30)
    assert got in wanted, f"dracctl status: {got}, expected {wanted}: {output}"


def hung(site, cases, addresses, clients):
    """SIGSTOP: the sockets accept, nobody answers."""
    site.dracd.pause()
    try:
        mail(site, cases, clients, "dracd hung", STATIC_MTAS_HUNG)
        logins(site, cases, addresses, "dracd hung")
        cases.one("dracd hung: dracctl status says so", status, site, 3)
        cases.one("dracd hung: the policy service permits nothing", hung_policy, site, clients["IPv4"])
    finally:
        site.dracd.resume()
    admitted(site, cases, clients, "dracd back from hanging")


def stopped(site, cases, addresses, clients):
    """An orderly stop."""
    site.dracd.stop()
    mail(site, cases, clients, "dracd stopped")
    logins(site, cases, addresses, "dracd stopped")
    cases.one("dracd stopped: dracctl status says so", status, site, 3)
    not_believed(site, cases, clients, "dracd stopped", ask.MTAS)
    site.dracd.start()
    admitted(site, cases, clients, "dracd started again")
    for mta in ("postfix-policy", "postfix-socketmap", "postfix-hash"):
        cases.one(f"dracd restarted within an SMTP session, {mta}", restarted, site, clients["IPv4"], mta)


def killed(site, cases, addresses, clients):
    """kill -9."""
    site.dracd.kill()
    mail(site, cases, clients, "dracd killed")
    logins(site, cases, addresses, "dracd killed")
    not_believed(site, cases, clients, "dracd killed", ask.MTAS)
    site.dracd.start()
    admitted(site, cases, clients, "dracd started after a kill")
    cases.one("dracd started after a kill: dracctl status", status, site, 0, 1)


def main():
    """All states of dracd on one site."""
    cases, addresses = Cases(), ask.Addresses()
    clients = {family: addresses.new(family) for family in ask.FAMILIES}
    site = Site(CONFIGURATION, ACCESS, CLIENT_ACCESS, {"serve": "--wait"})
    site.start(*site.dovecots)
    logins(site, cases, addresses, "dracd never started")
    site.dracd.start()
    site.start(site.postfix, *site.sendmails)
    mail(site, cases, clients, "dracd up")
    for family, client in clients.items():
        cases.one(f"dracd up: login, {family}", ask.login, site, client, "imap", "serve")
    admitted(site, cases, clients, "dracd up")
    cases.one("dracd up: dracctl status", status, site, 0)
    for scene in (hung, stopped, killed):
        try:
            scene(site, cases, addresses, clients)
        except (OSError, wait.Late) as error:  # then what follows has no ground to stand on
            cases.fail(f"{scene.__name__}: goes through", error)
            break
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
