"""DRAC's protocol before real Sendmail and real Postfix, which are configured for DRAC: what is reported by RPC and
by libdrac may relay until its end, with rpcbind and without it, and over restarts of the gateway."""

import itertools
import re
import sys

from tests.interop import ask
from tests.interop.cases import Cases
from tests.interop.test_from_drac import PORTS, REFUSED, says
from tests.site import Site, old_drac, postfix, rpc, sendmail, wait
from tests.site import site as sites

LEASE = 6
PORT = 20901  # none that a library would guess: who comes without being told it has asked rpcbind
CONFIGURATION = f"lease_time = {LEASE}s\nrpc {{ port = {PORT} }}\n" + ask.SPECIAL
RESTARTS = 20
ADDED = "0 Server reports add succeeded"


class Reports:
    """The reporters, and what the two MTAs make of what they tell."""

    def __init__(self, site, cases):
        self._site, self._cases = site, cases
        self._numbers = itertools.count(20)
        self.gateway, self.rpcbind = rpc.Gateway(site.roots), rpc.Rpcbind(site.roots)
        self.wire = rpc.WireClient(PORT)

    def _fresh(self, family):
        number = next(self._numbers)
        return f"203.0.113.{number}" if family == "IPv4" else f"2001:db8:1:2::{number:x}"

    def both(self, name, client, permitted):
        """One case for each MTA."""
        for mta in PORTS:
            self._cases.one(f"{name}: {mta}", says, self._site, mta, client,
                            ask.PERMITTED if permitted else REFUSED[mta])

    def lease(self, name, report):
        """Before, after, and over; `report` tells of an address."""
        clients = {family: self._fresh(family) for family in ("IPv4", "IPv6")}
        for family, client in clients.items():
            self.both(f"{name}, {family}, before", client, False)
            self._cases.one(f"{name}, {family}, reported", report, client)
            self.both(f"{name}, {family}, reported", client, True)
        for family, client in clients.items():
            self._cases.one(f"{name}, {family}, ended", self._site.dracd.logged, f"ended {re.escape(client)} ")
            self.both(f"{name}, {family}, over", client, False)

    def by_wire(self, client):
        """Program 900101 by UDP."""
        status = self.wire.report(client)
        assert status == 0, f"status {status}"

    def by_library(self, **settings):
        """libdrac, one call a program."""
        def report(client):
            old = rpc.OldClient(self._site.roots, **settings)
            told = old.call(f"auth{'6' if ':' in client else ''} localhost {client}")
            old.close()
            assert told == ADDED, told
        return report

    def is_registered(self):
        """As rpc.dracd was, but with a port that stays."""
        everything = sorted((version, protocol, str(PORT)) for version in "12" for protocol in ("tcp", "udp"))
        wait.until(lambda: self.rpcbind.knows() == everything, "rpcbind to know the gateway")

    def unknown(self):
        """Without rpcbind, at a port that is not the usual one."""
        old = rpc.OldClient(self._site.roots, report_socket="")
        told = old.call(f"auth localhost {self._fresh('IPv4')}")
        old.close()
        assert told == "-1 localhost: rpcbind: nobody listens there; port 10901: nobody listens there", told

    def restarts(self):
        """Clients that were there before each restart: the port is the same, and they are served."""
        old = rpc.OldClient(self._site.roots, report_socket="")
        told = old.call("conn localhost")
        assert told == "0 Connect succeeded", told
        for number in range(RESTARTS):
            if number % 2:
                self.gateway.kill()
            else:
                self.gateway.stop()
            self.gateway.start()
            status = self.wire.report(self._fresh("IPv4"))
            assert status == 0, f"restart {number}: status {status}"
            told = old.call(f"send {self._fresh('IPv4')}")
            assert told == ADDED, f"restart {number}: {told}"
        old.close()

    def takes_back(self):
        """Stopped at any moment, it leaves no entry."""
        for number in range(RESTARTS):
            if number % 2:
                self.gateway.stop()
            else:
                self.gateway.stop_all()
            assert self.rpcbind.knows() == [], f"stop {number}"
            self.gateway.start()
        self.is_registered()

    def foreign(self):
        """rpc.dracd leaves its entries behind, which only root may delete: that is told, and how."""
        self.gateway.stop()
        self.rpcbind.left_by_root(794)
        self.gateway.start()
        wait.until(lambda: "rpcbind does not register this gateway" in self.gateway.log(), "the gateway to tell it")
        assert '"rpcinfo -d 900101 1"' in self.gateway.log(), self.gateway.log()
        assert ("1", "udp", "794") in self.rpcbind.knows(), self.rpcbind.knows()
        self.rpcbind.forget()
        self.gateway.stop()
        self.gateway.start()
        self.is_registered()

    def moved(self):
        """To another port, which rpcbind tells: a connection of libdrac's follows. It was killed, so that its entry is
        still there."""
        old = rpc.OldClient(self._site.roots, report_socket="")
        assert old.call("conn localhost") == "0 Connect succeeded"
        self.gateway.kill()
        self._site.dracd.configure(self._site.configuration.replace(f"port = {PORT}", f"port = {PORT + 1}"))
        self.gateway.start()
        wait.until(lambda: ("1", "udp", str(PORT + 1)) in self.rpcbind.knows(), "rpcbind to know the other port")
        told = old.call(f"send {self._fresh('IPv4')}")
        old.close()
        assert told == ADDED, told


def main():
    """One site, without Dovecot."""
    cases, site = Cases(), Site(CONFIGURATION, more=old_drac.MAP)
    site.postfix = postfix.Postfix(site.roots, more={"old": (old_drac.POSTFIX_PORT, old_drac.ASK)})
    old = sendmail.Sendmail(site.roots, "old", old_drac.RULES, old_drac.SENDMAIL_PORT)
    if "btree" not in site.postfix.types():
        cases.skip("DRAC's protocol before a map for DRAC: this Postfix has no btree")
        return 0
    site.dracd.start()
    old_drac.put_database(site.roots, {})
    old_drac.put_link(site.roots)
    site.start(site.postfix, old)
    reports = Reports(site, cases)
    reports.gateway.start()
    reports.lease("RPC, without rpcbind", reports.by_wire)
    reports.lease("libdrac, by the report socket", reports.by_library())
    cases.one("libdrac, without rpcbind", reports.unknown)
    reports.lease("libdrac, without rpcbind, told the port", reports.by_library(report_socket="", port=PORT))
    reports.rpcbind.start()
    reports.gateway.stop()
    reports.gateway.start()
    cases.one("rpcbind knows the gateway", reports.is_registered)
    reports.lease("RPC, with rpcbind", reports.by_wire)
    reports.lease("libdrac, with rpcbind", reports.by_library(report_socket=""))
    cases.one(f"{RESTARTS} restarts of the gateway, one port", reports.restarts)
    cases.one(f"{RESTARTS} stops of the gateway, no entry", reports.takes_back)
    cases.one("the entries of rpc.dracd are in the way", reports.foreign)
    cases.one("the gateway moves to another port", reports.moved)
    reports.rpcbind.stop()
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
