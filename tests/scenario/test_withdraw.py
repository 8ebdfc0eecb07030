"""dracd-withdraw: a dracd that is dead, and its guardian with it, lets nobody in for longer than that takes; and a dracd
that hangs is dead."""
import os
import shutil
import signal
import subprocess
import time
import unittest

import map_types
from dracd_box import BUILD, PATIENCE, Dracd

WITHDRAW = os.path.abspath(os.path.join(BUILD, "dracd", "dracd-withdraw"))
STATIC_ROW = {"connect:192.0.2.66": "REJECT"}
SLOW_SYNC = os.path.abspath(os.path.join(BUILD, "tests", "bench", "slow_sync.so"))
HAS_BDB = "hash" in map_types.LIVE
MAPS = len(map_types.LIVE) + HAS_BDB


class Withdraw(unittest.TestCase):
    extra = ""

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        with open(self.dracd.path("access"), "w", encoding="utf-8") as static:
            static.write("Connect:192.0.2.66 REJECT\n")
        self.maps = map_types.config(self.dracd.path("maps"), "interval = 0  end_interval = 0")
        if HAS_BDB:
            self.maps += f'map merged {{ type = hash  keys = access  path = "{self.dracd.path("maps/merged")}" ' \
                         f'static = "{self.dracd.path("access")}" }}\n'
        self.configure()
        self.dracd.start()
        self.addCleanup(lambda: self.dracd.process.send_signal(signal.SIGCONT))  # it may be stopped

    def configure(self, more="", maps=None):
        self.dracd.write_config((self.maps if maps is None else maps) + self.extra + more)

    def file(self, kind):
        if kind == "merged":
            return self.dracd.path("maps/merged.db")
        return self.dracd.path(f"maps/{kind}{map_types.LIVE[kind][1]}")

    def rows(self, kind):
        return map_types.rows("hash" if kind == "merged" else kind, self.file(kind))

    def login(self, address="203.0.113.9"):
        self.assertIn("published=yes", self.dracd.login(address, "user=bob wait_ms=10000"))

    def guardian(self):
        with open(f"/proc/{self.dracd.process.pid}/task/{self.dracd.process.pid}/children", encoding="ascii") as children:
            pids = children.read().split()
        self.assertEqual(len(pids), 1)
        return int(pids[0])

    def kill_both(self):
        """Neither can do anything about it."""
        guardian = self.guardian()
        os.kill(self.dracd.process.pid, signal.SIGSTOP)
        os.kill(guardian, signal.SIGKILL)
        self.dracd.process.kill()
        self.dracd.process.wait(PATIENCE)

    def run_withdraw(self, *arguments, tracer=()):
        # what looks for leaks does not work under a tracer
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"} if tracer else None
        return subprocess.run([*tracer, WITHDRAW, "-c", self.dracd.config, *arguments], capture_output=True,
                              text=True, check=False, timeout=PATIENCE, env=environment)

    def withdraw(self, *arguments, **how):
        """As it is asked to do by systemd; returns what it logs."""
        done = self.run_withdraw(*arguments, **how)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def noted(self):
        with open(self.dracd.path("state/published"), encoding="utf-8") as noted:
            return noted.read()

    def is_noted(self):
        return self.noted() != "dracd-published version=1\n"

    def assert_open(self, kinds=None):
        for kind in kinds or map_types.LIVE:
            self.assertTrue(self.rows(kind), kind)

    def assert_closed(self, kinds=None):
        for kind in kinds or map_types.LIVE:
            self.assertEqual(self.rows(kind), {}, kind)
        if HAS_BDB:
            self.assertEqual(self.rows("merged"), STATIC_ROW)
        for name in ("policy", "socketmap", "plain"):
            self.assertFalse(os.path.exists(self.dracd.path(name)), name)
        left = [name for name in os.listdir(self.dracd.path("maps")) if name.endswith(".new")]
        self.assertEqual(left, [])

    # ---- what is noted ----

    def test_noted_while_anything_is_open(self):
        self.assertTrue(self.is_noted())
        self.dracd.stop()
        self.assertFalse(self.is_noted())
        self.assert_closed()
        self.dracd.start()
        self.login()
        self.dracd.stop(signal.SIGKILL)
        self.dracd.wait_for(lambda: not self.is_noted(), "the guardian to be done")
        self.assert_closed()
        self.assertIn("nothing is left open", self.withdraw())

    def test_noted_before_it_is_published_and_until_it_is_withdrawn(self):
        self.configure(f'map late {{ type = lmdb  path = "{self.dracd.path("maps/late")}" }}\n')
        self.login()
        self.dracd.control("reload")
        self.assertIn(" name=late ", self.noted())
        self.dracd.wait_for(lambda: os.path.exists(self.dracd.path("maps/late.lmdb")), "the new map")
        self.configure()
        self.dracd.control("reload")
        self.dracd.wait_for(lambda: "name=late" not in self.noted(), "it to be forgotten")
        self.assertEqual(map_types.rows("lmdb", self.dracd.path("maps/late.lmdb")), {})

    def test_reload_that_cannot_be_noted_changes_nothing(self):
        os.mkdir(self.dracd.path("state/published.new"))
        self.configure(f'map late {{ type = lmdb  path = "{self.dracd.path("maps/late")}" }}\n')
        self.assertTrue(self.dracd.control("reload")[-1].startswith("ERR reason=config"))
        self.dracd.wait_for_log("cannot write")
        self.assertFalse(os.path.exists(self.dracd.path("maps/late.lmdb")))
        os.rmdir(self.dracd.path("state/published.new"))
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK reloaded"))

    # ---- withdrawing ----

    def test_when_dracd_and_its_guardian_were_killed(self):
        self.login()
        self.kill_both()
        self.assert_open()
        before = {kind: os.stat(self.file(kind)).st_ino for kind in map_types.LIVE}
        told = self.withdraw()
        self.assertIn(f"withdrawn: {MAPS + 3} of {MAPS + 3} lookups and maps", told)
        self.assert_closed()
        for kind, inode in before.items():
            self.assertNotEqual(os.stat(self.file(kind)).st_ino, inode, f"{kind}: written in place")
        self.assertFalse(self.is_noted())
        self.assertIn("nothing is left open", self.withdraw())
        self.dracd.start()  # and the lease is there again
        self.assert_open()
        self.assertTrue(self.dracd.admits("203.0.113.9"))

    def test_leaves_a_dracd_that_runs_alone(self):
        self.login()
        done = self.run_withdraw("-a")
        self.assertEqual(done.returncode, os.EX_TEMPFAIL)
        self.assertIn("a dracd uses this directory", done.stderr)
        self.assert_open()
        self.assertTrue(self.dracd.admits("203.0.113.9"))

    def test_urged_it_does_not_wait_for_who_holds_the_lock(self):
        """A dracd that does not die, of which one thread waits for a disk, say."""
        self.login()
        os.kill(self.dracd.process.pid, signal.SIGSTOP)
        self.assertIn("withdrawing all the same", self.withdraw("-f"))
        self.assert_closed()
        os.kill(self.dracd.process.pid, signal.SIGCONT)

    def test_urged_beside_one_that_lives_it_keeps_the_note(self):
        """That dracd will publish again."""
        self.login()
        self.withdraw("-f")
        self.dracd.wait_for(lambda: all(self.rows(kind) for kind in map_types.LIVE), "dracd to mend its maps")
        self.kill_both()
        self.withdraw("-f")
        self.assert_closed()

    def test_with_a_wrong_drac_conf(self):
        self.login()
        self.kill_both()
        self.configure("lease_time = never\n")
        told = self.withdraw()  # which finds the state directory all the same
        self.assertIn("lease_time = never: not a duration", told)
        self.assert_closed()

    def test_with_a_drac_conf_that_cannot_be_read_to_its_end(self):
        """It is not known which state directory is meant."""
        self.login()
        self.kill_both()
        with open(self.dracd.config, encoding="utf-8") as file:
            text = file.read()
        for start in ("lookup {\n", "/* no end\n"):
            with open(self.dracd.config, "w", encoding="utf-8") as file:
                file.write(start + text)
            done = self.run_withdraw()
            self.assertEqual(done.returncode, 1)
            self.assertIn("it cannot be told which state_directory is meant; -s names it", done.stderr)
            self.assert_open()
        with open(self.dracd.config, "w", encoding="utf-8") as file:
            file.write(text + "lookup {\n")
        self.assertEqual(self.run_withdraw().returncode, 1)  # but the one that it gives is looked at
        self.assert_closed()

    def test_with_a_state_directory_that_is_none(self):
        with open(self.dracd.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.dracd.config, "w", encoding="utf-8") as file:
            file.write(text.replace('/state"', '/state/"'))
        done = self.run_withdraw()
        self.assertEqual(done.returncode, 1)
        self.assertIn("it cannot be told which state_directory is meant; -s names it", done.stderr)

    def test_with_a_wrong_drac_conf_and_nothing_noted(self):
        """Then it cannot be told what is open, and that is no success."""
        self.login()
        self.kill_both()
        self.configure("lease_time = never\n")
        os.unlink(self.dracd.path("state/published"))
        done = self.run_withdraw("-s", self.dracd.path("state"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot tell what is to be withdrawn", done.stderr)

    def test_with_a_wrong_drac_conf_where_no_dracd_has_been(self):
        """It is not known where else to look."""
        self.configure("lease_time = never\n")
        os.mkdir(self.dracd.path("empty"))
        done = self.run_withdraw("-s", self.dracd.path("empty"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot tell what is to be withdrawn", done.stderr)

    def test_with_a_wrong_drac_conf_and_half_of_the_note(self):
        """What can be read of it is withdrawn."""
        self.login()
        self.kill_both()
        self.configure("lease_time = never\n")
        with open(self.dracd.path("state/published"), "a", encoding="utf-8") as noted:
            noted.write("nothing that is understood\n")
        done = self.run_withdraw()
        self.assertEqual(done.returncode, 1)
        self.assert_closed()

    def test_on_a_file_system_that_turned_read_only(self):
        """That of the state directory; the maps are elsewhere."""
        self.login()
        self.kill_both()
        told = self.withdraw(tracer=["strace", "-qq", "-o", self.dracd.path("trace"), "-P", "lock",
                                     "-e", "inject=openat:error=EROFS:when=1"])
        self.assertNotIn("cannot use state_directory", told)
        with open(self.dracd.path("trace"), encoding="ascii") as trace:
            self.assertIn("EROFS", trace.read())
        self.assert_closed()

    def test_nobody_reads_what_it_says(self):
        self.login()
        self.kill_both()
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([WITHDRAW, "-c", self.dracd.config], stderr=write, check=False, timeout=PATIENCE)
        os.close(write)
        self.assertEqual(done.returncode, 0)
        self.assert_closed()

    def hung_environment(self, hung):
        """Where the directory of one map does not answer."""
        return {**os.environ, "DRACD_LIBEXECDIR": self.dracd.libexec, "LD_PRELOAD": SLOW_SYNC,
                "SLOW_SYNC_USEC": str(600 * 10**6), "SLOW_SYNC_ONLY": f"/.{os.path.basename(self.file(hung))}.",
                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def start_withdrawing(self, hung):
        """Returns when all but the map that hangs are withdrawn."""
        self.login()
        self.kill_both()
        others = [kind for kind in map_types.LIVE if kind != hung]
        withdrawing = subprocess.Popen([WITHDRAW, "-c", self.dracd.config], stderr=subprocess.PIPE, text=True,
                                       env=self.hung_environment(hung))
        self.addCleanup(withdrawing.stderr.close)
        self.addCleanup(withdrawing.wait)
        self.dracd.wait_for(lambda: not any(self.rows(kind) for kind in others), "the other maps")
        self.dracd.wait_for(lambda: len(self.children(withdrawing)) == 1, "the others to end")
        self.assert_open([hung])
        return withdrawing

    @staticmethod
    def children(process):
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as pids:
            return [int(pid) for pid in pids.read().split()]

    def test_a_file_system_that_hangs_holds_up_no_other_map(self):
        hung = next(iter(map_types.LIVE))
        withdrawing = self.start_withdrawing(hung)
        pid, = self.children(withdrawing)
        _, told = withdrawing.communicate(timeout=2 * PATIENCE)
        self.assertEqual(withdrawing.returncode, 1)
        self.assertIn(f"map {hung}: {self.dracd.path('maps')}/{hung} does not answer; given up after 20 s", told)
        self.assertIn(f"withdrawn: {MAPS + 2} of {MAPS + 3} lookups and maps", told)
        self.dracd.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "what hung to be killed")
        self.withdraw()
        self.assert_closed()

    def test_no_child_outlives_it(self):
        """Or it could withdraw what the next dracd has published."""
        withdrawing = self.start_withdrawing(next(iter(map_types.LIVE)))
        child, = self.children(withdrawing)
        withdrawing.kill()
        withdrawing.wait(PATIENCE)
        self.dracd.wait_for(lambda: not os.path.exists(f"/proc/{child}"), "its child to end")
        self.dracd.start()
        self.assert_open()

    def test_a_child_that_is_killed_is_started_once_more(self):
        """As if memory were short."""
        withdrawing = self.start_withdrawing(next(iter(map_types.LIVE)))
        first, = self.children(withdrawing)
        os.kill(first, signal.SIGKILL)
        self.dracd.wait_for(lambda: self.children(withdrawing) not in ([], [first]), "the second")
        os.kill(self.children(withdrawing)[0], signal.SIGKILL)
        _, told = withdrawing.communicate(timeout=PATIENCE)
        self.assertEqual(withdrawing.returncode, 1)
        self.assertNotIn("does not answer", told)
        self.withdraw()
        self.assert_closed()

    @unittest.skipUnless(os.getuid() == 0, "root's")
    def test_root_does_not_do_what_others_have_written(self):
        self.login()
        self.kill_both()
        os.chmod(self.dracd.path("state"), 0o775)
        done = self.run_withdraw()
        self.assertEqual(done.returncode, 1)
        self.assertIn("others than its owner can write there", done.stderr)
        self.assert_open()

    def test_what_is_no_socket_is_left_alone(self):
        self.dracd.stop()
        with open(self.dracd.path("precious"), "w", encoding="utf-8") as file:
            file.write("mine")
        self.configure(f'lookup wrong {{ protocol = plain  path = "{self.dracd.path("precious")}" }}\n')
        self.withdraw("-a")
        self.assertTrue(os.path.exists(self.dracd.path("precious")))

    def test_a_socket_that_cannot_be_removed_is_told(self):
        os.mkdir(self.dracd.path("sockets"))
        self.configure(f'lookup inner {{ protocol = plain  path = "{self.dracd.path("sockets/plain")}" }}\n')
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK reloaded"))
        self.kill_both()
        done = self.run_withdraw(tracer=["strace", "-qq", "-o", self.dracd.path("trace"), "-P", self.dracd.path("sockets/plain"),
                                         "-e", "inject=unlink,unlinkat:error=EROFS"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot remove socket", done.stderr)
        self.assertTrue(self.is_noted())

    def test_maps_that_drac_conf_has_lost(self):
        self.login()
        self.kill_both()
        self.configure(maps="")
        self.withdraw()
        self.assert_closed()

    def test_maps_that_nobody_has_noted(self):
        """By a dracd of before this, or the note was lost: that one has died is known."""
        self.login()
        self.kill_both()
        os.unlink(self.dracd.path("state/published"))
        self.withdraw()
        self.assert_closed()

    def test_all_that_is_configured(self):
        self.dracd.stop()
        before = os.stat(self.file("lmdb")).st_ino
        self.assertIn("nothing is left open", self.withdraw())
        self.assertEqual(os.stat(self.file("lmdb")).st_ino, before)
        self.withdraw("-a")
        self.assertNotEqual(os.stat(self.file("lmdb")).st_ino, before)
        self.assert_closed()

    def test_what_is_noted_is_damaged(self):
        self.login()
        for damage in (b"", b"\0\0\0\0", b"dracd-published version=1\nmap name=hash typ", b"dracd-published version=2\n"):
            with self.subTest(damage=damage):
                self.kill_both()
                with open(self.dracd.path("state/published"), "wb") as noted:
                    noted.write(damage)
                self.assertIn("damaged", self.withdraw())
                self.assert_closed()
                self.dracd.start()
                self.assert_open()

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_on_a_full_disk(self):
        """By the spare, which has been there."""
        self.login()
        self.kill_both()
        calls = "write,pwrite64,writev,pwritev,fallocate,ftruncate,copy_file_range"
        done = self.run_withdraw(tracer=["strace", "-f", "-qq", "-o", self.dracd.path("trace"), "-e",
                                         f"inject={calls}:error=ENOSPC"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_closed()

    def test_a_map_that_cannot_be_withdrawn_fails_and_is_tried_again(self):
        self.login()
        self.kill_both()
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        done = self.run_withdraw()
        self.assertEqual(done.returncode, 1)
        self.assertIn("map hash: cannot withdraw", done.stderr)
        self.assertTrue(self.is_noted())
        os.rename(self.dracd.path("away"), self.dracd.path("maps"))
        self.withdraw()
        self.assert_closed()

    # ---- dracd itself ----

    def test_a_start_that_fails_withdraws_what_was_left_open(self):
        self.login()
        self.kill_both()
        with open(self.dracd.path("state/blocks"), "w", encoding="utf-8") as blocks:
            blocks.write("nothing that is understood\n")
        self.dracd.start(wait=False)
        self.assertNotEqual(self.dracd.process.wait(PATIENCE), 0)
        self.assert_closed()
        self.assertIn("nobody has withdrawn the leases of a dracd that died", self.dracd.text())

    def test_a_start_that_cannot_read_what_was_noted_withdraws_all(self):
        self.login()
        self.kill_both()
        os.unlink(self.dracd.path("state/published"))
        os.mkdir(self.dracd.path("state/published"))
        self.dracd.start(wait=False)
        self.assertNotEqual(self.dracd.process.wait(PATIENCE), 0)  # nor can it be written
        self.assert_closed()
        os.rmdir(self.dracd.path("state/published"))

    def test_a_start_withdraws_what_another_configuration_has_left_open(self):
        self.login()
        self.kill_both()
        self.configure(maps="")
        self.dracd.start()
        for kind in map_types.LIVE:
            self.assertEqual(self.rows(kind), {}, kind)

    def test_what_a_start_cannot_withdraw_is_not_forgotten(self):
        self.login()
        self.kill_both()
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        self.configure(maps="")
        self.dracd.start()
        self.dracd.wait_for_log("map lmdb: cannot open the directory of")
        self.assertIn(" state=critical ", self.dracd.control("status")[0])
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK reloaded"))
        self.assertIn("name=lmdb", self.noted())
        self.dracd.stop()
        self.assertIn("name=lmdb", self.noted())
        os.rename(self.dracd.path("away"), self.dracd.path("maps"))
        self.withdraw()
        for kind in map_types.LIVE:
            self.assertEqual(self.rows(kind), {}, kind)

    def test_what_hangs_when_it_starts_does_not_make_it_hang(self):
        """Later, when it is asked to end, or for a login that waits for the maps. It tries again, though."""
        hung = next(iter(map_types.LIVE))
        self.login()
        self.kill_both()
        self.configure(maps="")
        self.dracd.start(wait=False, env=self.hung_environment(hung))
        self.dracd.wait_for_log(f"map {hung}: its leases stay open until dracd is back")
        self.dracd.wait_for(self.dracd.is_ready, "dracd to be ready")
        self.assertIn(" state=critical ", self.dracd.control("status")[0])
        began = time.monotonic()
        self.assertIn("published=no", self.dracd.login("203.0.113.8", f"user=amy wait_ms={1000 * PATIENCE}"))
        self.assertLess(time.monotonic() - began, PATIENCE)
        self.assertIn(f"name={hung}", self.noted())
        self.dracd.process.send_signal(signal.SIGSTOP)  # the guardian would try again, for as long
        os.kill(self.guardian(), signal.SIGKILL)
        self.dracd.process.send_signal(signal.SIGCONT)
        self.dracd.stop()
        self.assertIn(f"name={hung}", self.noted())
        self.withdraw()
        self.assert_closed()

    def test_what_a_start_cannot_withdraw_is_withdrawn_later(self):
        """Once it can be, without a word of anybody's; and then it is forgotten."""
        self.login()
        self.kill_both()
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        self.configure(maps="")
        self.dracd.start()
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK reloaded"))
        os.rename(self.dracd.path("away"), self.dracd.path("maps"))
        self.dracd.wait_for(lambda: not any(self.rows(kind) for kind in map_types.LIVE), "the maps to be withdrawn")
        self.dracd.wait_for(lambda: "map name=" not in self.noted(), "them to be forgotten")
        self.assertIn("map lmdb: 1 replaced files of it cannot be emptied", self.dracd.text())
        self.assertNotIn(" state=critical ", self.dracd.control("status")[0])

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_a_start_that_dies_early_has_withdrawn_what_was_not_noted(self):
        """What was noted is damaged, or lost; and the check of the table, the second thing done, kills dracd."""
        for damage in ("damaged\n", None):
            self.login()
            self.kill_both()
            os.unlink(self.dracd.path("state/published"))
            if damage:
                with open(self.dracd.path("state/published"), "w", encoding="utf-8") as noted:
                    noted.write(damage)
            self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-P",
                                 self.dracd.path("state/table/data.mdb"), "-e", "inject=all:signal=KILL"]
            self.dracd.start(wait=False)
            self.dracd.process.wait(PATIENCE)
            self.assert_closed()
            self.dracd.tracer = []
            self.dracd.start()

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_a_reload_waits_for_no_disk(self):
        """Lookups would wait with it."""
        self.dracd.stop()
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-e", "trace=fsync,fdatasync"]
        self.dracd.start()
        main = str(self.dracd.process.pid)
        self.configure(f'map late {{ type = lmdb  path = "{self.dracd.path("maps/late")}" }}\n')

        def synced():
            with open(self.dracd.path("trace"), encoding="utf-8") as trace:
                return [line for line in trace if line.split()[0] == main]
        before = len(synced())
        self.assertTrue(self.dracd.control("reload")[-1].startswith("OK reloaded"))
        self.assertTrue(os.path.exists(self.dracd.path("maps/late.lmdb")))
        self.assertEqual(len(synced()), before)


class Watchdog(Withdraw):
    extra = "watchdog = 1s\n"

    def test_one_that_hangs_is_killed_and_withdrawn(self):
        self.login()
        time.sleep(1.5)  # longer than it would take, if it were of no use that dracd lives
        self.assertIsNone(self.dracd.process.poll())
        self.assert_open()
        os.kill(self.dracd.process.pid, signal.SIGSTOP)
        started = time.monotonic()
        self.assertEqual(self.dracd.process.wait(PATIENCE), -signal.SIGKILL)
        self.dracd.wait_for(lambda: not self.is_noted(), "the guardian to withdraw")
        print(f"# hung, with a watchdog of 1 s: withdrawn after {time.monotonic() - started:.2f} s")
        self.assert_closed()
        self.assertIn("dracd hangs: it has not moved for 1 s; it is killed", self.dracd.text())


def load_tests(loader, _tests, _pattern):
    """The one case of Watchdog that is its own."""
    suite = loader.loadTestsFromTestCase(Withdraw)
    suite.addTest(Watchdog("test_one_that_hangs_is_killed_and_withdrawn"))
    return suite


if __name__ == "__main__":
    unittest.main()
