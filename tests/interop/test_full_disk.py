"""The disk that has dracd's table and maps is full: who is in stays in, who is over is out, nobody
comes in unnoticed; and when there is room again, everything is as it should be."""

import os
import sys
import time

from tests.interop.cases import Cases
from tests.interop.test_kill import leased, map_rows
from tests.site import Site, kernel, roots, wait
from tests.site import site as sites
from tests.site.stream import Stream, words_of

CONFIGURATION = 'lease_time = 1h\nlease_special = {"203.0.113.0/24"}\n'
MAPS = ("postfix", "drac", "access")
SIZE = "2m"


def small_disk(site):
    """Gives dracd's state a file system of its own; returns its path."""
    path = f"{site.roots.dracd}/var/lib/dracd"
    kernel.mount("small", path, "tmpfs", options=f"mode=0755,size={SIZE},nr_inodes=200")
    roots.make_directory(path, "dracd")
    roots.make_directory(f"{path}/maps", "dracd")
    return path


class Filler:
    """Takes all room there is."""

    def __init__(self, disk):
        self._path = f"{disk}/filler"

    def __enter__(self):
        with open(self._path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        assert os.statvfs(os.path.dirname(self._path)).f_bavail == 0, "the disk is not full"
        return self

    def __exit__(self, *ignored):
        os.unlink(self._path)


class Asker:
    """Questions to dracd, in the way of its clients."""

    def __init__(self, site):
        self.site = site

    def login(self, address, words=""):
        """The answer to a report."""
        with Stream(f"{self.site.roots.dracd}/run/dracd", "report") as report:
            return report.ask(f"login address={address} {words}".rstrip())

    def admits(self, address):
        """What the policy service says."""
        with Stream(f"{self.site.roots.dracd}/var/spool/postfix/dracd", "policy") as policy:
            policy.send(f"request=smtpd_access_policy\nclient_address={address}\n\n")
            return policy.until("\n\n") == "action=OK"

    def in_maps(self):
        """The leases that each map has."""
        return {name: leased(map_rows(self.site, name)) for name in MAPS}


def full(asker, short, ends):
    """While the disk is full; returns the logins that were answered, by address."""
    answers = {}
    assert asker.admits("203.0.113.1"), "a lease is gone"
    for n in range(50, 90):
        answers[f"203.0.113.{n}"] = asker.login(f"203.0.113.{n}")
    wait.until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 >= ends + 1, "the end of a lease")
    assert not asker.admits(short), "admitted after its end"
    wait.until(lambda: not any(short in leases for leases in asker.in_maps().values()),
               "the end of the lease in all maps", limit=5)
    assert asker.admits("203.0.113.1"), "a lease is gone with the other's end"
    status, output = asker.site.dracd.control("status")
    assert status == 2, f"dracctl status: {status}: {output}"
    return answers


def life(asker, disk):
    """Full, and with room again."""
    assert asker.login("203.0.113.1", "wait_ms=5000").startswith("OK granted")
    answer = asker.login("203.0.113.2", "ttl_ms=3000 wait_ms=5000")
    assert "published=yes" in answer, answer
    with Filler(disk):
        answers = full(asker, "203.0.113.2", int(words_of(answer)["boot_ms"]))
    kinds = {" ".join(answer.split()[:2]) for answer in answers.values()}
    assert kinds <= {"OK granted", "ERR reason=temporary"}, kinds
    stored = {address for address, answer in answers.items() if answer.startswith("OK ")}
    print(f"# with the disk full {len(stored)} of {len(answers)} logins were stored, and so answered", flush=True)
    there = {"203.0.113.1"} | stored
    wait.until(lambda: all(leases == there for leases in asker.in_maps().values()), "the maps to be whole again")
    assert all(asker.admits(address) for address in there), "an answered login is gone"
    again = asker.login("203.0.113.3", "wait_ms=5000")
    assert "published=yes" in again, again
    return there | {"203.0.113.3"}


def restart(asker, there):
    """What was answered has survived."""
    asker.site.dracd.kill()
    asker.site.dracd.start()
    for leases in asker.in_maps().values():
        assert leases == there, f"{sorted(leases)} instead of {sorted(there)}"


def main():
    """One dracd, no servers."""
    cases = Cases()
    site = Site(CONFIGURATION)
    disk = small_disk(site)
    for durability in ("full", "process"):
        site.dracd.configure(f"{CONFIGURATION}durability = {durability}\n{sites.LOOKUPS_AND_MAPS}")
        site.dracd.start()
        there = []
        cases.one(f"disk full, and room again, durability {durability}",
                  lambda: there.append(life(Asker(site), disk)))
        cases.one(f"killed after that, durability {durability}", lambda: restart(Asker(site), there[0]))
        site.dracd.control("flush", "--yes")
        site.dracd.stop()
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
