"""What others, or the disk, can do to the directory of the maps: nothing outside of it is touched, the old
map stands or one without leases, there is an alarm, and dracd recovers by itself. For each type of map.

Needs root, to be others, and mounts in a namespace of its own.
"""
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from tests.root.accounts import DRACD, STRANGER, dracd
from tests.scenario import map_types
from tests.scenario.dracctl_box import DRACCTL
from tests.scenario.dracd_box import fields
from tests.site import kernel

KEPT, SHORT, NEW = "203.0.113.9", "203.0.113.10", "203.0.113.11"
LIVE = map_types.LIVE
SECOND = 1000
SWAPS = 100000
REBUILDS = 20
DISK = "mode=0755,size=4m,nr_inodes=200"


def snapshot(directory):
    """All that is in a directory, but for the times of reading."""
    found = {}
    for name in [""] + os.listdir(directory):
        path = os.path.join(directory, name)
        status = os.lstat(path)
        content = b"" if os.path.isdir(path) else open(path, "rb").read()
        found[name] = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, content)
    return found


class Hog(threading.Thread):
    """Takes again and again whatever is free on a disk."""

    def __init__(self, disk, files):
        super().__init__()
        self.path, self.files, self.done = f"{disk}/hog", files, threading.Event()
        os.mkdir(self.path)
        self.grab()
        self.start()

    def grab(self):
        """All there is."""
        try:
            while True:
                if self.files:
                    open(f"{self.path}/{len(os.listdir(self.path))}", "x", encoding="utf-8").close()
                else:
                    with open(f"{self.path}/data", "ab", buffering=0) as data:
                        data.write(bytes(4096))
        except OSError:
            pass

    def run(self):
        while not self.done.wait(0.001):
            self.grab()

    def release(self):
        """Gives it back; again is no error."""
        self.done.set()
        self.join()
        shutil.rmtree(self.path, ignore_errors=True)


