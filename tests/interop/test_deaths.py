"""kill -9 of dracd, of its guardian, of dracd-withdraw and of drac-rpcd at random moments, while Postfix and Sendmail are up and are
asked throughout.

As in test_kill the reporters know what must be true of each address; one reports by DRAC's protocol. Other addresses are those of
customers, from which the MTAs are asked in new sessions all the time: none of them may ever relay after its end, dracd dead or alive.

    KILLS=10000 SEED=7 ...       so many deaths; the choices of another run
"""

import os
import random
import sys
import threading
import time

from tests.interop.cases import Cases
from tests.interop.test_kill import (CONFIGURATION, MAPS, STATIC, Findings, Known, Reporter, boot_ms, compare, look_at_files,
                                     look_at_remains, map_rows)
from tests.site import Site, process, rpc
from tests.site import site as sites
from tests.site.stream import words_of

KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("SEED", "") or random.SystemRandom().randrange(1 << 32))
REPORTERS, CUSTOMERS, CALLED = 16, 12, 12
LOAD_SECONDS = 0.12    # at most, before a death
SPECIAL = CONFIGURATION.replace('"10.0.0.0/8"', '"10.0.0.0/8", "203.0.113.0/24"')
LEASE_MS = 3600000
CALL_SECONDS = 0.1
PROGRESS = 250  # deaths
# How long an MTA may find what is over, with dracd alive: the end_interval of its map, and a session's time.
SLACK_MS = {"postfix-policy": 100, "postfix-socketmap": 100, "sendmail-drac-socket": 100}
FILE_SLACK_MS = 2500
MTAS = ("postfix-policy", "postfix-socketmap", "postfix-hash", "sendmail-drac-hash", "sendmail-access")
WITHDRAW = "/build/dracd/dracd-withdraw"


class Customer(Reporter):
    """Reports its addresses, from which the MTAs are asked meanwhile: what may be is known before it is."""

    def __init__(self, number, site, findings):
        super().__init__(number, site, findings)
        self.known = {f"203.0.113.{n + 1}": Known() for n in range(CUSTOMERS)}

    def _login(self, address, report, choices):
        known = self.known[address]
        ttl = choices.randint(200, 4000)
        known.may = max(known.may, boot_ms() + ttl + 1000)  # when it is stored, at most a second from now
        answer = report.ask(f"login address={address} ttl_ms={ttl}")
        if answer.startswith("OK "):
            known.must = known.may = int(words_of(answer)["boot_ms"])
            known.may += 1
            self._findings.count("logins")


class Caller:
    """Reports by DRAC's protocol, as long as the gateway answers."""

    def __init__(self, findings):
        self._findings = findings
        self.may_call = threading.Lock()  # not while lookups and maps are compared with what is known
        self.known = {f"10.8.0.{n + 1}": Known() for n in range(CALLED)}

    def work(self, choices, over):
        """Goes on until told that it is over."""
        client = rpc.WireClient(rpc.DEFAULT_PORT, limit=CALL_SECONDS)
        while not over.is_set():
            try:
                with self.may_call:
                    self._call(client, choices.choice(list(self.known)))
            except (AssertionError, OSError):
                client.close()  # what comes late is for another
                client = rpc.WireClient(rpc.DEFAULT_PORT, limit=CALL_SECONDS)
        client.close()

    def _call(self, client, address):
        known, asked = self.known[address], boot_ms()
        known.may = float("inf")  # nobody ends it
        if client.report(address) == 0:
            known.must = asked + LEASE_MS
            self._findings.count("calls")


class Asker(threading.Thread):
    """Asks an MTA for one customer after the other."""

    def __init__(self, site, mta, customer, findings, over):
        super().__init__(daemon=True)
        self._site, self._mta, self._known, self._findings, self._over = site, mta, customer.known, findings, over
        self._choices = random.Random(f"{SEED} {mta}")
        self.permitted = self.refused = 0

    def name_of(self):
        """Whom it asks."""
        return self._mta

    def run(self):
        while not self._over.is_set():
            address = self._choices.choice(list(self._known))
            known, asked = self._known[address], boot_ms()
            may = known.may
            try:
                reply = self._site.relay(address, self._mta)
            except OSError:
                continue
            may = max(may, known.may) + SLACK_MS.get(self._mta, FILE_SLACK_MS)
            if reply.code != 250:
                self.refused += 1
                continue
            self.permitted += 1
            if asked > may:
                self._findings.add("nothing ended is admitted", f"{self._mta}, {address}: {asked - may:.0f} ms too late")


