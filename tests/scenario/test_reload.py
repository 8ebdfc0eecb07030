"""A reload is one transaction: all of it, or nothing; and who is not concerned notices nothing."""
import os
import shutil
import signal
import subprocess
import unittest

from dracd_box import BASE, BUILD, Dracd
from test_dracd_maps import rows

WITHOUT_LOOKUPS = "\n".join(line for line in BASE.splitlines() if not line.startswith("lookup"))
POLICY = 'lookup policy {{ protocol = policy path = "{dir}/policy" }}\n'
SOCKETMAP = 'lookup map {{ protocol = socketmap path = "{dir}/socketmap" }}\n'
QUESTION = "request=smtpd_access_policy\nclient_address=203.0.113.9\n\n"


class Reload(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.configure(POLICY + SOCKETMAP)
        self.dracd.start()
        self.dracd.login("203.0.113.9")

    def configure(self, text):
        """Everything but lookups and maps stays as it is."""
        self.dracd.write_config(text.format(dir=self.dracd.directory), base=WITHOUT_LOOKUPS + "\n")

    def reload(self, text, *expected):
        """Configure and reload; the answer's lines."""
        self.configure(text)
        self.assertEqual(self.dracd.control("reload"), list(expected) or ["OK reloaded"])

    def ask(self, policy):
        policy.send(QUESTION)
        return policy.until(b"\n\n")

    def gone(self, name):
        return not os.path.exists(self.dracd.path(name))

    def dracctl(self, *words):
        return subprocess.run([f"{BUILD}/client/dracctl", "-s", self.dracd.path("control"), *words],
                              capture_output=True, text=True, timeout=30)


class Lookups(Reload):
    def test_what_is_as_before_is_carried_over(self):
        with self.dracd.stream("policy") as policy:
            self.assertEqual(self.ask(policy), "action=OK")
            inode = os.stat(self.dracd.path("policy")).st_ino
            self.reload(POLICY + 'lookup more {{ protocol = policy path = "{dir}/more" mode = 0600 }}\n')
            self.assertEqual(self.ask(policy), "action=OK", "the open connection goes on")
            self.assertEqual(os.stat(self.dracd.path("policy")).st_ino, inode)
        with self.dracd.stream("more") as more:
            self.assertEqual(self.ask(more), "action=OK")
        self.assertEqual(os.stat(self.dracd.path("more")).st_mode & 0o777, 0o600)
        self.assertTrue(self.gone("socketmap"))
        names = [line.split(" ")[1] for line in self.dracd.control("status") if line.startswith("lookup ")]
        self.assertEqual(names, ["name=policy", "name=more"])

    def test_lookup_that_goes_closes_its_connections(self):
        with self.dracd.stream("policy") as policy:
            self.assertEqual(self.ask(policy), "action=OK")
            self.reload(SOCKETMAP)
            self.assertTrue(policy.at_end())
        self.assertTrue(self.gone("policy"))
        self.assertEqual(self.dracd.socketmap("203.0.113.9"), "5:OK OK")

    def test_another_protocol_and_mode_at_the_same_path(self):
        with self.dracd.stream("policy") as policy:
            self.reload('lookup x {{ protocol = socketmap path = "{dir}/policy" mode = 0666 }}\n' + SOCKETMAP)
            self.assertTrue(policy.at_end())
        with self.dracd.stream("policy") as stream:
            stream.send("16:drac 203.0.113.9,")
            self.assertEqual(stream.until(b","), "5:OK OK")
        self.assertEqual(os.stat(self.dracd.path("policy")).st_mode & 0o777, 0o666)
        self.assertEqual([name for name in os.listdir(self.dracd.directory) if "new" in name], [])

    def test_socket_that_cannot_be_bound_changes_nothing(self):
        text = POLICY + 'lookup bad {{ protocol = policy path = "{dir}/no/such/socket" }}\nlease_time = 5s\n'
        with self.dracd.stream("policy") as policy:
            self.ask(policy)
            self.reload(text, "problem text=lookup%20bad:%20cannot%20open%20socket%20"
                        f"{self.dracd.path('no/such/socket')}:%20No%20such%20file%20or%20directory",
                        "ERR reason=config text=the%20running%20configuration%20stays%20in%20force")
            self.assertEqual(self.ask(policy), "action=OK")
        self.assertEqual(self.dracd.socketmap("203.0.113.9"), "5:OK OK", "it is still there")
        self.assertRegex(self.dracd.login("203.0.113.8"), "left_ms=(1800000|1799[0-9]{3})$")

    def test_path_that_is_no_socket_changes_nothing(self):
        os.mkdir(self.dracd.path("more"))
        self.reload(POLICY + 'lookup more {{ protocol = policy path = "{dir}/more" }}\n',
                    f"problem text=lookup%20more:%20cannot%20open%20socket%20{self.dracd.path('more')}:%20"
                    "Socket%20operation%20on%20non-socket",
                    "ERR reason=config text=the%20running%20configuration%20stays%20in%20force")
        self.assertEqual(self.dracd.socketmap("203.0.113.9"), "5:OK OK")

    def test_the_report_socket_cannot_be_taken_over(self):
        """Not even where drac.conf has another one for the next start."""
        moved = WITHOUT_LOOKUPS.replace("{dir}/report", "{dir}/elsewhere") + "\n"
        self.dracd.write_config('lookup x {{ protocol = policy path = "{dir}/report" }}\n'
                                .format(dir=self.dracd.directory), base=moved)
        self.assertIn("Address%20already%20in%20use", self.dracd.control("reload")[-2])
        self.assertTrue(self.dracd.login("203.0.113.8").startswith("OK granted"))

    def test_very_long_value_does_not_hide_the_other_problems(self):
        self.configure(f"lease_time = {'x' * 5000}\nmode = off\n")
        problems = self.dracd.control("reload")
        self.assertEqual(len(problems), 3, problems)
        self.assertIn("lease_time", problems[0])
        self.assertIn("mode%20=%20off", problems[1])

    def test_bad_file_changes_nothing_and_all_is_told(self):
        self.configure("lease_time = 5s\nlease_tyme = 6s\nmode = maybe\n")
        done = self.dracctl("reload")
        self.assertEqual(done.returncode, 1)
        path = self.dracd.config
        line = open(path).read().splitlines().index("lease_time = 5s") + 1
        self.assertIn(f"{path}:{line + 1}: unknown option 'lease_tyme'", done.stdout + done.stderr)
        self.assertIn(f"{path}:{line + 2}: mode = maybe: must be enforce", done.stdout + done.stderr)
        self.assertRegex(self.dracd.login("203.0.113.8"), "left_ms=(1800000|1799[0-9]{3})$")
        self.assertEqual(self.dracd.policy("203.0.113.9"), "action=OK")
        self.reload(POLICY + SOCKETMAP + "lease_time = 5s\n")
        self.assertRegex(self.dracd.login("203.0.113.7"), "left_ms=(5000|4[0-9]{3})$")

    def test_what_needs_a_restart_is_said_each_time(self):
        for _ in range(2):
            self.reload(POLICY + SOCKETMAP + "durability = process\n", "warning text=durability:%20the%20change%20"
                        "takes%20effect%20at%20the%20next%20restart%20of%20dracd", "OK reloaded")

    def test_killed_after_a_reload_it_leaves_no_socket(self):
        self.reload(SOCKETMAP + 'lookup more {{ protocol = policy path = "{dir}/more" }}\n')
        self.dracd.stop(signal.SIGKILL)
        self.dracd.wait_for(lambda: self.gone("more"), "the guardian to remove the new socket")


@unittest.skipUnless(shutil.which("db5.3_dump"), "db5.3_dump (package db5.3-util) is missing")
@unittest.skipIf("nobdb" in os.environ.get("B", ""), "built without Berkeley DB")
class Maps(Reload):
    ONE = 'map one {{ type = hash keys = postfix path = "{dir}/maps/one" }}\n'
    TWO = 'map two {{ type = hash keys = sendmail path = "{dir}/maps/two" }}\n'

    def map(self, name):
        return rows(self.dracd.path(f"maps/{name}.db"))

    def inode(self, name):
        return os.stat(self.dracd.path(f"maps/{name}.db")).st_ino

    def start_with(self, text):
        """As if the configuration had been so from the start."""
        self.reload(POLICY + SOCKETMAP + text)
        for name in ("one", "two"):
            if f"map {name} " in text:
                self.wait_for_map(name, bool)

    def wait_for_map(self, name, condition):
        path = self.dracd.path(f"maps/{name}.db")
        self.dracd.wait_for(lambda: os.path.exists(path) and condition(self.map(name)), f"map {name}")

    def test_new_map_has_the_leases_that_are_there(self):
        self.start_with(self.ONE)
        self.assertEqual(self.map("one"), {"203.0.113.9": "OK"})
        self.assertIn("published=yes", self.dracd.login("203.0.113.8", "wait_ms=10000"))
        self.assertIn("203.0.113.8", self.map("one"))

    def test_map_that_goes_is_withdrawn_and_the_other_is_not_touched(self):
        self.start_with(self.ONE + self.TWO)
        before = self.inode("two")
        self.reload(POLICY + SOCKETMAP + self.TWO)
        self.wait_for_map("one", lambda rows: rows == {})
        self.dracd.wait_for_log("map one: withdrawn")
        self.assertEqual(self.inode("two"), before)
        self.assertIn("published=yes", self.dracd.login("203.0.113.8", "wait_ms=10000"))
        self.assertEqual(self.map("one"), {}, "nothing is published there any more")
        self.assertEqual(len(self.map("two")), 2)

    def test_changed_map_at_the_same_path(self):
        self.start_with(self.ONE)
        self.reload(POLICY + SOCKETMAP + self.ONE.replace("postfix path", "sendmail path"))
        self.wait_for_map("one", lambda rows: rows == {"203.0.113.9": "RELAY"})
        self.assertIn("published=yes", self.dracd.login("203.0.113.8", "wait_ms=10000"))
        self.assertEqual(len(self.map("one")), 2)

    def test_one_file_by_two_spellings(self):
        """What leaves has left before another type of map has the file."""
        text = 'map list {{ type = relayhosts path = "{dir}/maps/one.db" }}\n'
        self.start_with(self.ONE)
        for _ in range(10):
            self.reload(POLICY + SOCKETMAP + text)
            with open(self.dracd.path("maps/one.db")) as file:
                self.assertEqual(file.read().splitlines()[1:], ["203.0.113.9"])
            self.reload(POLICY + SOCKETMAP + self.ONE)
            self.assertEqual(self.map("one"), {"203.0.113.9": "OK"})
        self.assertNotIn("by someone else", self.dracd.text())

    def threads(self):
        return len(os.listdir(f"/proc/{self.dracd.process.pid}/task"))

    def test_many_reloads_leave_one_worker_a_map(self):
        self.start_with(self.ONE)
        with_one = self.threads()
        for i in range(20):
            self.reload(POLICY + SOCKETMAP + self.ONE + f"lease_time = {i + 2}s\n" +
                        self.TWO.replace("sendmail", ("sendmail", "postfix")[i % 2]))
        self.assertIn("published=yes", self.dracd.login("203.0.113.8", "ttl_ms=100000 wait_ms=10000"))
        self.wait_for_map("two", lambda rows: len(rows) == 2)
        self.assertEqual(set(self.map("two").values()), {"OK"})
        self.dracd.wait_for(lambda: self.threads() == with_one + 1, "old workers to end")

    def test_map_that_cannot_be_withdrawn_is_an_alarm_until_it_is(self):
        self.start_with(self.ONE)
        shutil.rmtree(self.dracd.path("maps"))
        self.reload(POLICY + SOCKETMAP, "OK reloaded maps_late=1")
        self.dracd.wait_for(lambda: self.dracctl("status").returncode == 2, "the alarm")
        self.assertIn("map one: cannot ", self.dracd.text())
        # the next try finds that there is no directory any more, and so no map
        self.dracd.wait_for(lambda: self.dracctl("status").returncode == 0, "the end of the alarm")

    def test_map_whose_directory_was_moved_away_is_withdrawn_where_it_is(self):
        """Or it would be as it was when the directory comes back."""
        self.start_with(self.ONE)
        os.rename(self.dracd.path("maps"), self.dracd.path("away"))
        self.configure(POLICY + SOCKETMAP)
        self.dracd.control("reload")
        self.dracd.wait_for_log("map one: withdrawn")
        os.rename(self.dracd.path("away"), self.dracd.path("maps"))
        self.assertEqual(self.map("one"), {})

    def obstruct(self, path):
        """Puts a directory in the place of a map, which even a spare cannot replace; until os.rmdir()."""
        def has_obstructed():
            try:
                os.unlink(self.dracd.path(path))
                os.mkdir(self.dracd.path(path))
            except (FileNotFoundError, FileExistsError):
                return False  # dracd was quicker to publish the map again
            return True

        self.dracd.wait_for(has_obstructed, "the map to be in the way")

    def stuck(self):
        """Map one, which holds a lease, is no longer configured and cannot be withdrawn."""
        self.start_with(self.ONE)
        self.obstruct("maps/one.db")
        self.configure(POLICY + SOCKETMAP)

    def test_who_is_revoked_is_told_of_a_map_that_is_stuck(self):
        self.stuck()
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded maps_late=1"])
        self.assertIn("maps_late=1", self.dracd.control("revoke address=203.0.113.9")[-1])
        os.rmdir(self.dracd.path("maps/one.db"))
        self.wait_for_map("one", lambda rows: rows == {})

    def test_successor_of_a_map_that_is_stuck_holds_up_nobody(self):
        self.stuck()
        self.dracd.control("reload")
        self.configure(POLICY + SOCKETMAP + self.ONE.replace("}}", " interval = 1s }}"))
        self.dracd.control("reload")
        maps = self.dracd.control("maps")
        self.assertIn("state=error", maps[0])
        self.assertIn("withdraw", maps[0])
        answer = self.dracd.login("203.0.113.7", "wait_ms=20000")
        self.assertIn("published=no", answer)
        os.rmdir(self.dracd.path("maps/one.db"))
        self.wait_for_map("one", lambda rows: len(rows) == 2)

    def test_deny_does_not_wait_for_the_interval(self):
        slow = self.ONE.replace("}}", " interval = 60s end_interval = 60s }}")
        self.start_with(slow)
        for _ in range(5):  # it is in no map any more when that is answered
            self.reload(POLICY + SOCKETMAP + slow + 'deny = {{"203.0.113.9"}}\n')
            self.assertEqual(self.map("one"), {})
            self.reload(POLICY + SOCKETMAP + slow)
            self.assertIn("published=yes", self.dracd.login("203.0.113.9", "wait_ms=10000"))
            self.assertEqual(self.map("one"), {"203.0.113.9": "OK"})

    def test_guardian_leaves_alone_what_dracd_has_given_up(self):
        self.start_with(self.ONE + self.TWO)
        os.mkdir(self.dracd.path("other"), 0o755)
        moved = self.TWO.replace("maps/two", "other/two")
        self.reload(POLICY + SOCKETMAP + moved)  # from here on there is one that cannot leave
        self.obstruct("other/two.db")
        self.configure(POLICY + SOCKETMAP)
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded maps_late=1"])
        with open(self.dracd.path("maps/one.db"), "w") as file:
            file.write("the administrator's own")
        self.dracd.stop(signal.SIGKILL)
        self.dracd.wait_for_log("its leases stay open until dracd is back")
        with open(self.dracd.path("maps/one.db")) as file:
            self.assertEqual(file.read(), "the administrator's own")

    def test_killed_after_a_reload_it_withdraws_what_is_in_force(self):
        self.start_with(self.ONE)
        self.reload(POLICY + SOCKETMAP + self.TWO)
        self.wait_for_map("two", bool)
        self.dracd.wait_for_log("map one: withdrawn")
        os.remove(self.dracd.path("maps/one.db"))
        self.dracd.stop(signal.SIGKILL)
        self.wait_for_map("two", lambda rows: rows == {})
        self.assertTrue(self.gone("maps/one.db"), "it is nobody's any more")


if __name__ == "__main__":
    unittest.main()
