"""What the helper costs a mail user: IMAP logins at real Dovecot, with it and without it.

    tests/run-namespaced python3 -m tests.bench.hooks [quick]

One Dovecot for each way of running the helper. The two of a ratio take turns, in random order, each
login by somebody new from an address that nobody has used before. (Not all at the same time: with six
Dovecots in turn every helper and dracd would be cold in the processor's caches at each login.) dracd's
state lies on the file system of build/, so that durability = full costs what it costs there.
"""

import os
import random
import shutil
import statistics
import sys
import time

from tests.bench import programs
from tests.bench.figures import note, say
from tests.site import Site, dialogue, dovecot, dracd, kernel, process, roots, wait
from tests.site import site as sites

EXEC_ONLY = "/usr/libexec/dracd/exec_only"
LEVELS = ("process", "full")
WARM_UP = 3
LOGINS = 500  # of each of a pair: the medians of 1,200 differ by up to 2 % from run to run
CLOSE = {"hook_ratio_serve_process": 2000, "hook_ratio_serve_full": 2000}  # where the bound is closer than that
PAIRS = {  # figure: what it is measured against, and what is measured
    "hook_ratio_serve_process": ("none", "serve-process"),
    "hook_ratio_serve_full": ("none", "serve-full"),
    "hook_ratio_script": ("script-exec", "script-full"),
    "hook_ratio_script_process": ("script-exec", "script-process"),
}
PEOPLE = ((f"2001:db8:1:{number >> 16:x}::{number & 0xffff:x}", f"person{number}") for number in range(1 << 24))

_CONFIGURATION = """\
durability = @LEVEL@
lease_special = {"2001:db8::/32"}
max_leases_per_user = 1000000
state_directory = "/var/lib/dracd/@LEVEL@"
report_socket = "/run/dracd/@LEVEL@/report"
control_socket = "/run/dracd/@LEVEL@/control"
lookup map { protocol = socketmap path = "/run/dracd/@LEVEL@/socketmap" }
"""


class Variant(dovecot.Dovecot):
    """A Dovecot with a recipe of its own, on a port of its own."""

    def __init__(self, site_roots, name, port, its_recipe):
        dovecot.PORTS[name] = {"imap": port, "pop3": port + 1000}
        super().__init__(site_roots, name)
        self._helper = "/nonexistent"  # the recipe is not that of the mode
        self._recipe = its_recipe

    def _configuration(self):
        return super()._configuration() + self._recipe


class Level:
    """A dracd with its durability, beside the site's own, which is not started."""

    def __init__(self, site_roots, durability, state):
        self._roots = site_roots
        self.name = durability
        self.folder = f"/run/dracd/{durability}"
        self._log = f"{site_roots.logs}/dracd-{durability}.log"
        roots.make_directory(f"{site_roots.base}/shared/run/{durability}", "dracd")
        roots.make_directory(f"{site_roots.base}/shared/state/{durability}", "dracd")
        kernel.bind(roots.make_directory(state, "dracd"), f"{site_roots.dracd}/var/lib/dracd/{durability}")
        self._process = None

    def start(self):
        """Start, and return when it serves."""
        path = f"/etc/drac/{self.name}.conf"
        roots.write_file(self._roots.dracd + path, _CONFIGURATION.replace("@LEVEL@", self.name))
        self._process = process.Process(
            f"dracd-{self.name}", self._roots.dracd, [dracd.PROGRAM, "-c", path], self._log, user="dracd")
        wait.until(lambda: os.path.exists(f"{self._roots.dracd}{self.folder}/socketmap"),
                   f"dracd with durability = {self.name}")

    def stop(self):
        """An orderly stop."""
        if self._process:
            self._process.stop()

    def granted(self):
        """How many logins have had a lease."""
        return process.read_log(self._log).count("granted ")


def recipes():
    """What each Dovecot is told: by name, with the level of dracd that hears of it."""
    found = {"none": (None, "")}
    for level in LEVELS:
        option = f"--socket /run/dracd/{level}/report"
        found[f"serve-{level}"] = (level, dovecot.recipe("serve", option))
        found[f"script-{level}"] = (level, dovecot.recipe("script", option))
    plain = dovecot.recipe("script")
    for protocol in ("imap", "pop3"):
        plain = plain.replace(f"{dracd.HELPER} --service {protocol}", EXEC_ONLY)
    found["script-exec"] = (None, plain)
    return found