class Deaths:
    """One kind after the other, as chance has it."""

    def __init__(self, site, gateway, findings, choices):
        self._site, self._gateway, self._findings, self._choices = site, gateway, findings, choices

    def _pause(self, most):
        time.sleep(self._choices.uniform(0, most))  # the random moment

    def dracd(self):
        """Its guardian does the rest."""
        self._site.dracd.kill()

    def both(self):
        """At once."""
        self._site.dracd.kill_with_guardian()
        self._withdraw()

    def guardian(self):
        """While it withdraws."""
        guardian = self._site.dracd.guardian()
        self._site.dracd.kill()
        self._pause(0.03)
        if os.path.exists(f"/proc/{guardian}"):
            try:
                os.kill(guardian, 9)
            except ProcessLookupError:
                pass
        self._withdraw()

    def gateway(self):
        """And dracd too, or not."""
        self._gateway.kill()
        self._findings.count("drac-rpcd killed")
        if self._choices.random() < 0.5:
            self._site.dracd.kill()
        self._gateway.start()

    def _withdraw(self):
        """The service manager's, which is killed itself."""
        for _ in range(self._choices.randint(0, 2)):
            running = process.Process("dracd-withdraw", self._site.roots.dracd, [WITHDRAW, "-f"],
                                      f"{self._site.roots.logs}/withdraw.log", user="dracd")
            self._pause(0.04)
            running.stop(9)
            self._findings.count("dracd-withdraw killed")
        if self._choices.random() < 0.7:
            status, output = self._site.dracd.withdraw()
            if status != 0:
                self._findings.add("a dead dracd leaves withdrawn maps", output)
            look_at_remains(self._site, self._findings)

    def one(self):
        """The next."""
        death = self._choices.choices((self.dracd, self.both, self.guardian, self.gateway), (4, 2, 2, 2))[0]
        death()
        self._findings.count(f"deaths: {death.__name__}")


def one_life(site, deaths, workers, choices):
    """Load, a death, and dracd again."""
    threads = [threading.Thread(target=worker.work, args=(random.Random(choices.random()),)) for worker in workers]
    for thread in threads:
        thread.start()
    time.sleep(choices.uniform(0, LOAD_SECONDS))  # the random moment
    deaths.one()
    if site.dracd.ended() is None:  # it was drac-rpcd's
        site.dracd.kill()
    for thread in threads:
        thread.join()


def lives(site, gateway, findings, choices):
    """All of them; returns the askers."""
    workers = [Reporter(number, site, findings) for number in range(REPORTERS)]
    customer, caller = Customer(REPORTERS, site, findings), Caller(findings)
    workers.append(customer)
    over, deaths = threading.Event(), Deaths(site, gateway, findings, choices)
    askers = [Asker(site, mta, customer, findings, over) for mta in MTAS]
    calls = threading.Thread(target=caller.work, args=(random.Random(SEED), over))
    for thread in [*askers, calls]:
        thread.start()
    try:
        for number in range(1, KILLS + 1):
            one_life(site, deaths, workers, choices)
            with caller.may_call:
                started = boot_ms()
                site.dracd.start()
                compare(site, [*workers, caller], findings, started)
            look_at_files(site, findings, "started again", {"report", "control", "policy", "socketmap"})
            if number % PROGRESS == 0:
                print(f"# {number} of {KILLS}, {sum(map(len, findings.by_kind.values()))} findings", flush=True)
    finally:
        over.set()
        for thread in [*askers, calls]:
            thread.join()
    return askers


def nothing(found):
    """The list of what went wrong is empty."""
    assert not found, f"{len(found)} times not; seed {SEED}; first: {found[0]}"


def main():
    """All deaths on one site."""
    print(f"# seed {SEED}", flush=True)
    cases, findings, choices = Cases(), Findings(), random.Random(SEED)
    site = Site(SPECIAL, "Connect:192.0.2.66 REJECT\n")
    gateway = rpc.Gateway(site.roots)
    site.dracd.start()
    site.start(site.postfix, *site.sendmails)
    gateway.start()
    begun = time.monotonic()
    askers = lives(site, gateway, findings, choices)
    gateway.stop()
    site.dracd.control("flush", "--yes")
    site.dracd.stop()
    look_at_files(site, findings, "stopped", set())
    for name in MAPS:
        if map_rows(site, name) != (STATIC if name == "access" else {}):
            findings.add("a dead dracd leaves withdrawn maps", f"{name}, at the end")
    print(f"# {KILLS} deaths in {time.monotonic() - begun:.0f} s; "
          + ", ".join(f"{what} {number}" for what, number in findings.counts.items()), flush=True)
    for asker in askers:
        print(f"# {asker.name_of()}: permitted {asker.permitted}, refused {asker.refused}", flush=True)
        if not asker.permitted or not asker.refused:
            findings.add("a question has its answer", f"{asker.name_of()} has not done both")
    for kind, found in findings.by_kind.items():
        cases.one(f"{KILLS} deaths: {kind}", nothing, found)
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
