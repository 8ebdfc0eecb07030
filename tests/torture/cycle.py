"""One cycle of dracd, step by step, each awaiting the one before: login, commit, publish, renew, expire,
publish, revoke, stop; and what is known afterwards of each address.
"""

import dataclasses
import ipaddress
import os
import socket
import time

from tests.scenario.dracd_box import Stream, fields
from tests.torture import site as sites

LONG_MS = 12 * 3600 * 1000
SHORT_MS = 1000        # dracd's minimum
WAIT_MS = 5000
SETTLED = 10           # seconds, by which a fault that went by is forgotten

# name: address. The first three are in the template: what an earlier life has left behind.
ADDRESSES = {
    "old": "203.0.113.1",
    "past": "203.0.113.2",       # expired while dracd was dead
    "gone": "203.0.113.3",       # revoked
    "short": "203.0.113.4",      # expires in the cycle
    "long": "203.0.113.5",
    "revoked": "203.0.113.6",
    "network": "2001:db8:5::6",
    "fresh": "203.0.113.8",
    "never": "203.0.113.9",
}


def boot_ms():
    """Now, on the clock of the deadlines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def is_listening(path):
    """Not only a name."""
    try:
        Stream(path).close()
        return True
    except OSError:
        return False


class Hang(Exception):
    """Something has taken too long."""


@dataclasses.dataclass
class Known:
    """Of one address: a lease must be there until `must`, and may be until `may`."""
    must: float = 0.0
    may: float = 0.0
    is_revoked: bool = False

    def judge(self, admitted, asked, answered):
        """What is wrong with an answer to a question asked and answered at these times."""
        if not admitted and self.must > answered:
            return f"not admitted, {self.must - answered:.0f} ms before its end"
        if admitted and self.may < asked:
            return f"admitted, {asked - self.may:.0f} ms after its end" if self.may else "admitted, and must not be"
        return None


class Client:
    """One socket of dracd's; connects again when it was closed."""

    def __init__(self, site, name):
        self._site = site
        self._name = name
        self._stream = None

    def ask(self, text, end=b"\n"):
        """The answer; None if the connection was refused or closed twice instead."""
        for _ in range(2):
            try:
                if not self._stream:
                    self._stream = Stream(self._site.path(self._name))
                    self._stream.socket.settimeout(sites.PATIENCE)
                self._stream.send(text)
                answer = self._stream.until(end)
            except (TimeoutError, socket.timeout):
                self.close()
                raise Hang(f"{self._name}: no answer to {text.split(chr(10), maxsplit=1)[0]!r}") from None
            except OSError:
                answer = ""
            if answer:
                return answer
            self.close()
            if self._site.has_ended():
                break
        return None

    def close(self):
        """The next question opens it again."""
        if self._stream:
            self._stream.close()
            self._stream = None


