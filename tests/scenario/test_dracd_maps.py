"""The maps dracd publishes, read with the format's own tool: db5.3_dump."""
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

from dracd_box import Dracd

MAPS = """
map postfix {{ type = hash keys = postfix path = "{dir}/maps/postfix" end_interval = 0 }}
map sendmail {{ type = hash keys = sendmail path = "{dir}/maps/drac" }}
map access {{ type = hash keys = access path = "{dir}/maps/access" static = "{dir}/access" }}
"""
STATIC = "# the administrator's own\nConnect:192.0.2.66\tREJECT\nConnect:198.51.100\tERROR:\"550 no\"\nlocalhost RELAY\n"


def rows(path):
    """Keys and values of a Berkeley DB file."""
    dump = subprocess.run(["db5.3_dump", "-p", path], capture_output=True, text=True, check=True)
    body = dump.stdout.split("HEADER=END\n")[1].split("DATA=END")[0].splitlines()
    plain = [line.strip().removesuffix("\\00") for line in body]
    return dict(zip(plain[::2], plain[1::2]))


@unittest.skipUnless(shutil.which("db5.3_dump"), "db5.3_dump (package db5.3-util) is missing")
@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Maps(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        with open(self.dracd.path("access"), "w") as static:
            static.write(STATIC)
        self.configure()
        self.dracd.start()

    def configure(self, more=""):
        self.dracd.write_config(MAPS.format(dir=self.dracd.directory) + more)

    def map(self, name):
        return rows(self.dracd.path(f"maps/{name}.db"))

    def login(self, address):
        answer = self.dracd.login(address, "user=bob wait_ms=10000")
        self.assertIn("published=yes", answer)

    def wait_for_map(self, name, expected):
        self.dracd.wait_for(lambda: self.map(name) == expected, f"{name} to be {expected}")

    STATIC_ROWS = {"connect:192.0.2.66": "REJECT", "connect:198.51.100": 'ERROR:"550 no"',
                   "localhost": "RELAY"}

    def test_empty_and_valid_from_the_start(self):
        self.assertEqual(self.map("postfix"), {})
        self.assertEqual(self.map("drac"), {})
        self.assertEqual(self.map("access"), self.STATIC_ROWS)
        self.assertEqual(os.stat(self.dracd.path("maps/drac.db")).st_mode & 0o777, 0o644)

    def test_published_when_the_waiting_login_is_answered(self):
        self.login("203.0.113.9")
        self.login("2001:db8:1::77")
        self.assertEqual(self.map("postfix"), {"203.0.113.9": "OK", "2001:db8:1::77": "OK"})
        self.assertEqual(self.map("drac"),
                         {"203.0.113.9": "RELAY", "2001:db8:1:0:0:0:0:77": "RELAY"})
        self.assertEqual(self.map("access"), self.STATIC_ROWS | {
            "connect:203.0.113.9": "RELAY", "connect:ipv6:2001:db8:1:0:0:0:0:77": "RELAY"})

    def test_renewal_touches_no_map(self):
        self.login("203.0.113.9")
        before = os.stat(self.dracd.path("maps/postfix.db"))
        self.login("203.0.113.9")
        after = os.stat(self.dracd.path("maps/postfix.db"))
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))

    def test_row_that_is_deleted_costs_no_second_publication(self):
        self.login("203.0.113.10")
        self.dracd.login("203.0.113.9", "user=eve ttl_ms=1000 wait_ms=10000")
        self.wait_for_map("postfix", {"203.0.113.10": "OK"})
        self.dracd.wait_for_log("ended 203.0.113.9")
        before = os.stat(self.dracd.path("maps/postfix.db")).st_ino
        # the commits of renewals delete the row that is over; an answer that waits for the maps
        # comes after any publication they had caused
        for _ in range(3):
            self.login("203.0.113.10")
        self.assertEqual(os.stat(self.dracd.path("maps/postfix.db")).st_ino, before)

    def test_lease_that_a_revocation_shortens_ends_in_time(self):
        self.dracd.login("203.0.113.9", "user=alice ttl_ms=2000")
        self.dracd.login("203.0.113.9", "user=bob ttl_ms=600000 wait_ms=10000")
        self.assertIn("OK", self.dracd.control("revoke user=bob hold_ms=0")[-1])
        self.assertTrue(self.dracd.admits("203.0.113.9"))  # by alice's login
        self.wait_for_map("postfix", {})

    def test_waiting_login_does_not_wait_for_the_interval(self):
        self.dracd.stop()
        self.dracd.write_config("\n".join(line.replace("}}", "interval = 60s }}") for line in
                                          MAPS.splitlines()).format(dir=self.dracd.directory))
        self.dracd.start()
        before = os.stat(self.dracd.path("maps/postfix.db")).st_ino
        self.dracd.login("203.0.113.10", "user=bob")
        self.assertEqual(os.stat(self.dracd.path("maps/postfix.db")).st_ino, before)
        started = time.monotonic()
        answer = self.dracd.login("203.0.113.11", "user=bob wait_ms=4000")
        self.assertIn("published=yes", answer)
        # a third of its time is for the pause between publications
        self.assertGreaterEqual(time.monotonic() - started, 1.3)
        self.assertEqual(set(self.map("postfix")), {"203.0.113.10", "203.0.113.11"})

    def test_revoked_everywhere_when_answered(self):
        self.login("203.0.113.9")
        answer = self.dracd.control("revoke address=203.0.113.9")[-1]
        self.assertIn("maps=3 maps_late=0", answer)
        self.assertEqual(self.map("postfix"), {})
        self.assertEqual(self.map("access"), self.STATIC_ROWS)

    def test_static_refusal_wins(self):
        self.login("192.0.2.66")
        self.login("198.51.100.7")
        self.assertEqual(self.map("access"), self.STATIC_ROWS)
        self.assertEqual(set(self.map("drac")), {"192.0.2.66", "198.51.100.7"})

    def test_static_file_is_read_again(self):
        self.login("192.0.2.66")
        with open(self.dracd.path("access.new"), "w") as static:
            static.write("localhost RELAY\n")
        os.rename(self.dracd.path("access.new"), self.dracd.path("access"))
        self.wait_for_map("access", {"localhost": "RELAY", "connect:192.0.2.66": "RELAY"})

    def test_damaged_static_file_leaves_the_last_good_rows(self):
        with open(self.dracd.path("access"), "w") as static:
            static.write("localhost RELAY\n leading blank\n")
        self.dracd.wait_for_log(f"map access: {self.dracd.path('access')}:2:")
        self.login("203.0.113.9")
        self.assertEqual(self.map("access"),
                         self.STATIC_ROWS | {"connect:203.0.113.9": "RELAY"})
        status = "\n".join(self.dracd.control("status"))
        self.assertIn("state=critical", status)

    def test_clean_stop_withdraws(self):
        self.login("203.0.113.9")
        self.dracd.stop()
        self.assertEqual(self.map("postfix"), {})
        self.assertEqual(self.map("access"), self.STATIC_ROWS)
        self.dracd.start()
        self.assertEqual(self.map("postfix"), {"203.0.113.9": "OK"})

    def test_kill_withdraws(self):
        self.login("203.0.113.9")
        self.dracd.stop(signal.SIGKILL)
        self.wait_for_map("postfix", {})
        self.wait_for_map("drac", {})
        self.wait_for_map("access", self.STATIC_ROWS)
        self.dracd.start()
        self.assertEqual(self.map("postfix"), {"203.0.113.9": "OK"})

    def test_map_replaced_by_hand_is_rebuilt(self):
        self.login("203.0.113.9")
        shutil.copy(self.dracd.path("maps/drac.db"), self.dracd.path("maps/other"))
        os.rename(self.dracd.path("maps/other"), self.dracd.path("maps/postfix.db"))
        self.login("203.0.113.10")
        self.assertEqual(self.map("postfix"), {"203.0.113.9": "OK", "203.0.113.10": "OK"})

    def test_map_that_cannot_be_written_is_an_alarm_and_recovers(self):
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        os.mkdir(self.dracd.path("maps"), 0o755)
        os.rmdir(self.dracd.path("maps"))
        os.rename(self.dracd.path("away"), self.dracd.path("maps"))
        os.unlink(self.dracd.path("maps/postfix.db"))
        os.mkdir(self.dracd.path("maps/postfix.db"))  # in the way of the file
        answer = self.dracd.login("203.0.113.9", "user=bob wait_ms=10000")
        self.assertTrue(answer.startswith("OK granted"), answer)
        self.assertIn("published=no", answer)
        self.assertEqual(self.dracd.policy("203.0.113.9"), "action=OK")
        self.dracd.wait_for_log("map postfix: cannot ")
        self.assertIn("state=critical", "\n".join(self.dracd.control("status")))
        os.rmdir(self.dracd.path("maps/postfix.db"))
        self.dracd.wait_for_log("map postfix: published again")
        self.assertEqual(self.map("postfix"), {"203.0.113.9": "OK"})

    def test_map_that_recovers_has_missed_no_end(self):
        self.dracd.login("203.0.113.8", "user=eve ttl_ms=1500 wait_ms=10000")
        self.login("203.0.113.9")
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        self.assertIn("published=no",
                      self.dracd.login("203.0.113.10", "user=bob wait_ms=10000"))
        self.dracd.wait_for_log("ended 203.0.113.8")
        for n in range(11, 14):  # commits, which may delete the row that is over
            self.dracd.login(f"203.0.113.{n}")
        # where it is now it has been withdrawn: it may come back at any time
        self.assertEqual(set(rows(self.dracd.path("away/postfix.db"))), set())
        os.rename(self.dracd.path("away"), self.dracd.path("maps"))
        for name in ("postfix", "sendmail", "access"):
            self.dracd.wait_for_log(f"map {name}: published again")
        lease = {f"203.0.113.{n}" for n in range(9, 14)}
        self.assertEqual(set(self.map("postfix")), lease)
        self.assertEqual(set(self.map("drac")), lease)
        self.assertEqual(set(self.map("access")) - set(self.STATIC_ROWS),
                         {f"connect:{address}" for address in lease})

    def test_one_user_less_ends_the_lease_when_the_others_are_over(self):
        self.dracd.login("203.0.113.9", "user=alice ttl_ms=1000 wait_ms=10000")
        self.dracd.login("203.0.113.9", "user=bob ttl_ms=600000 wait_ms=10000")
        # some other lease ends meanwhile, so the maps have passed alice's deadline
        self.dracd.login("203.0.113.10", "user=eve ttl_ms=1200 wait_ms=10000")
        self.wait_for_map("postfix", {"203.0.113.9": "OK"})
        self.assertIn("maps_late=0", self.dracd.control("revoke user=bob")[-1])
        self.assertEqual(self.map("postfix"), {})

    def test_static_file_that_is_bad_from_the_start_lets_nobody_in(self):
        self.dracd.stop()
        with open(self.dracd.path("access"), "a") as static:
            static.write("connect:203.0.113.9 REJECT\n leading blank\n")
        os.unlink(self.dracd.path("maps/.access.db.spare"))
        self.dracd.start()
        self.assertIn("published=no", self.dracd.login("203.0.113.9", "wait_ms=10000"))
        self.assertEqual(self.map("access"), {})
        self.assertEqual(self.map("postfix"), {"203.0.113.9": "OK"})

    def spoil_static(self):
        with open(self.dracd.path("access"), "w") as static:
            static.write("localhost RELAY\n leading blank\n")

    def mend_static(self):
        with open(self.dracd.path("access.new"), "w") as static:
            static.write("localhost RELAY\n")
        os.rename(self.dracd.path("access.new"), self.dracd.path("access"))

    def assert_good_again(self):
        self.mend_static()
        self.wait_for_map("access", {"localhost": "RELAY", "connect:203.0.113.9": "RELAY",
                                     "connect:192.0.2.66": "RELAY"})
        # the file is in place a moment before the worker has told the loop of it
        self.dracd.wait_for(
            lambda: "state=critical" not in "\n".join(self.dracd.control("status")),
            "the state to be good")
        self.dracd.stop()
        self.assertEqual(self.map("access"), {"localhost": "RELAY"})

    def test_start_with_a_bad_static_file_keeps_the_rows_that_were_good(self):
        self.login("203.0.113.9")
        self.login("192.0.2.66")
        self.dracd.stop()
        for spoil in (self.spoil_static, lambda: os.unlink(self.dracd.path("access"))):
            spoil()
            for _ in range(2):  # the second finds what the first has left
                self.dracd.start()
                self.assertEqual(self.map("access"), self.STATIC_ROWS)
                self.dracd.stop()
                self.assertEqual(self.map("access"), self.STATIC_ROWS)
        self.dracd.start()
        self.dracd.wait_for_log("so the map has the rows of its last good state, but no lease")
        shown = "\n".join(self.dracd.control("maps name=access verify=yes"))
        self.assertIn("state=error", shown)
        self.assertIn("verified=no", shown)
        # a lease that ends takes no row of the administrator's with it
        self.assertIn("maps_late=0", self.dracd.control("revoke address=192.0.2.66 hold_ms=0")[-1])
        self.assertIn("published=no", self.dracd.login("192.0.2.66", "wait_ms=10000"))
        self.assertTrue(self.dracd.control("maps rebuild=yes")[-1].startswith("OK"))
        self.assertEqual(self.map("access"), self.STATIC_ROWS)
        self.assertIn("state=critical", "\n".join(self.dracd.control("status")))
        self.assert_good_again()

    def test_kill_with_a_bad_static_file_keeps_the_rows_that_were_good(self):
        self.login("203.0.113.9")
        self.login("192.0.2.66")
        self.spoil_static()
        for _ in range(2):
            self.dracd.stop(signal.SIGKILL)
            self.wait_for_map("access", self.STATIC_ROWS)
            self.dracd.start()
            self.assertEqual(self.map("access"), self.STATIC_ROWS)
        self.dracd.wait_for_log("map access: withdrawn with the rows of the last good state of ")
        self.assert_good_again()

    def test_type_that_is_new_takes_no_rows_of_the_old_one(self):
        self.login("203.0.113.9")
        self.dracd.stop()
        self.spoil_static()
        self.dracd.write_config(MAPS.format(dir=self.dracd.directory).replace(
            "access { type = hash", "access { type = btree"))
        self.dracd.start()
        self.assertEqual(self.map("access"), {})
        self.assert_magic_of_btree("access")

    def assert_magic_of_btree(self, name):
        with open(self.dracd.path(f"maps/{name}.db"), "rb") as file:
            self.assertEqual(int.from_bytes(file.read(16)[12:], sys.byteorder), 0x053162)

    def test_failed_start_withdraws_what_was_left_open(self):
        self.login("203.0.113.9")
        self.dracd.control("revoke address=198.51.100.1")
        left = self.dracd.path("left.db")
        shutil.copy(self.dracd.path("maps/postfix.db"), left)
        self.dracd.stop()
        # as after a loss of power: nobody has withdrawn
        os.rename(left, self.dracd.path("maps/postfix.db"))
        with open(self.dracd.path("state/blocks"), "a") as blocks:
            blocks.write("junk\n")
        self.dracd.start(wait=False)
        self.assertEqual(self.dracd.process.wait(30), 1)
        self.wait_for_map("postfix", {})

    def test_stop_that_cannot_withdraw_leaves_it_to_the_guardian(self):
        self.login("203.0.113.9")
        self.dracd.process.send_signal(signal.SIGSTOP)  # or it would be quicker to put it right
        os.rename(self.dracd.path("maps/postfix.db"), self.dracd.path("old"))
        os.mkdir(self.dracd.path("maps/postfix.db"))
        self.dracd.process.send_signal(signal.SIGTERM)
        self.dracd.process.send_signal(signal.SIGCONT)
        self.dracd.wait_for_log("map postfix: cannot withdraw")
        os.rmdir(self.dracd.path("maps/postfix.db"))
        self.assertEqual(self.dracd.process.wait(30), 0)
        self.assertEqual(self.map("postfix"), {})
        self.assertNotIn("stopped; leases are withdrawn", self.dracd.text())

    def test_stop_withdraws_a_map_whose_directory_was_moved_away(self):
        self.login("203.0.113.9")
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        self.assertEqual(self.dracd.stop(), 0)
        self.assertEqual(rows(self.dracd.path("away/postfix.db")), {})
        self.assertIn("stopped; leases are withdrawn", self.dracd.text())

    def test_stop_with_logins_under_way(self):
        with self.dracd.stream("report") as report:
            report.send("".join(f"login address=198.51.100.{n} user=u{n} wait_ms=10000\n"
                                for n in range(60)))
            report.line()
            self.assertEqual(self.dracd.stop(), 0)
        self.assertEqual(self.map("postfix"), {})

    def test_observe_publishes_the_static_rows_only(self):
        self.login("203.0.113.9")
        self.configure("mode = observe\n")
        self.dracd.control("reload")
        self.wait_for_map("postfix", {})
        self.wait_for_map("access", self.STATIC_ROWS)
