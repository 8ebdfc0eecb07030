"""Each format and each question: what the real MTA answers in an SMTP dialogue, and what the format's own tools
find in the file, before a login, after it, when the lease has ended, and after a revocation.

One dracd with all maps at once, one login for all rows of a family; then the same for networks (ipv6_prefix =
64), where the format can express them; and what sessions see that were open before.
"""

import concurrent.futures
import ipaddress
import re
import sys
import time

from tests.interop import ask, facts
from tests.interop.cases import Cases
from tests.site import Site, exim, process, release, wait
from tests.site import postfix as postfix_site
from tests.site import site as sites
from tests.site.stream import Stream

LEASE = 12.0  # seconds; longer than it takes to ask all rows on a slow machine
CONFIGURATION = f"lease_time = {LEASE:g}s\nmax_leases_per_user = 1000\nipv6_prefix = 128\n" + ask.SPECIAL
WORKERS = 6
ROUNDS = 6  # of a revocation within a session of Sendmail, two of them in one second
TRIES = 5

# What is looked up in these is a single address.
NO_NETWORKS = {"sendmail-drac-hash", "sendmail-drac-btree", "exim-relayhosts"}

# Leases that are there all the time, for the tools to find.
LASTING = ["203.0.113.200", "203.0.113.255", "198.51.100.0", "2001:db8:1:200::", "2001:db8:1:2::5:0",
           "2001:db8:1:1:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", "2001:db8:1:3:0:4:0:5"]

MAPS = "/var/lib/dracd/maps"
_MAKEMAP = ["/usr/sbin/makemap", "-C", "/dev/null", "-u"]
# How each file is listed: in which root, and by what; None is the text itself.
TOOLS = {
    "postfix-hash": ("mail", ["/usr/sbin/postmap", "-s", f"hash:{MAPS}/postfix"]),
    "postfix-btree": ("mail", ["/usr/sbin/postmap", "-s", f"btree:{MAPS}/postfix-btree"]),
    "postfix-lmdb": ("mail", ["/usr/sbin/postmap", "-s", f"lmdb:{MAPS}/postfix"]),
    "postfix-cdb": ("exim", ["/usr/bin/cdb", "-d", "-m", f"{MAPS}/postfix.cdb"]),
    "sendmail-drac-hash": ("sendmail", [*_MAKEMAP, "hash", f"{MAPS}/drac"]),
    "sendmail-drac-btree": ("sendmail", [*_MAKEMAP, "btree", f"{MAPS}/drac-btree"]),
    "sendmail-access": ("sendmail", [*_MAKEMAP, "hash", f"{MAPS}/access"]),
    "sendmail-sequence": ("sendmail", [*_MAKEMAP, "hash", f"{MAPS}/leases"]),
    "exim-dbm": ("exim", ["/usr/bin/db5.3_dump", "-p", f"{MAPS}/exim-dbm.db"]),
    "exim-dbmnz": ("exim", ["/usr/bin/db5.3_dump", "-p", f"{MAPS}/exim-dbmnz.db"]),
    "exim-cdb": ("exim", ["/usr/bin/cdb", "-d", "-m", f"{MAPS}/exim.cdb"]),
    "exim-iplsearch": (f"{MAPS}/relayhosts", None),
    "exim-lsearch": (f"{MAPS}/exim", None),
    "exim-relayhosts": (f"{MAPS}/addresses", None),
}
# How one key is asked for with the format's own tool: Postfix's and cdb's can.
QUERIES = {
    **{f"postfix-{name}": ("mail", ["/usr/sbin/postmap", "-q", "@KEY@", f"{name}:{MAPS}/postfix{suffix}"])
       for name, suffix in (("hash", ""), ("btree", "-btree"), ("lmdb", ""), ("cdb", ""))},
    "postfix-socketmap": ("mail", ["/usr/sbin/postmap", "-q", "@KEY@",
                                   "socketmap:unix:/var/spool/postfix/dracd/socketmap:drac"]),
}

# What a session sees that was open before: of a login (it had asked already, and was refused), and of a
# revocation (it had been permitted).
LIVE = ("postfix-policy", "postfix-socketmap", "postfix-lmdb", "sendmail-drac-socket", "exim-readsocket",
        "sendmail-drac-hash", "sendmail-drac-btree", "sendmail-access", "sendmail-sequence")


