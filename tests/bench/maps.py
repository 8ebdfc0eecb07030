"""What maps cost: rebuilds, and one new lease, at up to a million leases; beside postmap.

    tests/run-namespaced python3 -m tests.bench.maps [quick]

dracd's own map workers publish from a table on the file system of build/; the postmap of the Postfix
that tests/servers has unpacked builds its files there too, from the same keys in random order. Without
root there is no postmap.
"""

import os
import random
import subprocess
import sys
import time

from tests.bench import programs
from tests.bench.figures import note, say, say_median
from tests.site import kernel, release, roots
from tests.site import site as sites

COUNTS = {1000: 9, 10000: 9, 100000: 3, 1000000: 3}  # leases: rounds
QUICK = {1000: 2, 10000: 2}
TYPES = {"hash": "postfix", "btree": "postfix", "lmdb": "postfix", "cdb": "postfix", "iplsearch": "plain"}
PUBLICATIONS = 5  # in a round
SECONDS = 7200

_CONFIGURATION = """\
reporters = {{"{uid}"}}
report_group = ""
control_group = ""
durability = process
max_leases = {leases}
state_directory = "{folder}/state"
map bench {{ type = {type} keys = {keys} path = "{folder}/maps/{type}" }}
"""


class Table:
    """A table with so many leases, and what a map of it costs."""

    def __init__(self, folder, leases):
        self._folder = folder
        self.leases = self._people = leases
        os.makedirs(f"{folder}/state")
        os.makedirs(f"{folder}/maps")
        programs.run("fill_table", f"{folder}/state/table", "process", programs.LEASES_MAX, SECONDS, 0, leases)

    def measure(self, kind):
        """Milliseconds of a rebuild and of a publication, octets written by that."""
        path = f"{self._folder}/{kind}.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write(_CONFIGURATION.format(uid=os.getuid(), leases=programs.LEASES_MAX, folder=self._folder,
                                             type=kind, keys=TYPES[kind]))
        rebuild, publish, octets, entries = programs.run("map_cost", path, 1, PUBLICATIONS, self._people)
        self._people += PUBLICATIONS
        if entries != self._people:
            raise ValueError(f"{kind}: {entries:.0f} entries of {self._people} leases")
        return rebuild, publish, octets


class Postmap:
    """The real one, in its root."""

    def __init__(self, folder):
        self._root = roots.Roots(os.path.join(release.TOP, "build/site"), release.chosen()).mail
        roots.write_file(f"{self._root}/etc/postfix/main.cf", "compatibility_level = 3.7\n")
        # what the packages' maintainer scripts would add
        roots.write_file(f"{self._root}/etc/postfix/dynamicmaps.cf", "".join(
            f"{kind} postfix-{kind}.so dict_{kind}_open mkmap_{kind}_open\n" for kind in ("lmdb", "cdb")
            if os.path.exists(f"{self._root}/usr/lib/postfix/postfix-{kind}.so")))
        os.mkdir(f"{self._root}/bench")
        os.mkdir(f"{folder}/postmap")
        self._keys = f"{self._root}/bench/keys"
        kernel.bind(f"{folder}/postmap", f"{self._root}/bench")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.types = self._run("postconf", "-m").split()

    def _run(self, *words):
        return subprocess.run(["chroot", self._root, *words], stdout=subprocess.PIPE, check=True,
                              encoding="utf-8").stdout

    def write_keys(self, leases):
        """As a table in text, shuffled."""
        with open(self._keys, "wb") as file:
            subprocess.run([programs.program("people"), "0", str(leases)], stdout=file, check=True)

    def measure(self, kind):
        """Milliseconds to build a map of the keys."""
        started = time.monotonic()
        self._run("postmap", f"{kind}:/bench/keys")
        return (time.monotonic() - started) * 1000


def measure_type(table, postmap, kind, rounds):
    """A list of: milliseconds of a rebuild, of a publication, octets of that, milliseconds of postmap or None."""
    found = []
    for _ in range(rounds):
        ours = theirs = None
        for turn in random.sample((True, False), 2):
            if turn:
                ours = table.measure(kind)
            elif postmap and kind in postmap.types:
                theirs = postmap.measure(kind)
        found.append((*ours, theirs))
    return found


def print_type(kind, leases, found):
    """The figures of one type."""
    rebuilds, publications, octets, theirs = zip(*found)
    say_median(f"rebuild_{kind}_{leases}", rebuilds)
    say_median(f"publish_one_{kind}_{leases}", publications)
    note(f"which writes {sorted(octets)[len(octets) // 2] / 1e6:.3f} MB")
    if None not in theirs:
        say_median(f"rebuild_vs_postmap_{kind}_{leases}",
                   [their / rebuild for their, rebuild in zip(theirs, rebuilds)])
    elif kind != "iplsearch":
        note(f"rebuild_vs_postmap_{kind}_{leases}: this postmap has no {kind}, or we are not root")
    if kind == "hash" and leases == 1000000:
        say("publish_one_vs_rebuild_hash_1000000",
            min(rebuilds) / sorted(publications)[len(publications) // 2])


def main():
    """All of it."""
    counts = QUICK if sys.argv[1:] == ["quick"] else COUNTS
    growth = {}
    with programs.directory() as folder:
        os.chmod(folder, 0o755)
        postmap = Postmap(folder) if os.getuid() == 0 else None
        for leases, rounds in counts.items():
            table = Table(f"{folder}/{leases}", leases)
            if postmap:
                postmap.write_keys(leases)
            for kind in TYPES:
                found = measure_type(table, postmap, kind, rounds)
                print_type(kind, leases, found)
                if kind == "lmdb":
                    growth[leases] = sorted(row[1] for row in found)[len(found) // 2]
    if 1000000 in growth:
        say("publish_one_lmdb_growth", growth[1000000] / growth[1000])
    return 0


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
