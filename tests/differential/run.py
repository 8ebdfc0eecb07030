"""Random tables in the real dracd: every lookup and every map file against the oracle.

    B=build/out python3 -m tests.differential.run TABLES [SEED]

Each table is made by logins and orders of an administrator, then every answer of every socket and every
row of every file is compared with what oracle.py says, and then it is flushed.  Half of the tables are
made with ipv6_prefix = 64.  Prints the seed; a table is replayed by its number and that seed alone.
"""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from dracd_box import Dracd, Stream  # noqa: E402
from tests.differential import mta, tables  # noqa: E402
from tests.differential.oracle import Oracle, overlaps, prefix  # noqa: E402

BASE = """
lease_special = {{{{{special}}}}}
deny = {{{{{denied}}}}}
ipv6_prefix = {ipv6_prefix}
durability = process
max_leases = 10000
max_leases_per_user = 10000
warn_users_per_address = 10000
reporters = {{{{"{{uid}}"}}}}
report_group = ""
state_directory = "{{dir}}/state"
report_socket = "{{dir}}/report"
control_socket = "{{dir}}/control"
lookup policy {{{{ protocol = policy path = "{{dir}}/policy" }}}}
lookup map {{{{ protocol = socketmap path = "{{dir}}/socketmap" }}}}
lookup plain {{{{ protocol = plain path = "{{dir}}/plain" }}}}
"""
STATIC = ("connect:101.0.0\tREJECT\nconnect:10.1.2.3\tREJECT\nconnect:ipv6:2001:db8:1:0\tREJECT\n"
          "connect:203.0.113.5\tRELAY\n")
STATIC_REFUSED = [prefix(text) for text in ("101.0.0.0/24", "10.1.2.3", "2001:db8:1::/64")]
STATIC_LET_IN = prefix("203.0.113.5")
WINDOW = 64  # requests that are not yet answered


def quoted(texts):
    return ", ".join(f'"{text}"' for text in texts)


class Differences(Exception):
    """What differed, in words."""