def network_of(key):
    """The address or network that a key of any format stands for."""
    text = key.strip().strip('"').lower().removeprefix("connect:").removeprefix("ipv6:")
    if re.fullmatch(r"([0-9a-f]{4}\.){7}[0-9a-f]{4}(/64)?", text):
        text = text.replace(".", ":")
    try:
        return ipaddress.ip_network(text)
    except ValueError:  # a network as Postfix and Sendmail write it: by its first four groups
        groups = text.rstrip(":").split(":")
        return ipaddress.ip_network(":".join(groups + ["0"] * (8 - len(groups))) + "/64")


def keys_of(site, mta):
    """All keys of a file, as its own tool lists them."""
    where, command = TOOLS[mta]
    if command is None:
        text = process.read_log(site.roots.dracd + where)
        return [line if line.startswith('"') else re.split(r":? ", line)[0].rstrip(":")
                for line in text.splitlines() if line and not line.startswith("#")]
    output = process.must_run(getattr(site.roots, where), command)
    if "db5.3_dump" in command[0]:
        keys = re.findall(r"^ (.*)\n .*\n", output.partition("HEADER=END\n")[2], re.MULTILINE)
        assert all(key.endswith(r"\00") == (mta == "exim-dbm") for key in keys), f"NULs of the keys: {keys}"
        return [key.removesuffix(r"\00") for key in keys]
    return [re.split(r"[\t ]", line)[0].rstrip("\0") for line in output.splitlines() if line]


def same_set(site, mta, wanted):
    """The file has these networks and no others."""
    found = []

    def asked():
        found[:] = map(network_of, keys_of(site, mta))
        return set(found) == wanted

    try:
        wait.until(asked, "keys", 5, pause=0.05)
    except wait.Late:
        missing, more = wanted - set(found), set(found) - wanted
        raise AssertionError(f"{mta}: missing {list(map(str, missing))}, more {list(map(str, more))}") from None


def queried(site, mta, key, there):
    """What the tool says of one key."""
    where, command = QUERIES[mta]
    status, output = process.run(getattr(site.roots, where), [word.replace("@KEY@", key) for word in command])
    output = postfix_site.without_notices(output)
    assert (status, output) == ((0, "OK\n") if there else (1, "")), f"{mta}: {key}: {status} {output}"


class Rows:
    """The rows of a family, with the addresses of one who logs in and one who does not: each is tried until it has
    failed."""

    def __init__(self, site, family, mtas, client, neighbour):
        # pylint: disable=too-many-arguments,too-many-positional-arguments
        self._site = site
        self.family = family
        self.client, self.neighbour = client, neighbour
        self.failures = dict.fromkeys(mtas)

    def all(self, check, *arguments):
        """check(site, mta, ...) for each row that has not failed."""
        def tried(mta):
            try:
                check(self._site, mta, *arguments)
            except Exception as error:  # pylint: disable=broad-except  # every error is the row's result
                self.failures[mta] = error

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(tried, [mta for mta, failure in self.failures.items() if not failure]))

    def tell(self, cases):
        """One case for each."""
        def outcome(failure):
            if failure:
                raise failure

        for mta, failure in self.failures.items():
            cases.one(f"admitted and refused in time, {mta}, {self.family}", outcome, failure)


def refused(site, mta, client):
    """May not relay, now."""
    ask.refused(site, client, mta)


def refused_soon(site, mta, client):
    """May not relay, as soon as the map is published."""
    ask.expect_soon(site, client, mta, ask.REFUSED[mta])


def permitted(site, mta, client):
    """May relay."""
    ask.permitted(site, client, mta)


def listed(site, mta, wanted, client):
    """The tools find what the table has."""
    if mta in TOOLS:
        same_set(site, mta, wanted)
    networks_only = mta in TOOLS and any(network.prefixlen == 64 for network in wanted)
    if mta in QUERIES and not networks_only:
        address = ipaddress.ip_address(client)
        queried(site, mta, client, any(address in network for network in wanted))


def network_around(address, prefix):
    """What a login from an address gets a lease for."""
    return ipaddress.ip_network(f"{address}/{prefix if ':' in address else 32}", strict=False)


def end_of(site, client):
    """When the lease ends, in seconds."""
    return int(site.dracd.ask(f"check address={client}")["until_ms"]) / 1000


