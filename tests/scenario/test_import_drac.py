"""dracctl import-drac: what is granted of a database that DRAC has left, and what is left out."""
import array
import fcntl
import os
import re
import select
import socket
import stat
import subprocess
import threading
import time
import unittest

import map_types
import old_database
from dracctl_box import DRACCTL
from dracd_box import PATIENCE, Case, fields

MANY = 100000
SECONDS_MAX = 60  # generous: other tests run beside it


@unittest.skipUnless(old_database.is_built(), "built without Berkeley DB")
class Import(Case):
    """Has no cases of its own."""

    def database(self, rows, kind="btree", page_size=512):
        return old_database.written(self.dracd.path("dracd.db"), rows, kind, page_size)

    def dracctl(self, path, **how):
        """Status, output and errors."""
        done = subprocess.run([DRACCTL, "-s", self.dracd.path("control"), "import-drac", path],
                              capture_output=True, encoding="utf-8", timeout=4 * PATIENCE, **how)
        return done.returncode, done.stdout, done.stderr

    def leases(self):
        """left_ms by address."""
        found = map(fields, self.dracd.control("list")[:-1])
        return {lease["address"]: int(lease["left_ms"]) for lease in found}


class Spellings(Import):
    def test_every_spelling_in_both_kinds_of_file(self):
        number = 0
        for kind in old_database.KINDS:
            for page_size in (512, 4096):
                rows = []
                wanted = set()
                for _ in range(8):
                    for text in (f"203.0.113.{number}", f"2001:db8::{number + 1:x}"):
                        rows.append(old_database.variant(number, text, 600))
                        wanted.add(text)
                    number += 1
                with self.subTest(kind=kind, page_size=page_size):
                    path = self.database(rows, kind, page_size)
                    self.assertEqual(self.dracctl(path), (0, "granted 16, renewed 0 of 16 rows\n", ""))
                    self.assertLessEqual(wanted, set(self.leases()))
        self.assertTrue(all(590000 < left <= 600000 for left in self.leases().values()))
        self.assertTrue(self.dracd.admits("203.0.113.1"))
        self.dracd.wait_for_log("granted 203.0.113.1 ")
        self.assertIn("reporter=import-drac", self.dracd.text())
        self.assertIn("imported rows=16 granted=16 renewed=0 expired=0 malformed=0 refused=0", self.dracd.text())

    def test_one_address_in_two_spellings_is_one_lease(self):
        later, sooner = old_database.deadline(600), old_database.deadline(60)
        rows = [(b"203.0.113.9", sooner), (b"203.0.113.9\0", later), (b"203.0.113.9/32", sooner),
                (b"::ffff:203.0.113.9", sooner)]
        self.assertEqual(self.dracctl(self.database(rows)), (0, "granted 1, renewed 3 of 4 rows\n", ""))
        self.assertEqual(list(self.leases()), ["203.0.113.9"])
        self.assertGreater(self.leases()["203.0.113.9"], 590000)


class Deadlines(Import):
    config = "lease_time = 2min\nlease_time_max = 10min\n"

    def test_a_lease_has_what_is_left_and_no_more_than_the_longest(self):
        rows = [(b"203.0.113.1", old_database.deadline(60)), (b"203.0.113.2", old_database.deadline(300)),
                (b"203.0.113.3", old_database.deadline(7200)), (b"203.0.113.4", b"9" * 19),
                (b"203.0.113.5", old_database.deadline(-1)), (b"203.0.113.6", b"0"), (b"203.0.113.7", b"0001")]
        self.assertEqual(self.dracctl(self.database(rows)), (
            0, "granted 4, renewed 0 of 7 rows; left out 3 expired, 0 not understood, 0 refused\n", ""))
        left = self.leases()
        for address, most in (("203.0.113.1", 60000), ("203.0.113.2", 300000), ("203.0.113.3", 600000),
                              ("203.0.113.4", 600000)):
            self.assertTrue(most - 10000 < left.pop(address) <= most, address)
        self.assertEqual(left, {})

    def test_once_more_changes_nothing(self):
        path = self.database([(b"203.0.113.1", old_database.deadline(60))])
        self.assertEqual(self.dracctl(path)[1], "granted 1, renewed 0 of 1 rows\n")
        until = fields(self.dracd.control("list")[0])["until_ms"]
        self.assertEqual(self.dracctl(path)[1], "granted 0, renewed 1 of 1 rows\n")
        again = fields(self.dracd.control("list")[0])["until_ms"]
        self.assertLessEqual(abs(int(until) - int(again)), 2)

    def test_a_longer_lease_is_not_cut(self):
        self.dracd.login("203.0.113.1", "user=bob service=imap ttl_ms=600000")
        self.dracctl(self.database([(b"203.0.113.1", old_database.deadline(60))]))
        self.assertGreater(self.leases()["203.0.113.1"], 590000)