class World:
    """What is known of all addresses, and the clients that learn it."""

    def __init__(self, site, known=None, maps_fail=False, stuck=None):
        self.site = site
        self.maps_fail = maps_fail   # nobody has to be in them
        self.stuck = stuck           # the map that cannot be replaced
        self.is_stuck = False        # it was seen to be wrong
        self._answered = 0.0         # when the latest login was
        self.known = known or {address: Known() for address in ADDRESSES.values()}
        self.findings = []
        self._clients = {name: Client(site, name) for name in ("report", "control", "policy", "socketmap")}

    def close(self):
        """All connections."""
        for client in self._clients.values():
            client.close()

    def find(self, what):
        """Note what was wrong."""
        self.findings.append(what)

    # ---- what is done

    def login(self, name, ttl=LONG_MS, wait=WAIT_MS):
        """Logs in; True if it is published."""
        address = ADDRESSES[name]
        known = self.known[address]
        words = f" wait_ms={wait}" if wait else ""
        answer = self._clients["report"].ask(f"login address={address} user={name}@x.net ttl_ms={ttl}{words}\n")
        self._answered = boot_ms()
        if not answer:
            known.may = max(known.may, boot_ms() + ttl)  # it may have been stored all the same
        elif answer.startswith("OK "):
            known.must = int(fields(answer)["boot_ms"])
            known.may = known.must + 1  # it was rounded down
        elif answer.startswith(("ERR reason=temporary", "ERR reason=busy")):
            known.may = max(known.may, boot_ms() + ttl)
        else:
            self.find(f"login of {name}: {answer}")
        return bool(answer) and "published=yes" in answer

    def revoke(self, name):
        """Revokes, for longer than all of this takes; True if that was answered."""
        address = ADDRESSES[name]
        known = self.known[address]
        known.must = 0
        answer = self._clients["control"].ask(f"revoke address={address} hold_ms={LONG_MS}\n")
        if answer and answer.startswith("OK revoked "):
            known.may = 0
            known.is_revoked = True
            return True
        if answer and not answer.startswith(("ERR reason=temporary", "ERR reason=busy")):
            self.find(f"revoke of {name}: {answer}")
        return False

    def is_held(self, name):
        """After a revocation: a login is refused."""
        address = ADDRESSES[name]
        answer = self._clients["report"].ask(f"login address={address}\n")
        if answer is None or not answer.startswith("NO reason=revoked "):
            self.find(f"{name} was revoked, and logs in again: {answer}")

    # ---- what is asked

    def ask(self, *names):
        """All lookups that keep a connection, about these."""
        for name in names:
            address = ADDRESSES[name]
            query = f"drac {address}"
            self._ask_one("policy", address, f"request=smtpd_access_policy\nclient_address={address}\n\n", b"\n\n",
                          {"action=OK": True, "action=DUNNO": False})
            self._ask_one("socketmap", address, f"{len(query)}:{query},", b",",
                          {"5:OK OK": True, "9:NOTFOUND ": False})

    def _ask_one(self, lookup, address, text, end, answers):
        asked = boot_ms()
        answer = self._clients[lookup].ask(text, end)
        if answer is None:
            return
        if answer not in answers:
            # refused for now, which is an answer
            if "TEMP" not in answer and "action=DEFER" not in answer:
                self.find(f"{lookup}: {address}: {answer!r}")
            return
        problem = self.known[address].judge(answers[answer], asked, boot_ms())
        if problem:
            self.find(f"{lookup}: {address} {problem}")

    def plain(self, name):
        """The lookup that is asked once per connection."""
        address = ADDRESSES[name]
        asked = boot_ms()
        client = Client(self.site, "plain")
        answer = client.ask(f"drac {address}\n")
        client.close()
        if answer not in ("yes", "no"):
            return
        problem = self.known[address].judge(answer == "yes", asked, boot_ms())
        if problem:
            self.find(f"plain: {address} {problem}")

    # ---- maps

    def read_maps(self, when, since=None):
        """What is wrong with the maps, which show the state of `since` or later."""
        found = []
        for name, (_, _, static) in sites.maps().items():
            asked = boot_ms() if since is None else since
            try:
                rows = self.site.rows(name)
            except (OSError, ValueError) as error:
                found.append(f"{when}: map {name} is torn: {error}")
                continue
            found += self._judge_rows(f"{when}: map {name}", rows, static, asked)
        return found

    def _judge_rows(self, where, rows, static, asked):
        found = [f"{where}: static row {key} is {rows.get(key)}" for key, value in static.items()
                 if rows.get(key) != value]
        leased = {str(ipaddress.ip_address(key.strip('"').removeprefix("connect:").removeprefix("ipv6:")))
                  for key in rows if key not in static}
        found += [f"{where}: {address} in it" for address in leased - set(self.known)]
        read = boot_ms()
        for address, known in self.known.items():
            problem = known.judge(address in leased, asked, read)
            if problem:
                found.append(f"{where}: {address} {problem}")
        return found

    def _wrong_maps(self, when):
        found = [what for what in self.read_maps(when) if not (self.maps_fail and " not admitted, " in what)]
        wrong = [what for what in found if not self.stuck or f" map {self.stuck}: " not in what or " is torn" in what]
        self.is_stuck |= len(wrong) < len(found)
        return wrong

    def await_maps(self, when):
        """Until the maps are as they should be, while dracd lives."""
        until = time.monotonic() + SETTLED
        while True:
            found = self._wrong_maps(when)
            if not found or self.site.has_ended():
                return
            if time.monotonic() > until:
                self.findings += found
                return
            time.sleep(0.02)  # nothing tells of it

    def check_maps(self, when, is_published):
        """Logins at once, if they are said to be published; an end is published when it is."""
        found = self._wrong_maps(when)
        missing = [what for what in found if " admitted, " not in what or " not admitted, " in what]
        if self._answered < self.known[ADDRESSES["short"]].may < boot_ms():  # its end is published since, or cannot be
            self.await_maps(when)
        elif is_published and missing:
            time.sleep(0.1)  # if it is dead its guardian has withdrawn them, perhaps before that was told
            self.findings += [] if self.site.has_ended() else missing
        elif found:
            self.await_maps(when)

    def await_end(self, name):
        """Until the deadline has passed."""
        left = self.known[ADDRESSES[name]].may - boot_ms()
        time.sleep(max(0, min(left, SHORT_MS) + 2) / 1000)

    def await_new_maps(self, before):
        """Until each map has been written since then, or a while has passed: what is next waits for them anyway."""
        until = time.monotonic() + 0.3
        while any(now == then for now, then in zip(self.map_states(), before)) and time.monotonic() < until:
            time.sleep(0.002)

    def map_states(self):
        """What changes with each publication."""
        return [(status.st_ino, status.st_mtime_ns) for status in
                (os.stat(self.site.path(f"maps/{file}")) for _, file, _ in sites.maps().values())]


def full(world):
    """The steps of one cycle."""
    yield world.ask("old", "past", "gone")
    world.login("short", SHORT_MS, wait=0)
    yield world.ask("short")
    is_published = world.login("long")
    yield world.check_maps("after a login", is_published)
    yield world.ask("long", "short")
    world.login("long")  # renews
    world.login("revoked")
    yield world.ask("revoked")
    world.revoke("revoked")
    yield world.ask("revoked", "long")
    world.plain("revoked")
    yield world.login("network", wait=0)
    before = world.map_states()
    world.await_end("short")
    yield world.ask("short", "old")
    yield world.await_new_maps(before)
    is_published = world.login("fresh")
    yield world.check_maps("after an end", is_published)
    yield world.ask("fresh", "network", "never")


def brief(world):
    """A first start: there is no state yet."""
    is_published = world.login("long")
    yield world.check_maps("after a login", is_published)
    yield world.ask("long", "never")


def prepare(world):
    """What an earlier life leaves behind."""
    world.login("old")
    world.login("past", SHORT_MS)
    world.login("gone")
    yield world.revoke("gone")
