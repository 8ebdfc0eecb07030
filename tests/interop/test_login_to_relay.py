"""From a login to the right to relay and back, for every way in, every way out, and both families."""

import sys
import time

from tests.interop import ask, facts
from tests.interop.cases import Cases
from tests.site import Site, dovecot, recipes, release, roots, wait
from tests.site import site as sites

LEASE = 8.0  # seconds; longer than any one step takes on a slow machine

MTAS = ask.MTAS + list(sites.EXIM_PORTS)

CONFIGURATION = f"""\
lease_time = {LEASE:g}s
max_leases_per_user = 1000
""" + ask.SPECIAL

STATIC = {"IPv4": ("198.51.100.66", "198.51.100.67"), "IPv6": ("2001:db8:1::66", "2001:db8:1::67")}
ACCESS = """\
# the administrator's own entries
Connect:198.51.100.66			REJECT
Connect:IPv6:2001:db8:1:0:0:0:0:66	REJECT
198.51.100.67				RELAY
Connect:IPv6:2001:DB8:1:0:0:0:0:67	RELAY
"""
CLIENT_ACCESS = """\
198.51.100.66	REJECT
2001:db8:1::66	REJECT
198.51.100.67	OK
2001:db8:1::67	OK
"""


def life_of_a_lease(site, addresses, protocol, mode, mta, family):
    """Login, relay, end, login, revocation, and a login that changes nothing any more."""
    client, neighbour = addresses.new(family), addresses.new(family)
    ask.refused(site, client, mta)
    ask.local(site, client, mta)
    ask.login(site, client, protocol, mode)
    login = time.monotonic()
    ask.permitted(site, client, mta)
    ask.refused(site, neighbour, mta)
    ask.local(site, client, mta)
    yield login + LEASE
    if "hash" in mta or "access" in mta or "search" in mta:
        ask.expect_soon(site, client, mta, ask.REFUSED[mta])
    else:
        ask.refused(site, client, mta)
    ask.login(site, client, protocol, mode)
    ask.permitted(site, client, mta)
    ask.control(site, "revoke", client, "--hold", "1h", "--reason", "test")
    ask.refused(site, client, mta)
    ask.login(site, client, protocol, mode)
    ask.refused(site, client, mta)
    yield time.monotonic() + 0.5  # time enough for a map to be published by mistake
    ask.refused(site, client, mta)
    ask.local(site, client, mta)


def renewal(site, addresses, family):
    """A login within the lease prolongs it: counted from the last login."""
    client = addresses.new(family)
    ask.login(site, client, "imap", "serve")
    yield time.monotonic() + LEASE / 2
    ask.login(site, client, "pop3", "script", "bob")
    yield time.monotonic() + LEASE * 0.6
    ask.permitted(site, client, "postfix-policy")
    ask.permitted(site, client, "sendmail-drac-hash")
    yield time.monotonic() + LEASE * 0.5
    ask.refused(site, client, "postfix-policy")


def open_session(site, addresses, mta, family):
    """One SMTP session sees a login and a revocation that happen while it lasts."""
    client = addresses.new(family)
    with site.session(client, mta) as session:
        before = session.rcpt(sites.OUTSIDE)
        assert (before.code, before.enhanced) == ask.REFUSED[mta], f"before: {before}"
        ask.login(site, client, "imap", "serve")
        within = session.rcpt(sites.OUTSIDE)
        assert (within.code, within.enhanced) == ask.permit_of(mta), f"after the login: {within}"
        ask.control(site, "revoke", client)
        after = session.rcpt(sites.OUTSIDE)
        assert (after.code, after.enhanced) == ask.REFUSED[mta], f"after the revocation: {after}"


def open_session_revoked(site, addresses, mta, family):
    """A Sendmail session begun with a lease in its map loses it by the revocation."""
    client = addresses.new(family)
    ask.login(site, client, "imap", "serve")
    ask.permitted(site, client, mta)
    with site.session(client, mta) as session:
        before = session.rcpt(sites.OUTSIDE)
        assert (before.code, before.enhanced) == ask.permit_of(mta), f"before: {before}"
        ask.control(site, "revoke", client)
        after = session.rcpt(sites.OUTSIDE)
        assert (after.code, after.enhanced) == ask.REFUSED[mta], f"after the revocation: {after}"


def static_reject(site, mta, family):
    """The administrator's REJECT wins over a lease."""
    client = STATIC[family][0]
    ask.login(site, client, "imap", "serve")
    ask.permitted(site, client, "postfix-policy")
    reply = site.relay(client, mta)
    assert reply.code in (550, 554), f"{mta} from {client}: {reply}"
    yield time.monotonic() + 0.5
    reply = site.relay(client, mta)
    assert reply.code in (550, 554) and "denied" in reply.text.lower(), f"{mta} from {client}: {reply}"


def static_relay(site, mta, family):
    """The administrator's RELAY needs no login."""
    ask.expect(site, STATIC[family][1], mta, ask.PERMITTED)