class LeftOut(Import):
    config = ('never_lease = {"203.0.113.99"}\ndeny = {"203.0.113.98"}\n'
              'lease_networks = {"203.0.113.0/24", "10.0.0.0/8", "0.0.0.0/8", "255.0.0.0/8", "127.0.0.0/8"}\n')

    def test_the_guard_and_rows_that_are_none(self):
        good = old_database.deadline(600)
        refused = [(b"10.0.0.7", "private address; see lease_special"), (b"127.0.0.1", "this host's own address"),
                   (b"255.255.255.255", "broadcast address"), (b"0.0.0.0", "the unspecified address"),
                   (b"203.0.113.99", "excluded by never_lease; see never_lease"),
                   (b"203.0.113.98", "denied by deny; see deny"),
                   (b"198.51.100.7", "outside of lease_networks; see lease_networks"),
                   (b"203.0.113.97", "revoked; see dracctl unblock")]
        malformed = [(b"", good, "its key is no address"), (b"\0", good, "its key is no address"),
                     (b"nowhere", good, "its key is no address"), (b"203.0.113.0/24", good, "its key is a network"),
                     (b"203.0.113.1\0x", good, "its key is no address"),
                     (b"203.0.113.2\0\0", good, "its key is no address"),
                     (b"\x1b[2J\xff", good, "its key is no address"), (b"x" * 300, good, "its key is no address"),
                     (b"203.0.113.3", b"", "its value is no time"), (b"203.0.113.4", b"-1", "its value is no time"),
                     (b"203.0.113.5", b"1" * 20, "its value is no time"), (b"203.0.113.6", good + b" ", "its value is no time"),
                     (b"203.0.113.7", b"OK", "its value is no time"), (b"203.0.113.8", b"12\x0034", "its value is no time")]
        self.dracd.control("revoke address=203.0.113.97 hold_ms=600000")
        rows = [(key, good) for key, _ in refused] + [(key, value) for key, value, _ in malformed]
        path = self.database([*rows, (b"203.0.113.42", good)])
        status, out, err = self.dracctl(path)
        self.assertEqual(status, 0)
        self.assertTrue(out.startswith("granted 1, renewed 0 of 23 rows; left out 0 expired, 14 not understood, 8 refused: "))
        self.assertEqual(set(out.strip().rpartition("refused: ")[2].split(", ")),
                         {f"1 {name}" for name in ("unspecified", "broadcast", "own_address", "private", "never_lease",
                                                   "denied", "revoked", "not_in_networks")})
        told = dict(re.fullmatch(re.escape(f"dracctl: {path}: row ") + r"(\d+: \".*\"): (.*)", line).groups()
                    for line in err.splitlines())
        self.assertEqual(len(told), 22)
        by_key = {}
        for key, text in told.items():
            by_key.setdefault(key.partition(": ")[2].strip('"'), set()).add(text)
        for key, text in refused + [(key, text) for key, _, text in malformed]:
            shown = key[:-1] if key.endswith(b"\0") else key
            shown = "".join(chr(c) if 0x20 <= c < 0x7f else "?" for c in shown[:63])
            self.assertIn(text, by_key[shown], key)
        self.assertEqual(list(self.leases()), ["203.0.113.42"])

    def test_of_many_the_first_are_told_and_all_are_counted(self):
        rows = [(b"10.0.%d.%d" % divmod(n, 256), old_database.deadline(600)) for n in range(1000)]
        status, out, err = self.dracctl(self.database(rows))
        self.assertEqual((status, out), (0, "granted 0, renewed 0 of 1000 rows; left out 0 expired, "
                                            "0 not understood, 1000 refused: 1000 private\n"))
        self.assertEqual(len(err.splitlines()), 101)
        self.assertIn("and 900 rows more\n", err)


class Full(Import):
    config = "max_leases = 100\n"

    def test_the_limit_refuses_the_rest(self):
        rows = [(b"203.0.113.%d" % n, old_database.deadline(600)) for n in range(150)]
        _, out, err = self.dracctl(self.database(rows))
        self.assertEqual(out, "granted 100, renewed 0 of 150 rows; left out 0 expired, 0 not understood, "
                              "50 refused: 50 max_leases\n")
        self.assertEqual(err.count("max_leases is reached; see max_leases"), 50)