def live(site, families, prefix):
    """Login, relay, end, login, revocation, for all rows at once."""
    lasting = {network_around(address, prefix) for address in LASTING}
    own = {rows: network_around(rows.client, prefix) for rows in families}
    assert lasting.isdisjoint(own.values())
    for rows in families:
        rows.all(refused, rows.client)
    for rows in families:
        ask.login(site, rows.client, "imap", "serve")
    ends = [end_of(site, rows.client) for rows in families]
    for rows in families:
        rows.all(permitted, rows.client)
        rows.all(permitted, str(own[rows][-2 if prefix == 64 else 0]))  # another address of the same network
        rows.all(refused, rows.neighbour)
        rows.all(listed, lasting.union(own.values()), rows.client)
    print(f"# all rows were asked {min(ends) - time.time():.1f} s before the leases ended", flush=True)
    assert time.time() < min(ends), "the machine is too slow for this test"
    wait.until(lambda: time.time() > max(ends), "the end of the leases", LEASE + 5)
    for rows in families:
        rows.all(refused_soon, rows.client)
        rows.all(listed, lasting, rows.client)
    for rows in families:
        ask.login(site, rows.client, "imap", "serve")
        rows.all(permitted, rows.client)
        ask.control(site, "revoke", rows.client, "--hold", "1h")
        rows.all(refused, rows.client)
        rows.all(refused, str(own[rows][-2 if prefix == 64 else 0]))
        rows.all(listed, lasting, rows.client)
        ask.control(site, "unblock", rows.client)  # no network has a lease in which an address is blocked


def fill(site):
    """The leases that are there all the time, and no others."""
    ask.control(site, "flush", "--yes")
    with Stream(f"{site.roots.dracd}/run/dracd", "report") as report:
        answers = report.ask_all([f"login address={address} ttl_ms=3600000 wait_ms=3000" for address in LASTING])
    assert all(answer.startswith("OK granted") for answer in answers), answers


def refuses_networks(site, mta, configuration):
    """dracd -t says that this map cannot express ipv6_prefix = 64, and what can."""
    site.dracd.configure(configuration)
    status, output = site.dracd.check_configuration()
    assert status != 0 and "ipv6_prefix" in output, f"{mta}: status {status}: {output}"


def map_line(mta):
    """The line of drac.conf for a row; none for a lookup."""
    usual = {"postfix-hash": "map postfix ", "sendmail-drac-hash": "map sendmail ", "sendmail-access": "map access ",
             "exim-iplsearch": "map exim "}
    if mta in sites.FORMATS:
        return sites.FORMATS[mta]
    return "".join(line + "\n" for line in (sites.LOOKUPS_AND_MAPS + sites.EXIM).splitlines()
                   if mta in usual and line.startswith(usual[mta]))


def lookups():
    """The lookups among the lines of drac.conf."""
    return "".join(line + "\n" for line in (sites.LOOKUPS_AND_MAPS + sites.EXIM).splitlines()
                   if line.startswith("lookup "))


def networks(site, cases, mtas):
    """The same with ipv6_prefix = 64, for those that can: a network whose fourth group is zero."""
    configuration = CONFIGURATION.replace("ipv6_prefix = 128", "ipv6_prefix = 64") + lookups()
    for mta in sorted(NO_NETWORKS.intersection(mtas)):
        cases.one(f"dracd -t: no networks in a map for {mta}", refuses_networks, site, mta,
                  configuration + map_line(mta))
    rows = Rows(site, "/64", [mta for mta in mtas if mta not in NO_NETWORKS],
                "2001:db8:1:0:1:2:3:4", "2001:db8:1:64::1")
    site.dracd.stop()
    site.dracd.configure(configuration + "".join(map(map_line, rows.failures)))
    site.dracd.start()
    fill(site)
    cases.one("all rows, /64", live, site, [rows], 64)
    rows.tell(cases)
    return rows


def sees(mta, before, replies, good):
    """The replies within a session: what it was told first, and after the change."""
    first, changed = good
    assert (before.code, before.enhanced) == first, f"{mta}, before: {before}"
    assert (replies.code, replies.enhanced) == changed, f"{mta}, after the change: {replies}"