def install_programs(site_roots):
    """The helper and the one that only execs, where Dovecot finds them."""
    os.makedirs(os.path.dirname(site_roots.mail + dracd.HELPER), exist_ok=True)
    shutil.copy(f"{site_roots.dracd}/build/client/drac-postlogin", site_roots.mail + dracd.HELPER)
    shutil.copy(programs.program("exec_only"), site_roots.mail + EXEC_ONLY)


def add_people(count):
    """Accounts beside the site's: a login each, as people who read their mail are many."""
    dovecot.USERS += "".join(f"person{number}:{{PLAIN}}secret:5001:5001::/srv/mail/alice::\n"
                             for number in range(count))


def login(network, client, user, port):
    """Milliseconds from LOGIN to its reply. Returns when the server has ended the session: the next
    login is not to meet what is left of this one."""
    with dialogue.Lines(network, client, port) as session:
        session.receive()
        started = time.monotonic()
        session.send(f"a LOGIN {user} secret")
        line = session.receive()
        while not line.startswith("a "):
            line = session.receive()
        ms = (time.monotonic() - started) * 1000
        if not line.startswith("a OK"):
            raise OSError(line)
        session.send("b LOGOUT")
        while not line.startswith("b "):
            line = session.receive()
    return ms


def count_of(figure):
    """How many logins of each of its pair."""
    if sys.argv[1:] == ["quick"]:
        return 60
    return CLOSE.get(figure, LOGINS)


def measure(site, servers, pair, count):
    """The latencies of `count` logins at each of a pair, in ms, by name: the two take turns, in random
    order, and nothing else is logged in to meanwhile."""
    latencies = {name: [] for name in pair}
    for turn in range(WARM_UP + count):
        for name in random.sample(pair, len(pair)):
            ms = login(site.network, *next(PEOPLE), servers[name].ports()[0])
            if turn >= WARM_UP:
                latencies[name].append(ms)
    return latencies


def print_pair(figure, pair, latencies):
    """The ratio of the medians, and how the logins lie."""
    medians = [statistics.median(latencies[name]) for name in pair]
    if figure == "hook_ratio_serve_process":
        say("hook_login_ms", medians[0])
    say(figure, medians[1] / medians[0])
    for name in pair:
        tenths = statistics.quantiles(latencies[name], n=10)
        note(f"{name}: median {statistics.median(latencies[name]):.2f} ms, 10 % below {tenths[0]:.2f}, "
             f"10 % above {tenths[-1]:.2f}, {len(latencies[name])} logins")


def check_reports(levels):
    """Each login that was to be reported has had its lease, or nothing was measured."""
    for level in levels:
        wanted = sum(WARM_UP + count_of(figure) for figure, pair in PAIRS.items() if pair[1].endswith(level.name))
        if level.granted() != wanted:
            raise ValueError(f"dracd with durability = {level.name}: {level.granted()} leases, not {wanted}")


def main():
    """All of it."""
    with programs.directory() as folder:
        os.chmod(folder, 0o755)
        add_people(sum(2 * (WARM_UP + count_of(figure)) for figure in PAIRS))
        site = Site("")
        install_programs(site.roots)
        levels = [Level(site.roots, level, f"{folder}/{level}") for level in LEVELS]
        servers = [Variant(site.roots, name, 2001 + number, text)
                   for number, (name, (_, text)) in enumerate(recipes().items())]
        try:
            for level in levels:
                level.start()
            site.start(*servers)
            by_name = {server.mode: server for server in servers}
            measured = [(figure, pair, measure(site, by_name, pair, count_of(figure)))
                        for figure, pair in PAIRS.items()]
        finally:
            for level in levels:
                level.stop()
        check_reports(levels)  # now the log is whole: an answer goes before its line
    for figure, pair, latencies in measured:
        print_pair(figure, pair, latencies)
    return 0


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