class BadFiles(Import):
    def fails(self, path, status, text):
        got = self.dracctl(path)
        self.assertEqual(got[0], status, got)
        self.assertEqual(got[2], f"dracctl: {path}: {text}\n")
        self.assertEqual(self.leases(), {})

    def test_what_is_no_database(self):
        path = self.dracd.path("file")
        self.fails(path, 2, "No such file or directory")
        self.fails("/dev/null", 2, "not a regular file")
        self.fails(self.dracd.directory, 2, "not a regular file")
        for data in (b"", b"203.0.113.9 1\n", bytes(5000), bytes(12) + b"\x62\x31\x05"):
            with open(path, "wb") as file:
                file.write(data)
            self.fails(path, 1, "not a btree or hash file of Berkeley DB 2 or later")
        with open(path, "wb") as file:
            file.truncate((256 << 20) + 1)
        self.fails(path, 2, "the file has more than 256 MiB")
        os.unlink(path)
        os.mkfifo(path)
        self.assertTrue(stat.S_ISFIFO(os.stat(path).st_mode))
        self.fails(path, 2, "not a regular file")

    def test_a_damaged_file(self):
        rows = [(b"203.0.113.%d" % n, old_database.deadline(600)) for n in range(200)]
        path = self.database(rows)
        with open(path, "r+b") as file:
            whole = file.read()
            file.truncate(700)
        status, _, err = self.dracctl(path)
        self.assertEqual(status, 1)
        self.assertTrue(err.startswith(f"dracctl: {path}: "), err)
        with open(path, "wb") as file:
            file.write(whole[:1024] + b"\xff" * 512 + whole[1536:])
        status, _, err = self.dracctl(path)
        self.assertEqual(status, 1)
        self.assertTrue(err.startswith(f"dracctl: {path}: "), err)
        with open(path, "wb") as file:
            file.write(whole)
        self.assertEqual(self.dracctl(path)[0], 0)
        self.assertEqual(len(self.leases()), 200)

    def test_a_reader_that_is_not_there(self):
        path = self.database([(b"203.0.113.1", old_database.deadline(600))])
        self.dracd.stop()
        self.dracd.libexec = "/nonexistent"
        self.dracd.start()
        self.fails(path, 1, "/nonexistent/drac-mapread: No such file or directory")

    def test_a_file_that_only_the_administrator_may_read(self):
        path = self.database([(b"203.0.113.1", old_database.deadline(600))])
        os.chmod(path, 0o400)
        self.assertEqual(self.dracctl(path)[0], 0)

    def test_dracd_is_not_there(self):
        path = self.database([])
        self.dracd.stop()
        status, out, err = self.dracctl(path)
        self.assertEqual((status, out), (3, ""))
        self.assertIn("dracd is not running", err)


    def test_a_file_that_stays_locked(self):
        path = self.database([(b"203.0.113.1", old_database.deadline(600))])
        for lock in (fcntl.flock, fcntl.lockf):
            with open(path, "r+b") as file:
                lock(file, fcntl.LOCK_EX)
                self.fails(path, 2, "another program keeps it locked; stop that, or import a copy")


class Protocol(Import):
    """What is handed over, and by whom."""

    def ask(self, *files, line=b"import-drac\n"):
        with self.dracd.stream("control") as control:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
            control.socket.sendmsg([line], rights)
            return control.line()

    def open_files(self):
        return len(os.listdir(f"/proc/{self.dracd.process.pid}/fd"))

    def test_what_is_not_sealed_memory(self):
        path = self.database([(b"203.0.113.1", old_database.deadline(600))])
        self.assertEqual(self.ask(), "ERR reason=syntax text=a%20file%20must%20be%20handed%20over%20as%20well")
        before = self.open_files()
        memory = os.memfd_create("drac", os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, memory)
        with open(path, "rb") as file:
            os.write(memory, file.read())
            reading, writing = os.pipe()
            for number in (file.fileno(), memory, reading):
                self.assertIn("sealed%20memory", self.ask(number))
            os.close(reading)
            os.close(writing)
            # with another request it is of no use, and of several none is taken
            self.assertEqual(self.ask(memory, line=b"blocks\n"), "OK count=0")
            self.assertEqual(self.ask(*[memory] * 5), "")
            self.assertEqual(self.ask(*[memory] * 250), "")
        self.dracd.wait_for(lambda: self.open_files() <= before, "the files to be closed")
        self.assertEqual(self.leases(), {})

    def test_a_report_with_a_file_leaves_none_open(self):
        for _ in range(20):
            with self.dracd.stream("report") as report:
                reading, writing = os.pipe()
                socket.send_fds(report.socket, [b"noop\n"], [writing])
                os.close(writing)
                self.assertTrue(report.has_ended())
                self.assertTrue(select.select([reading], [], [], PATIENCE)[0], "the other end is held")
                os.close(reading)