def open_sessions(site, cases, mtas, client):
    """A session begun before a login, and one begun before a revocation."""
    def rcpt(sessions):
        return {mta: session.rcpt(sites.OUTSIDE) for mta, session in sessions.items()}

    waiting = {mta: site.session(client, mta) for mta in mtas}
    before = rcpt(waiting)
    ask.control(site, "add", client, "--time", "5min")
    for mta in mtas:
        ask.permitted(site, client, mta)
    after = rcpt(waiting)
    trusted = {mta: site.session(client, mta) for mta in mtas}
    begun = rcpt(trusted)
    ask.control(site, "revoke", client)
    for mta in mtas:
        ask.expect_soon(site, client, mta, ask.REFUSED[mta])
    ended = rcpt(trusted)
    for mta in mtas:
        permit, refuse = ask.permit_of(mta), ask.REFUSED[mta]
        told = "sees" if mta in LIVE else "does not see"
        cases.one(f"an open session {told} a login, {mta}", sees, mta, before[mta], after[mta],
                  (refuse, permit if mta in LIVE else refuse))
        cases.one(f"an open session {told} a revocation, {mta}", sees, mta, begun[mta], ended[mta],
                  (permit, refuse if mta in LIVE else permit))


def revoked_in_session(site, mta, addresses):
    """Sendmail notices a new file by whole seconds: a session begun in the second in which its file was written sees
    a revocation of that second too, however often."""
    for _ in range(TRIES):
        moments = [a_revocation_in_session(site, mta, addresses.new("IPv6")) for _ in range(ROUNDS)]
        if len(set(moments)) < ROUNDS:
            return
    raise AssertionError("the machine is too slow for two rounds in a second")


def a_revocation_in_session(site, mta, client):
    """One round; returns the second in which it was over."""
    ask.control(site, "add", client, "--time", "5min")
    ask.permitted(site, client, mta)
    with site.session(client, mta) as session:
        before = session.rcpt(sites.OUTSIDE)
        assert (before.code, before.enhanced) == ask.PERMITTED, f"before: {before}"
        ask.control(site, "revoke", client, "--hold", "0s")
        after = session.rcpt(sites.OUTSIDE)
        assert (after.code, after.enhanced) == ask.REFUSED[mta], f"after the revocation: {after}"
    return int(time.time())


def readable(site):
    """The rows that the servers of this release can have, and for the others why not."""
    types = site.postfix.types()
    missing = {}
    for mta in sites.FORMAT_PORTS:
        name = mta.removeprefix("postfix-")
        if mta.startswith("postfix-") and mta in TOOLS and name not in types:
            missing[mta] = "no Berkeley DB" if name in ("hash", "btree") else f"no {name}"
        if mta.startswith("exim-dbm") and not exim.has_berkeley_db(site.roots):
            missing[mta] = "no Berkeley DB"
        if "nobdb" in site.release.programs and any(f"type = {kind} " in map_line(mta) for kind in ("hash", "btree")):
            missing[mta] = "no Berkeley DB in dracd"
    return [mta for mta in sites.FORMAT_PORTS if mta not in missing], missing


def main():
    """All rows on one site."""
    cases, addresses = Cases(), ask.Addresses()
    facts.forget("formats", release.chosen().codename)
    site = Site(CONFIGURATION, helper_options={"serve": "--wait"})
    mtas, missing = readable(site)
    site.dracd.configure(CONFIGURATION + lookups() + "".join(map(map_line, mtas)))
    site.dracd.start()
    site.start(*(dovecot for dovecot in site.dovecots if dovecot.mode == "serve"), site.postfix, site.exim,
               *(server for server in site.sendmails + site.more_sendmails if server.name in mtas))
    fill(site)
    tried = [Rows(site, family, mtas, addresses.new(family), addresses.new(family)) for family in ask.FAMILIES]
    cases.one("all rows, IPv4 and IPv6", live, site, tried, 128)
    for rows in tried:
        rows.tell(cases)
    cases.one("open sessions, all rows", open_sessions, site, cases,
              [mta for mta in mtas if not tried[0].failures[mta]], addresses.new("IPv4"))
    for mta in mtas:
        if mta.startswith("sendmail-") and mta in TOOLS:
            cases.one(f"revocations within sessions, {ROUNDS} in a row, {mta}", revoked_in_session, site, mta, addresses)
    tried.append(networks(site, cases, mtas))
    for mta, reason in missing.items():
        cases.skip(f"formats, {mta}: {reason} on {site.release.title()}")
    facts.write("formats", site, [
        {"mta": mta, "missing": missing.get(mta),
         "addresses": [rows.family for rows in tried if mta in rows.failures and not rows.failures[mta]]}
        for mta in sites.FORMAT_PORTS])
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