class Machine:
    """A dracd with every kind of map and lookup, and the oracle that knows what it was told."""

    def __init__(self, ipv6_prefix, kinds):
        self.kinds = {name: kind for name, kind in kinds.items()
                      if ipv6_prefix == 128 or name not in mta.HOSTS_ONLY}
        self.oracle = Oracle(ipv6_prefix, tables.DENIED)
        self.dracd = Dracd()
        os.mkdir(self.dracd.path("maps"), 0o755)
        with open(self.dracd.path("static"), "w", encoding="utf-8") as file:
            file.write(STATIC)
        base = BASE.format(special=quoted(tables.SPECIAL), denied=quoted(tables.DENIED), ipv6_prefix=ipv6_prefix)
        maps = "".join(self.map_section(name) for name in self.kinds)
        self.dracd.write_config(maps.format(dir=self.dracd.directory), base)
        self.dracd.start()
        self.report, self.control = self.dracd.stream("report"), self.dracd.stream("control")
        self.policy, self.socketmap = self.dracd.stream("policy"), self.dracd.stream("socketmap")
        self.questions = self.rows = 0

    def map_section(self, name):
        static = 'static = "{dir}/static"' if name.startswith("access") else ""
        return f'map {name} {{{{ {self.kinds[name].config} path = "{{dir}}/maps/{name}" interval = 0 end_interval = 0 {static} }}}}\n'

    def close(self):
        for stream in (self.report, self.control, self.policy, self.socketmap):
            stream.close()
        self.dracd.remove()

    # ---- what dracd is told ----

    def log_in(self, steps):
        """Many at a time; each answer is as foreseen."""
        for at in range(0, len(steps), WINDOW):
            window = steps[at:at + WINDOW]
            self.report.send("".join(f"login address={address} user={user} service=imap\n"
                                     for _, address, user in window))
            for _, address, user in window:
                answer, foreseen = self.report.line(), self.oracle.login(address, user)
                if answer.startswith("OK ") != foreseen:
                    raise Differences(f"login {address} {user}: {answer}, and the oracle says {foreseen}")

    def order(self, verb, what, more):
        words = {"add": f"add address={what} user={more}",
                 "revoke": f"revoke address={what} hold_ms={3600000 if more is True else 0}",
                 "revoke_user": f"revoke user={what} hold_ms={3600000 if more is True else 0}"}[verb]
        answer = self.control.ask(words)
        if verb == "add":
            foreseen = self.oracle.login(what, more)
        else:
            getattr(self.oracle, verb)(what, more)
            foreseen = True
        if answer.startswith("OK ") != foreseen:
            raise Differences(f"{words}: {answer}, and the oracle says {foreseen}")

    def apply(self, steps):
        logins = []
        for step in steps:
            if step[0] == "login":
                logins.append(step)
                continue
            self.log_in(logins)
            logins = []
            self.order(*step)
        self.log_in(logins)
        self.publish()

    def publish(self):
        """A reload, which changes nothing, is answered when every map is as it should be, or after 5 s."""
        for _ in range(12):
            answer = self.control.ask("reload")
            while answer.split(" ")[0] not in ("OK", "ERR"):
                answer = self.control.line()
            if "maps_late" not in answer or answer.endswith("maps_late=0"):
                break
        if not answer.startswith("OK reloaded"):
            raise Differences(f"reload: {answer}")

    def clear(self):
        for what in sorted(self.oracle.held, key=str):
            self.expect_ok(f"unblock address={what}")
        for user in self.oracle.held_users:
            self.expect_ok(f"unblock user={user}")
        self.expect_ok("flush")
        self.oracle.clear()

    def expect_ok(self, order):
        answer = self.control.ask(order)
        if not answer.startswith("OK"):
            raise Differences(f"{order}: {answer}")

    # ---- what dracd says ----

    def answers(self, host, rnd):
        """Of each protocol, in a spelling of its clients."""
        text = mta.text_of(host)
        self.policy.send(f"request=smtpd_access_policy\nclient_address={text}\n\n")
        key = "drac " + rnd.choice((text, f"ipv6:{mta.groups_of(host)}" if host.version == 6 else text))
        self.socketmap.send(f"{len(key)}:{key},")
        with Stream(self.dracd.path("plain")) as plain:
            plain.send(rnd.choice(("", "drac ")) + tables.spell(rnd, host.network_address) + "\n")
            yield "plain", {"yes\n": True, "no\n": False}.get(plain.until(b"\0"))
        yield "policy", {"action=OK": True, "action=DUNNO": False}.get(self.policy.until(b"\n\n"))
        yield "socketmap", {"5:OK OK": True, "9:NOTFOUND ": False}.get(self.socketmap.until(b","))

    def compare(self, clients, rnd):
        differences = []
        may_relay = self.oracle.admitted()
        for host in clients:
            foreseen = may_relay(host)
            for protocol, answer in self.answers(host, rnd):
                if answer is not foreseen:
                    differences.append(f"{protocol} says {answer} of {host}, and the oracle {foreseen}")
        differences += self.compare_files(clients)
        self.questions += len(clients) * (3 + len(self.kinds))
        if differences:
            raise Differences("; ".join(differences[:8]))

    def foreseen_in_files(self, holds, is_access):
        """drac.conf(5): a lease within or about a network that a static row refuses is not written."""
        leases = {lease for lease in self.oracle.leases if holds(lease)}
        if not is_access:
            return self.oracle.admitted(leases)
        may_relay = self.oracle.admitted({lease for lease in leases if not overlaps(lease, STATIC_REFUSED)})
        return lambda host: host == STATIC_LET_IN or may_relay(host)

    def compare_files(self, clients):
        """Of files that can hold the same leases the same is foreseen."""
        foreseen = {}
        for name, kind in self.kinds.items():
            what = kind.holds, name.startswith("access")
            if what not in foreseen:
                may_relay = self.foreseen_in_files(*what)
                foreseen[what] = [may_relay(host) for host in clients]
            path = self.dracd.path(f"maps/{name}{kind.suffix}")
            admits = kind.admits(path)
            for host, right in zip(clients, foreseen[what]):
                answer = admits(host)
                if answer != right and not self.is_known(name, host, answer):
                    yield f"{path} says {answer} of {host}, and the oracle {right}"

    def is_known(self, name, host, admitted):
        """drac.conf(5): a host's key in an indexed file of Postfix also matches longer texts of its /64."""
        if not admitted or host.version == 4 or kind_of(name) != "postfix":
            return False
        longer = list(mta.cuts(mta.text_of(host)))[1:]
        return any(lease.version == 6 and lease.prefixlen == 128 and mta.text_of(lease) in longer and
                   lease.supernet(new_prefix=64) == host.supernet(new_prefix=64)
                   for lease in self.oracle.leases)

    def table(self, number, seed):
        rnd = random.Random(f"{seed} {number}")
        steps = tables.random_steps(rnd)
        self.apply(steps)
        networks = {prefix(what) for verb, what, _ in steps if verb != "revoke_user"} | set(self.oracle.leases)
        self.rows += len(self.oracle.leases)
        self.compare(tables.random_clients(rnd, sorted(networks, key=str)), rnd)
        self.clear()


def kind_of(name):
    return "postfix" if name == "texthash" else name.split("_")[0]


def run(count, seed, kinds=None, say=print):
    """Compares `count` tables; returns their rows and the questions asked.  Differences are raised."""
    kinds = mta.KINDS if kinds is None else kinds
    rows = questions = 0
    for ipv6_prefix in (128, 64):
        machine = Machine(ipv6_prefix, kinds)
        try:
            for number in range(ipv6_prefix == 64, count, 2):
                try:
                    machine.table(number, seed)
                except Differences as difference:
                    raise Differences(f"table {number} of seed {seed}, ipv6_prefix {ipv6_prefix}: "
                                      f"{difference}") from None
                if number // 2 % 250 == 249:
                    say(f"ipv6_prefix {ipv6_prefix}: {number + 1} of {count} tables")
        finally:
            machine.close()
        rows, questions = rows + machine.rows, questions + machine.questions
    return rows, questions


def main():
    count = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}", flush=True)
    started = time.monotonic()
    rows, questions = run(count, seed, say=lambda line: print(line, flush=True))
    print(f"{count} tables with {rows} leases: {questions} answers, no difference "
          f"({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