class Generated(Import):
    """Has no cases of its own."""
    config = f"max_leases = {2 * MANY}\nlease_special = {{\"198.18.0.0/15\", \"2001:db8::/32\", \"203.0.113.0/24\"}}\n"
    count = MANY

    def setUp(self):
        super().setUp()
        rows = []
        for number in range(self.count):
            left = -1 - number if number % 10 == 0 else 1800
            rows.append(old_database.variant(number, old_database.address(number), left))
        self.path = self.database(rows)


class Published(Generated):
    count = MANY // 10

    def test_the_maps_have_the_leases_when_it_returns(self):
        path = self.dracd.path("state/drac")
        self.dracd.write_config(f'{self.config}map drac {{ type = btree keys = sendmail path = "{path}" }}\n')
        self.assertEqual(self.dracd.control("reload")[-1], "OK reloaded")
        self.assertEqual(self.dracctl(self.path)[::2], (0, ""))
        granted = self.count - self.count // 10
        self.assertIn(f" entries={granted} ", self.dracd.control("maps")[0])
        self.assertEqual(len(map_types.rows("btree", path + ".db")), granted)


class Many(Generated):
    def test_a_hundred_thousand_rows_while_others_are_served(self):
        begin = time.monotonic()
        ended = threading.Event()
        results = []

        def run():
            results.append(self.dracctl(self.path))
            ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        waits = []
        while not ended.wait(0.01):
            asked = time.monotonic()
            self.assertTrue(self.dracd.login("203.0.113.9").startswith("OK"))
            self.assertEqual(self.dracd.policy("203.0.113.9"), "action=OK")
            waits.append(time.monotonic() - asked)
        thread.join()
        seconds = time.monotonic() - begin
        waits.sort()
        print(f"\nimport of {MANY} rows: {seconds:.2f} s; a login and a question meanwhile: "
              f"median {1000 * waits[len(waits) // 2]:.1f} ms, longest {1000 * waits[-1]:.1f} ms of {len(waits)}")
        expired = MANY // 10
        self.assertEqual(results, [(0, f"granted {MANY - expired}, renewed 0 of {MANY} rows; left out {expired} "
                                       "expired, 0 not understood, 0 refused\n", "")])
        self.assertLess(seconds, SECONDS_MAX)
        self.assertGreater(len(waits), 3)
        self.assertEqual(self.dracd.control("list")[-1], f"OK count={MANY - expired + 1}")

    def test_one_at_a_time_and_who_leaves_breaks_it_off(self):
        first = subprocess.Popen([DRACCTL, "-s", self.dracd.path("control"), "import-drac", self.path])
        self.dracd.wait_for_log("reporter=import-drac")
        status, out, err = self.dracctl(self.path)
        self.assertEqual((status, out, err), (1, "", "dracctl: dracd answers busy: another import is under way\n"))
        first.kill()
        first.wait(PATIENCE)
        self.dracd.wait_for_log("an import is broken off")  # and its reader is gone
        children = f"/proc/{self.dracd.process.pid}/task/{self.dracd.process.pid}/children"
        with open(children, encoding="ascii") as file:
            self.assertLessEqual(len(file.read().split()), 1)  # the guardian
        self.assertEqual(self.dracctl(self.path)[0], 0)

    def test_dracd_ends_in_the_middle(self):
        first = subprocess.Popen([DRACCTL, "-s", self.dracd.path("control"), "import-drac", self.path],
                                 stderr=subprocess.PIPE)
        self.dracd.wait_for_log("reporter=import-drac")
        self.assertEqual(self.dracd.stop(), 0)
        self.assertIn(b"dracd has ended", first.communicate(timeout=PATIENCE)[1])
        self.assertEqual(first.returncode, 3)
        self.dracd.start()
        self.assertEqual(self.dracctl(self.path)[0], 0)
        self.assertEqual(self.dracd.control("list")[-1], f"OK count={MANY - MANY // 10}")


if __name__ == "__main__":
    unittest.main()
