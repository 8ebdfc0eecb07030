"""While dracd starts: whoever asks or reports is answered before the maps are published; READY waits for them."""
import os
import shutil
import signal
import socket
import unittest

from dracd_box import Dracd
from test_dracd_maps import rows

MAP = 'map postfix {{ type = hash keys = postfix path = "{dir}/maps/postfix" }}\n'
MORE = 'lookup more {{ protocol = policy path = "{dir}/more" }}\n'
SOCKETS = ("policy", "socketmap", "more", "report", "control")
SLOW_USEC = 1500000  # for the directory of the maps to be synced; a publication does it once at least


class Start(unittest.TestCase):
    """A table with one lease."""

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.dracd.start()
        self.dracd.login("203.0.113.9")
        self.dracd.stop()

    def configure(self, text):
        self.dracd.write_config(text.format(dir=self.dracd.directory))

    def exists(self, name):
        return os.path.exists(self.dracd.path(name))

    def nothing_is_left(self):
        self.assertEqual([name for name in os.listdir(self.dracd.directory)
                          if name.partition(".")[0] in SOCKETS], [])


class FailedStart(Start):
    def test_lookup_that_cannot_be_bound_takes_the_others_with_it(self):
        self.configure('lookup bad {{ protocol = policy path = "{dir}/no/such/socket" }}\n')
        self.dracd.start(wait=False)
        self.assertEqual(self.dracd.process.wait(30), 1)
        self.assertIn("lookup bad: cannot open socket", self.dracd.text())
        self.nothing_is_left()

    def test_name_that_cannot_be_taken_takes_the_others_with_it(self):
        os.mkdir(self.dracd.path("control"))
        self.dracd.start(wait=False)
        self.assertEqual(self.dracd.process.wait(30), 1)
        self.assertIn(f"cannot open socket {self.dracd.path('control')}", self.dracd.text())
        os.rmdir(self.dracd.path("control"))
        self.nothing_is_left()


class SuspectTable(Start):
    """What is found wrong with the table at the start, and is not."""

    def test_file_that_was_never_written_is_no_damage(self):
        os.truncate(self.dracd.path("state/table/data.mdb"), 0)
        self.dracd.start()
        self.assertNotIn("moved aside", self.dracd.text())
        self.assertTrue(self.dracd.login("203.0.113.10").startswith("OK granted"))

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_killed_check_costs_no_lease(self):
        # only the child that checks sets an alarm
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-e",
                             "inject=alarm:signal=KILL"]
        self.dracd.start(wait=False)
        self.assertEqual(self.dracd.process.wait(30), 1)
        self.assertIn("table: cannot read it", self.dracd.text())
        self.dracd.tracer = []
        self.dracd.start()
        self.assertNotIn("moved aside", self.dracd.text())
        self.assertTrue(self.dracd.admits("203.0.113.9"))

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_marker_that_cannot_be_read_costs_no_lease(self):
        self.dracd.start()
        self.dracd.stop(signal.SIGKILL)
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-P",
                             self.dracd.path("state/running"), "-e", "inject=read:error=EIO"]
        self.dracd.start(wait=False)
        self.assertEqual(self.dracd.process.wait(30), 1)
        self.assertIn("cannot read running", self.dracd.text())
        self.dracd.tracer = []
        self.dracd.start()
        self.assertNotIn("moved aside", self.dracd.text())
        self.assertTrue(self.dracd.admits("203.0.113.9"))


@unittest.skipUnless(shutil.which("strace"), "strace is missing")
@unittest.skipUnless(shutil.which("db5.3_dump"), "db5.3_dump (package db5.3-util) is missing")
@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class BeforeTheMaps(Start):
    """The first publication takes long."""

    def setUp(self):
        super().setUp()
        self.configure(MAP)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(self.dracd.path("notify"))
        self.manager.setblocking(False)
        self.told = []
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-P", self.dracd.path("maps"),
                             "-e", f"inject=fsync:delay_enter={SLOW_USEC}"]
        self.dracd.start(wait=False, env={**os.environ, "NOTIFY_SOCKET": self.dracd.path("notify")})
        self.dracd.wait_for(lambda: self.exists("socketmap"), "the last socket")

    def is_told(self, word):
        """Whether the manager has been told that, by now."""
        try:
            while True:
                self.told += self.manager.recv(4096).decode().splitlines()
        except BlockingIOError:
            return word in self.told

    def not_yet_ready(self):
        self.dracd.wait_for(lambda: self.is_told("STATUS=answering; the maps are being published"), "the status")
        self.assertFalse(self.is_told("READY=1"))
        self.assertNotIn("started version=", self.dracd.text(self.dracd.begins))

    def end(self, how):
        """The lookups go at once."""
        self.dracd.process.send_signal(how)
        self.dracd.wait_for(lambda: not self.exists("socketmap") and not self.exists("policy"), "the lookups to go")
        self.dracd.process.wait(30)
        self.dracd.wait_for(lambda: self.exists("maps/postfix.db"), "the map to be withdrawn")
        self.assertEqual(rows(self.dracd.path("maps/postfix.db")), {})
        self.assertFalse(self.is_told("READY=1"))

    def test_lookups_and_logins_are_answered_before_ready(self):
        self.assertTrue(self.dracd.admits("203.0.113.9"))
        self.assertFalse(self.dracd.admits("203.0.113.10"))
        self.assertTrue(self.dracd.login("203.0.113.10").startswith("OK granted"))
        self.assertIn("published=no", self.dracd.login("203.0.113.11", "wait_ms=100"))
        self.assertTrue(self.dracd.admits("203.0.113.10"))
        self.not_yet_ready()
        self.dracd.wait_for(lambda: self.is_told("READY=1"), "READY")
        self.assertIn("203.0.113.9", rows(self.dracd.path("maps/postfix.db")))
        self.assertIn("started version=", self.dracd.text(self.dracd.begins))

    def test_login_that_waits_is_answered_when_it_is_published(self):
        answer = self.dracd.login("203.0.113.10", "wait_ms=20000")
        self.assertIn("published=yes", answer)
        self.assertIn("203.0.113.10", rows(self.dracd.path("maps/postfix.db")))

    def test_reload_is_no_ready(self):
        self.configure(MAP + MORE)
        self.dracd.process.send_signal(signal.SIGHUP)  # "reload" on the control socket waits for the maps
        self.dracd.wait_for_log(" reloaded")
        with self.dracd.stream("more") as more:
            more.send("request=smtpd_access_policy\nclient_address=203.0.113.9\n\n")
            self.assertEqual(more.until(b"\n\n"), "action=OK")
        self.not_yet_ready()
        self.assertFalse(self.is_told("RELOADING=1"))
        self.dracd.wait_for(lambda: self.is_told("READY=1"), "READY")

    def test_stopped_meanwhile(self):
        self.not_yet_ready()
        self.end(signal.SIGTERM)
        self.nothing_is_left()

    def test_killed_meanwhile(self):
        self.not_yet_ready()
        self.end(signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