def static_file_edited(site):
    """An entry added to the administrator's file reaches the merged map without makemap or reload."""
    path = f"{site.roots.sendmail}/etc/mail/access"
    roots.write_file(path, ACCESS + "198.51.100.68 RELAY\n")
    ask.permitted(site, "198.51.100.68", "sendmail-access")
    roots.write_file(path, ACCESS)
    ask.expect_soon(site, "198.51.100.68", "sendmail-access", ask.REFUSED["sendmail-access"])


def claimed_address(site, addresses, mode, family):
    """A user whose userdb says `ip=` gets no lease for the address he claims, and reads his mail."""
    client, claimed = addresses.new(family), dovecot.CLAIMED_ADDRESS
    ask.login(site, client, "imap", mode, "mallory")
    if mode == "serve":  # there the address is not a userdb field: the true one is reported
        ask.permitted(site, client, "postfix-policy")
    else:  # there it cannot be told which is true: nothing is reported
        ask.refused(site, client, "postfix-policy")
    ask.refused(site, claimed, "postfix-policy")
    output = ask.control(site, "check", claimed, status=1)
    assert "no lease" in output, output


def anonymous(site, addresses, mode):
    """Nobody has logged in."""
    client = addresses.new("IPv4")
    reply = site.anonymous_login(client, mode)
    assert reply.ok, reply.text
    ask.refused(site, client, "postfix-policy")
    assert f"granted {client}" not in site.dracd.log()


def one_helper():
    """One process of the helper in served mode answers all logins by its protocol, while the other cases run."""
    def there():
        found = dovecot.serving_helpers()
        return found if sorted(found.values()) == ["imap", "pop3"] else None
    before = wait.until(there, "one serving helper for each protocol")
    yield time.monotonic() + 2 * LEASE
    now = dovecot.serving_helpers()
    assert now == before, f"at first {before}, now {now}"


def recipe(site, name, text):
    """dracctl prints what this site runs, with its paths."""
    output = ask.control(site, "recipe", name)
    assert recipes.text_of(output) == text, output


def name_of(protocol, mode, mta, family):
    """The name of the case life_of_a_lease."""
    return f"{protocol} login, helper {mode} -> {mta}, {family}"


def compatibility(cases):
    """Which logins led to the right to relay and back, for the README's table."""
    return [{"protocol": protocol, "helper": mode, "mta": mta, "family": family,
             "passed": name_of(protocol, mode, mta, family) in cases.passed}
            for protocol, mode in ask.LOGINS for mta in MTAS for family in ask.FAMILIES]


def main():
    """All cases on one site."""
    cases, addresses = Cases(), ask.Addresses()
    facts.forget("logins", release.chosen().codename)
    site = Site(CONFIGURATION, ACCESS, CLIENT_ACCESS, {"serve": "--wait"},
                more=sites.EXIM + "".join(sites.FORMATS.values()))
    site.start_all()
    # First those that must ask before a moment passes: they would else wait for all the others.
    everything = [(f"a second login renews the lease, {family}", renewal(site, addresses, family))
                  for family in ask.FAMILIES]
    everything += [
        (name_of(protocol, mode, mta, family),
         life_of_a_lease(site, addresses, protocol, mode, mta, family))
        for protocol, mode in ask.LOGINS for mta in MTAS for family in ask.FAMILIES]
    everything.append(("helper serve: one process for each protocol", one_helper()))
    for family in ask.FAMILIES:
        for mta in ("postfix-static", "sendmail-drac-hash", "sendmail-drac-socket", "sendmail-access"):
            everything.append((f"static REJECT wins over a lease, {mta}, {family}",
                               static_reject(site, mta, family)))
    cases.run(everything)
    for family in ask.FAMILIES:
        for mta in ("postfix-static", "sendmail-drac-hash", "sendmail-drac-socket", "sendmail-access"):
            cases.one(f"static RELAY, {mta}, {family}", static_relay, site, mta, family)
        for mta in ("postfix-policy", "postfix-socketmap", "sendmail-drac-socket", "exim-readsocket"):
            cases.one(f"login and revocation within an SMTP session, {mta}, {family}",
                      open_session, site, addresses, mta, family)
        for mta in ("sendmail-drac-hash", "sendmail-access"):
            cases.one(f"revocation within an SMTP session, {mta}, {family}",
                      open_session_revoked, site, addresses, mta, family)
        for mode in ("script", "serve"):
            cases.one(f"userdb field ip is not believed, helper {mode}, {family}",
                      claimed_address, site, addresses, mode, family)
    cases.one("static file edited, sendmail-access", static_file_edited, site)
    for name, text in recipes.tested().items():
        cases.one(f"dracctl recipe {name}", recipe, site, name, text)
    for mode in ("script", "serve"):
        cases.one(f"anonymous login is not reported, helper {mode}", anonymous, site, addresses, mode)
    facts.write("logins", site, compatibility(cases))
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
