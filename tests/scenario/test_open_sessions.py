"""An SMTP session that has a Postfix lmdb map open sees each change of it: a login, and whatever ends a lease, also
when the map is written anew and when dracd is gone."""
import fcntl
import os
import shutil
import signal
import subprocess
import time
import unittest

from dracd_box import BUILD, Case

SESSION = os.path.abspath(os.path.join(BUILD, "tests", "reader", "session"))
BOB, EVE, LATER = "203.0.113.9", "203.0.113.10", "203.0.113.11"
SHORT = 1100  # leases


class Session:
    """Opens the map once, as an smtpd process does."""

    def __init__(self, path):
        self.process = subprocess.Popen([SESSION, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.value("none") == "-"

    def value(self, key):
        self.process.stdin.write(f"{key}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class OpenSessions(Case):
    config = "lease_time = 1h\n"

    def setUp(self):
        super().setUp()
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.configure()
        self.login(BOB)
        self.session = self.open_session()
        self.assertEqual(self.session.value(BOB), "OK")
        self.inode = os.stat(self.map()).st_ino

    def map(self, name="postfix"):
        return self.dracd.path(f"maps/{name}.lmdb")

    def configure(self, more="", names=("postfix",)):
        self.dracd.write_config(self.config + more + "".join(
            f'map {name} {{ type = lmdb path = "{self.dracd.directory}/maps/{name}" interval = 0 end_interval = 0 }}\n'
            for name in names))
        self.assertEqual(self.dracd.control("reload")[-1], "OK reloaded")

    def open_session(self, name="postfix"):
        session = Session(self.map(name))
        self.addCleanup(session.end)
        return session

    def login(self, address, user="bob"):
        self.assertIn("published=yes", self.dracd.login(address, f"user={user} wait_ms=20000"))

    def assert_refused(self, address=BOB):
        """By now; by a session that begins now as well."""
        self.assertEqual(self.session.value(address), "-")
        self.assertEqual(self.open_session().value(address), "-")

    def wait_until_refused(self, address=BOB):
        """By what nobody is told the end of: the end of a lease, and the guardian."""
        self.dracd.wait_for(lambda: self.session.value(address) == "-", "the open session to refuse")
        self.assert_refused(address)

    def assert_follows(self):
        """The file is the same still, and a new login is seen in it."""
        self.login(LATER)
        self.assertEqual(self.session.value(LATER), "OK")
        self.assertEqual(os.stat(self.map()).st_ino, self.inode)

    def test_reload_with_deny(self):
        self.login(EVE)
        self.configure(f'deny = {{"{BOB}"}}\n')
        self.assert_refused()
        self.assertEqual(self.session.value(EVE), "OK")
        self.assert_follows()

    def test_revocation(self):
        self.assertIn("maps_late=0", self.dracd.control(f"revoke address={BOB}")[-1])
        self.assert_refused()
        self.assert_follows()

    def test_deadline(self):
        self.dracd.login(EVE, "user=eve ttl_ms=1000 wait_ms=20000")
        self.assertEqual(self.session.value(EVE), "OK")
        self.wait_until_refused(EVE)
        self.assertEqual(self.session.value(BOB), "OK")
        self.assert_follows()

    def test_many_short_leases(self):
        with self.dracd.stream("report") as report:
            for n in range(SHORT):
                self.assertTrue(report.ask(f"login address=2001:db8:{n:x}::1 user=u{n} ttl_ms=1000").startswith("OK"))
        self.login(EVE)
        self.dracd.wait_for(lambda: all(self.session.value(f"2001:db8:{n:x}::1") == "-" for n in range(SHORT)),
                            "the end of all")
        self.assertIn("maps_late=0", self.dracd.control(f"revoke address={BOB}")[-1])
        self.assertEqual(self.session.value(BOB), "-")
        self.assertEqual(self.session.value(EVE), "OK")
        self.assert_follows()

    def test_rebuild(self):
        for _ in range(2):
            self.assertTrue(self.dracd.control("maps rebuild=yes")[-1].startswith("OK"))
            self.assertEqual(self.session.value(BOB), "OK")
        self.assert_follows()
        self.assertIn("maps_late=0", self.dracd.control(f"revoke address={BOB}")[-1])
        self.assert_refused()

    def test_stop_and_kill(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.dracd.stop(number)
            if number == signal.SIGKILL:
                self.wait_until_refused()
            self.assert_refused()
            self.dracd.start()
            self.login(BOB)
            self.session = self.open_session()
            self.assertEqual(self.session.value(BOB), "OK")

    def test_file_that_root_has_touched(self):
        """As a backup by hard links does, or an administrator who changes its mode."""
        def touch_none(_):
            pass

        def link(path):
            os.link(path, f"{path}.kept")

        for touch in (lambda path: os.chmod(path, 0o640), lambda path: os.chmod(path, 0o400), link, touch_none):
            self.login(LATER)
            session = self.open_session()
            self.assertEqual(session.value(LATER), "OK")
            touch(self.map())
            self.assertIn("maps_late=0", self.dracd.control(f"revoke address={LATER} hold_ms=0")[-1])
            self.dracd.wait_for(lambda: session.value(LATER) == "-", "the open session to refuse")
        os.chmod(self.map(), 0o640)
        session = self.open_session()
        self.dracd.stop()
        self.assertEqual(session.value(BOB), "-")
        self.assertEqual(self.open_session().value(BOB), "-")

    def lock(self, name="postfix"):
        """As one who is in the middle of a lookup, and stays there until the file is closed."""
        held = open(self.map(name), "rb")
        self.addCleanup(held.close)
        fcntl.lockf(held, fcntl.LOCK_SH)
        return held

    def test_a_file_that_was_locked_is_emptied_once_it_is_not(self):
        held = self.lock()
        self.login(EVE)
        self.assertNotEqual(os.stat(self.map()).st_ino, self.inode)
        self.assertEqual(self.session.value(BOB), "OK")  # which whoever holds the lock has brought about
        held.close()
        self.dracd.wait_for(lambda: self.session.value(BOB) == "-", "the old file to be emptied, without a change")
        self.assertEqual(self.open_session().value(BOB), "OK")

    def test_a_file_that_stays_locked_costs_no_work(self):
        """A try to empty it is an event of its directory, which must not bring about the next one."""
        self.lock()
        self.login(EVE)
        self.assertNotEqual(os.stat(self.map()).st_ino, self.inode)
        ticks, span = self.dracd.processor_ticks(), 3
        time.sleep(span)  # what is shown is that nothing happens
        self.assertLess(self.dracd.processor_ticks() - ticks, span * os.sysconf("SC_CLK_TCK") / 5)

    def test_one_that_somebody_else_has_written_to_is_an_error_without_another_change(self):
        held = self.lock()
        with open(self.map(), "ab") as old:
            self.login(EVE)
            self.assertNotEqual(os.stat(self.map()).st_ino, self.inode)
            old.write(b"x")
        held.close()
        self.dracd.wait_for_log("map postfix: 1 replaced files of it cannot be emptied")
        self.assertIn("state=error", self.dracd.control("maps name=postfix")[0])

    def test_one_that_is_given_up_is_an_error(self):
        def given_up(count):
            return f"map postfix: {count} replaced files of it cannot be emptied"

        for number in range(5):
            self.assertNotIn(given_up(1), self.dracd.text())
            self.assertIn("state=ok", self.dracd.control("maps name=postfix")[0])
            before = os.stat(self.map("postfix")).st_ino
            self.lock()
            self.dracd.login(f"203.0.113.{number + 20}", "user=bob")
            self.dracd.wait_for(lambda old=before: os.stat(self.map("postfix")).st_ino != old, "a new file")
        self.dracd.wait_for_log(given_up(1))
        self.assertEqual(self.session.value(BOB), "OK")
        self.assertIn("state=error error=1%20replaced%20files%20cannot%20be%20emptied",
                      self.dracd.control("maps name=postfix")[0])
        self.assertIn("state=critical", "\n".join(self.dracd.control("status")))
        self.dracd.stop()
        self.dracd.wait_for_log(given_up(4))

    def test_four_that_are_locked_hold_the_guardian_up_once(self):
        names = ("a", "b", "c", "d", "postfix")
        self.configure(names=names)
        self.login(EVE)
        for name in names[:-1]:
            self.lock(name)
        self.dracd.stop(signal.SIGKILL)
        # nobody waits for the lock of those that are locked before this one is published
        self.wait_until_refused()
        self.dracd.start()
        self.assertNotIn("another dracd", self.dracd.text())
        for name in names:
            self.assertEqual(self.open_session(name).value(EVE), "OK")

    def test_a_damaged_file_does_not_keep_the_guardian_from_the_others(self):
        self.configure(names=("a", "postfix"))
        self.login(EVE)
        self.dracd.process.send_signal(signal.SIGSTOP)  # or it would notice
        size = os.stat(self.map("a")).st_size
        with open(self.map("a"), "r+b") as file:
            file.seek(2 * 4096)  # what the two meta pages lead to
            file.write(b"\xff" * (size - 2 * 4096))
        self.dracd.stop(signal.SIGKILL)
        self.wait_until_refused()
        self.assertEqual(self.open_session("a").value(BOB), "-")

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_a_guardian_that_cannot_fork_says_whom_it_has_not_reached(self):
        """The first fork of dracd, which is the guardian, and the first of the guardian go well."""
        self.dracd.stop()
        shutil.rmtree(self.dracd.path("state/table"))  # which would be checked in another child
        self.dracd.write_config(self.config + "".join(
            f'map {name} {{ type = {kind} path = "{self.dracd.directory}/maps/{name}" }}\n'
            for name, kind in (("a", "lmdb"), ("postfix", "lmdb"))))
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-e", "trace=clone",
                             "-e", "inject=clone:error=EAGAIN:when=2+"]
        self.dracd.start()
        self.login(BOB)
        first, second = self.open_session("a"), self.open_session("postfix")
        self.dracd.stop(signal.SIGKILL)
        self.dracd.wait_for_log("map postfix: withdrawn, but not from who has the old file open: no room for a process")
        self.dracd.wait_for(lambda: first.value(BOB) == "-", "the map that has a process to be emptied")
        self.assertEqual(second.value(BOB), "OK")
        self.assertEqual(self.open_session("postfix").value(BOB), "-")
        self.assertNotIn("map a: withdrawn, but", self.dracd.text())


if __name__ == "__main__":
    unittest.main()