class Hostile(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        directory = tempfile.mkdtemp(prefix="dracd-test-")
        self.disk, self.outside = f"{directory}/disk", f"{directory}/outside"
        self.maps = f"{self.disk}/maps"
        for path in (self.disk, self.outside):
            os.mkdir(path, 0o755)
        kernel.mount("disk", self.disk, "tmpfs", options=DISK)
        os.mkdir(self.maps, 0o755)
        with open(f"{self.outside}/target", "w", encoding="utf-8") as target:
            target.write("not a map\n")
        for path in (self.disk, self.outside, f"{self.outside}/target", self.maps):
            os.chown(path, DRACD, DRACD)  # so that it is not a lack of rights that keeps dracd from it
        self.untouched = snapshot(self.outside)
        self.dracd = dracd(DRACD, 0, config="lease_time = 1h\n" + map_types.config(self.maps),
                           directory=directory)
        self.addCleanup(self.dracd.remove)
        self.addCleanup(kernel.unmount, self.disk)
        self.addCleanup(self.dracd.stop)
        self.assertIn("published=yes", self.dracd.login(KEPT, "user=bob wait_ms=10000"))
        self.assertEqual(self.leases(), {kind: {KEPT} for kind in LIVE})

    def path(self, kind):
        """Of the map's file."""
        return f"{self.maps}/{kind}{LIVE[kind][1]}"

    def login_of_another(self, n, wait_ms):
        """One of a hundred: max_leases_per_user is reached by none of them."""
        answer = self.dracd.login(f"203.0.113.{20 + n % 100}", f"user=user{n % 100} wait_ms={wait_ms}")
        self.assertTrue(answer.startswith("OK "), answer)

    def leases(self):
        """What is in each map; None if it cannot be read."""
        found = {}
        for kind in LIVE:
            try:
                found[kind] = set(map_types.rows(kind, self.path(kind)))
            except (OSError, ValueError):
                found[kind] = None
        return found

    def states(self):
        """The state of each map, as the control socket has it."""
        return {words["name"]: words["state"] for words in map(fields, self.dracd.control("maps")[:-1])}

    def exit_status(self, *arguments):
        """Of dracctl."""
        return subprocess.run([DRACCTL, "-s", self.dracd.path("control"), *arguments], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode

    def assert_alarm(self, all_fail):
        """In log, status and exit status; all_fail: of all maps, not of some."""
        self.dracd.wait_for(lambda: "error" in self.states().values() and
                            (not all_fail or set(self.states().values()) == {"error"}), "maps to be in error")
        for kind, state in self.states().items():
            if state == "error":
                self.assertIn(f"map {kind}: cannot ", self.dracd.text())
        self.assertIn("state=critical", self.dracd.control("status")[0])
        self.assertEqual(self.exit_status("status"), 2)
        self.assertEqual(self.exit_status("maps"), 2)

    def assert_recovered(self, leases):
        """By itself, and nothing is left."""
        expected = {kind: leases for kind in LIVE}
        try:
            self.dracd.wait_for(lambda: self.leases() == expected, "the maps to be whole again")
        except AssertionError as error:
            self.assertEqual(self.leases(), expected, error)
        self.dracd.wait_for(lambda: "error" not in self.states().values(), "the alarm to be over")
        self.assertLess(self.exit_status("maps"), 2)
        allowed = {os.path.basename(self.path(kind)) for kind in LIVE}
        allowed |= {f".{name}.spare" for name in allowed}
        self.assertLessEqual(set(os.listdir(self.maps)), allowed)
        self.assertEqual(snapshot(self.outside), self.untouched)

    def suffer(self, put, mend, stands=True, all_fail=True, withdraws=True):
        """A lease ends and another comes while an obstacle is there. stands: so do the maps; withdraws: and
        they can be without leases; all_fail: nothing can be published."""
        short = self.dracd.login(SHORT, f"user=bob ttl_ms={3 * SECOND} wait_ms=10000")
        self.assertIn("published=yes", short)
        put()
        new = self.dracd.login(NEW, "user=bob wait_ms=10000")
        self.assertTrue(new.startswith("OK granted"), new)
        if all_fail:
            self.assertIn("published=no", new)
        self.assert_alarm(all_fail)
        self.dracd.wait_for_log(f"ended {SHORT}")
        self.assertEqual(self.dracd.policy(NEW), "action=OK")
        self.assertNotEqual(self.dracd.policy(SHORT), "action=OK")
        if stands and withdraws:
            self.dracd.wait_for(lambda: all(found is not None and SHORT not in found
                                            for found in self.leases().values()),
                                "the lease that is over to be in no map")
        elif stands:
            self.assertEqual(self.leases(), {kind: {KEPT, SHORT} for kind in LIVE})
        self.assertEqual(snapshot(self.outside), self.untouched)
        mend()
        self.assert_recovered({KEPT, NEW})

    def test_symbolic_link_in_place_of_the_map(self):
        def put():
            for kind in LIVE:
                os.symlink(f"{self.outside}/target", f"{self.disk}/link")
                os.rename(f"{self.disk}/link", self.path(kind))

        def mend():
            for kind in LIVE:
                self.assertTrue(os.path.islink(self.path(kind)))
                os.unlink(self.path(kind))
        self.suffer(put, mend, stands=False)

    def test_symbolic_link_in_place_of_the_directory(self):
        def put():
            os.rename(self.maps, f"{self.disk}/away")
            os.symlink(self.outside, self.maps)

        def mend():
            os.unlink(self.maps)
            os.rename(f"{self.disk}/away", self.maps)
        self.suffer(put, mend, stands=False)

    def test_directory_of_a_foreign_owner(self):
        self.suffer(lambda: os.chown(self.maps, STRANGER, STRANGER), lambda: os.chown(self.maps, DRACD, DRACD),
                    withdraws=False)

    def test_directory_that_a_group_can_write_to(self):
        self.suffer(lambda: os.chmod(self.maps, 0o775), lambda: os.chmod(self.maps, 0o755))

    def test_directory_that_all_can_write_to(self):
        self.suffer(lambda: os.chmod(self.maps, 0o1777), lambda: os.chmod(self.maps, 0o755))

    def test_file_of_a_foreign_owner(self):
        """It is replaced: the directory is ours."""
        for kind in LIVE:
            os.chown(self.path(kind), STRANGER, STRANGER)
            self.dracd.wait_for_log(f"{self.path(kind)} was given another owner or mode; rebuilt")
            self.assertEqual(os.stat(self.path(kind)).st_uid, DRACD)
        self.assert_recovered({KEPT})

    def hog(self, files):
        """The disk is full, or has no more files; an lmdb map needs neither for a small change."""
        hog = []

        def put():
            hog.append(Hog(self.disk, files))
            self.addCleanup(hog[0].release)  # or a failure would leave it at work
        self.suffer(put, lambda: hog[0].release(), all_fail=False)

    def test_full_disk(self):
        self.hog(files=False)

    def inodes(self):
        """Of the maps' files."""
        return {kind: os.stat(self.path(kind)).st_ino for kind in LIVE}

    def watch(self, seconds):
        """The states that are seen meanwhile: of the leases in each map, and of its files."""
        end, leases, inodes = time.monotonic() + seconds, {kind: [] for kind in LIVE}, {kind: set() for kind in LIVE}
        while time.monotonic() < end:
            for kind, found in self.leases().items():
                if found not in leases[kind]:
                    leases[kind].append(found)
            for kind, inode in self.inodes().items():
                inodes[kind].add(inode)
        return leases, inodes

    def test_full_disk_costs_nobody_his_place_until_a_lease_ends(self):
        """New logins cannot be written, again and again; the end of a lease withdraws the map, once."""
        hog = Hog(self.disk, files=False)
        self.addCleanup(hog.release)
        self.assertIn("published=no", self.dracd.login(NEW, "user=bob wait_ms=1000"))
        self.assert_alarm(all_fail=False)
        leases, _ = self.watch(4)  # the second and third try come after 1 and 3 s
        for kind, seen in leases.items():
            self.assertTrue(all(KEPT in found for found in seen), f"{kind}: {seen}")
        begun = time.monotonic()
        self.dracd.control(f"revoke address={KEPT} hold_ms=0")
        self.dracd.wait_for(lambda: all(KEPT not in found for found in self.leases().values()), "nobody in a map")
        self.assertLess(time.monotonic() - begun, 2, "with the fourth try, which comes after 7 s")
        _, inodes = self.watch(4)
        self.assertEqual({kind: len(seen) for kind, seen in inodes.items()}, {kind: 1 for kind in LIVE})
        hog.release()
        self.assert_recovered({NEW})

    def test_no_inodes(self):
        self.hog(files=True)

    def test_read_only(self):
        self.suffer(lambda: kernel.mount("disk", self.disk, flags=kernel.MS_REMOUNT | kernel.MS_RDONLY, options=DISK),
                    lambda: kernel.mount("disk", self.disk, flags=kernel.MS_REMOUNT, options=DISK),
                    withdraws=False)

    def test_symbolic_link_in_place_of_the_temporary_file(self):
        """Somebody swaps each as soon as he sees it: what was begun does not go to where the link leads."""
        swapped, done = [0], threading.Event()

        def swap():
            while not done.is_set():
                for name in os.listdir(self.maps):
                    if name.endswith(".tmp") and not os.path.islink(f"{self.maps}/{name}"):
                        os.symlink(f"{self.outside}/target", f"{self.disk}/link")
                        os.rename(f"{self.disk}/link", f"{self.maps}/{name}")
                        swapped[0] += 1
        attacker = threading.Thread(target=swap)
        attacker.start()
        try:
            end = time.monotonic() + 150
            n = 0
            while swapped[0] < 50 and time.monotonic() < end:
                n += 1
                self.login_of_another(n, 1000)
                self.dracd.control("maps rebuild=yes")
        finally:
            done.set()
            attacker.join()
        self.assertGreaterEqual(swapped[0], 50, "hardly anything was swapped")
        self.assertEqual(snapshot(self.outside), self.untouched)
        print(f"# {swapped[0]} temporary files were swapped for links")
        for name in os.listdir(self.maps):  # he came between check and rename, or too late
            if os.path.islink(f"{self.maps}/{name}"):
                os.unlink(f"{self.maps}/{name}")
        self.assert_recovered({KEPT} | {f"203.0.113.{20 + k % 100}" for k in range(1, n + 1)})

    def exchange(self, pairs, done, counted):
        """Swaps each pair of names for each other, again and again; they come back as they were."""
        while not done.is_set():
            for one, other in pairs:
                for _ in range(2):
                    if kernel.exchange(one, other):
                        counted[0] += 1

    def test_names_that_change_at_any_moment(self):
        """The directory, and the maps in it, are links at one moment and themselves at the next."""
        os.symlink(self.outside, f"{self.disk}/elsewhere")
        pairs = [(self.maps, f"{self.disk}/elsewhere")]
        for kind in LIVE:
            os.symlink(f"{self.outside}/target", f"{self.disk}/link-{kind}")
            pairs.append((self.path(kind), f"{self.disk}/link-{kind}"))
        counted, done = [0], threading.Event()
        attacker = threading.Thread(target=self.exchange, args=(pairs, done, counted))
        attacker.start()
        rebuilds = 0
        try:
            end = time.monotonic() + 250
            while (counted[0] < SWAPS or rebuilds < REBUILDS) and time.monotonic() < end:
                self.login_of_another(rebuilds, 200)
                self.dracd.control("maps rebuild=yes")
                rebuilds += 1
        finally:
            done.set()
            attacker.join()
        self.assertGreaterEqual(counted[0], SWAPS)
        self.assertGreaterEqual(rebuilds, REBUILDS)
        self.assertEqual(snapshot(self.outside), self.untouched)
        print(f"# {counted[0]} times a name was swapped for a link, in {rebuilds} rebuilds")
        self.assertFalse(os.path.islink(self.maps))
        for name in os.listdir(self.maps):  # a map that dracd has replaced while it lay elsewhere
            if os.path.islink(f"{self.maps}/{name}"):
                os.unlink(f"{self.maps}/{name}")
        for kind in LIVE:
            if os.path.lexists(f"{self.disk}/link-{kind}"):
                os.unlink(f"{self.disk}/link-{kind}")
        self.assert_recovered({KEPT} | {f"203.0.113.{20 + k % 100}" for k in range(rebuilds)})


if __name__ == "__main__":
    unittest.main()
