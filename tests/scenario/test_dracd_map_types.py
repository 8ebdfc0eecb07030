"""Every type of map at once, each read with the format's own tool, or as the text it is."""
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from dracd_box import Dracd

TYPES = {  # name: options, file, IPv6 host as it is spelt there
    "hash": ("type = hash keys = postfix", "hash.db", "2001:db8:1::77"),
    "btree": ("type = btree keys = sendmail", "btree.db", "2001:db8:1:0:0:0:0:77"),
    "access": ("type = btree keys = access", "access.db", "connect:ipv6:2001:db8:1:0:0:0:0:77"),
    "dbm": ("type = hash keys = exim", "dbm.db", "2001.0db8.0001.0000.0000.0000.0000.0077"),
    "dbmnz": ("type = hash keys = exim nul = no", "dbmnz.db",
              "2001.0db8.0001.0000.0000.0000.0000.0077"),
    "lmdb": ("type = lmdb", "lmdb.lmdb", "2001:db8:1::77"),
    "cdb": ("type = cdb keys = postfix", "cdb.cdb", "2001:db8:1::77"),
    "eximcdb": ("type = cdb keys = exim value = yes", "eximcdb.cdb",
                "2001.0db8.0001.0000.0000.0000.0000.0077"),
    "iplsearch": ("type = iplsearch", "iplsearch", '"2001:db8:1::77"'),
    "lsearch": ("type = lsearch", "lsearch", "2001.0db8.0001.0000.0000.0000.0000.0077: OK"),
    "cidr": ("type = cidr", "cidr", "2001:db8:1::77 OK"),
    "texthash": ("type = texthash", "texthash", "2001:db8:1::77 OK"),
    "relayhosts": ("type = relayhosts", "relayhosts", '"2001:db8:1::77"'),
    "users": ("type = relayhostsusers", "users", '"2001:db8:1::77": bob'),
}
V4 = {"lsearch": "203.0.113.9: OK", "cidr": "203.0.113.9 OK", "texthash": "203.0.113.9 OK",
      "users": "203.0.113.9: bob", "access": "connect:203.0.113.9"}
VALUES = {"btree": "RELAY", "access": "RELAY", "eximcdb": "yes"}
NUL = {"hash", "dbm", "lmdb"}


def dumped(command):
    """Keys and values of a dump in Berkeley DB's portable form."""
    dump = subprocess.run(command, capture_output=True, text=True, check=True)
    body = dump.stdout.split("HEADER=END\n")[1].split("DATA=END")[0].splitlines()
    plain = [line.removeprefix(" ") for line in body]
    return dict(zip(plain[::2], plain[1::2]))


def lmdb_rows(path, copy):
    """Of a copy: mdb_dump puts a lock file beside what it reads."""
    shutil.copy(path, copy)
    return dumped(["mdb_dump", "-n", "-p", copy])


def cdb_rows(path):
    dump = subprocess.run(["cdb", "-d", path], capture_output=True, text=True, check=True)
    return dict(re.findall(r"^\+\d+,\d+:(.*?)->(.*)$", dump.stdout, re.MULTILINE))


@unittest.skipUnless(all(map(shutil.which, ("db5.3_dump", "mdb_dump", "cdb"))),
                     "db5.3_dump, mdb_dump or cdb is missing (packages db5.3-util, lmdb-utils, tinycdb)")
@unittest.skipIf(re.search("no[bc]db", os.environ.get("B", "")), "built without Berkeley DB or cdb")
class MapTypes(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.configure()
        self.dracd.start()

    def configure(self, more=""):
        self.dracd.write_config(more + "".join(
            f'map {name} {{ path = "{self.dracd.path("maps")}/{name}" {options} interval = 0 '
            "end_interval = 0 }\n" for name, (options, _, _) in TYPES.items()))

    def file(self, name):
        return self.dracd.path(f"maps/{TYPES[name][1]}")

    def rows(self, name):
        """The rows of an indexed file as {key: value}, the lines of a text as a set."""
        path = self.file(name)
        if path.endswith(".db"):
            found = dumped(["db5.3_dump", "-p", path])
        elif path.endswith(".lmdb"):
            found = lmdb_rows(path, self.dracd.path("dump.lmdb"))
        elif path.endswith(".cdb"):
            return cdb_rows(path)
        else:
            with open(path, encoding="utf-8") as text:
                lines = text.read().splitlines()
            self.assertTrue(lines[0].startswith("#"), lines)
            return set(lines[1:])
        if name not in NUL:
            return found
        self.assertTrue(all(text.endswith("\\00") for row in found.items() for text in row), found)
        return {key[:-3]: value[:-3] for key, value in found.items()}

    def expected(self, name, v4=True, v6=True):
        keys = [V4.get(name, "203.0.113.9")] * v4 + [TYPES[name][2]] * v6
        if re.search(r"\.(db|lmdb|cdb)$", TYPES[name][1]):
            return {key: VALUES.get(name, "OK") for key in keys}
        return set(keys)

    def assert_all(self, **leases):
        for name in TYPES:
            with self.subTest(map=name):
                self.assertEqual(self.rows(name), self.expected(name, **leases))

    def identities(self):
        status = {name: os.stat(self.file(name)) for name in TYPES}
        return {name: (s.st_ino, s.st_size, s.st_ctime_ns) for name, s in status.items()}

    def login(self, address, user="bob"):
        self.assertIn("published=yes", self.dracd.login(address, f"user={user} wait_ms=20000"))

    def test_a_login_is_in_each_and_a_revocation_in_none(self):
        self.assert_all(v4=False, v6=False)
        self.login("203.0.113.9")
        self.assert_all(v6=False)
        self.login("2001:db8:1::77")
        self.assert_all()
        before = self.identities()
        self.login("203.0.113.9")
        self.login("2001:db8:1:0:0:0:0:77")
        self.assertEqual(self.identities(), before)  # a renewal touches none
        self.assertIn("maps_late=0", self.dracd.control("revoke address=203.0.113.9")[-1])
        self.assert_all(v4=False)
        self.assertIn("maps_late=0", self.dracd.control("revoke address=2001:db8:1::77")[-1])
        self.assert_all(v4=False, v6=False)
        self.assertEqual(len(os.listdir(self.dracd.path("maps"))), 2 * len(TYPES))  # and spares

    def test_a_lease_ends_in_each(self):
        self.login("2001:db8:1::77")
        self.dracd.login("203.0.113.9", "user=bob ttl_ms=1000 wait_ms=20000")
        for name in TYPES:
            self.dracd.wait_for(lambda n=name: self.rows(n) == self.expected(n, v4=False),
                                f"the end of the lease in {name}")

    def test_what_a_map_cannot_hold_is_told(self):
        # a network that some have no key for, and a host whose "::" could stand for other hosts in Postfix
        for address, maps in (("198.51.100.0/24", {"btree", "relayhosts", "users"}), ("2a00::5", {"lmdb", "cdb"})):
            self.dracd.control("maps rebuild=yes")
            self.assertTrue(self.dracd.control(f"add address={address} ttl_ms=600000 user=bob wait_ms=20000")[-1]
                            .startswith("OK granted"))
            for name in maps:
                with self.subTest(address=address, map=name):
                    options = self.dracd.control(f"maps name={name}")[0]
                    self.assertIn("state=warning warning=1%20leases%20cannot%20be%20written%20in%20this%20form", options)
                    kind, keys = (re.search(f" {word}=([a-z]*)", options).group(1) for word in ("type", "keys"))
                    self.dracd.wait_for_log(f"map {name}: 1 leases cannot be written with type = {kind} and "
                                            f"keys = {keys}; a lookup can answer for them")
            self.assertIn("state=ok", self.dracd.control("maps name=iplsearch")[0])
            self.dracd.control(f"revoke address={address} hold_ms=0")

    def test_only_lmdb_is_changed_in_place(self):
        before = self.identities()
        self.login("203.0.113.9")
        after = self.identities()
        same = {name for name in TYPES if before[name][0] == after[name][0]}
        self.assertEqual(same, {"lmdb"})
        self.assertNotEqual(before["lmdb"], after["lmdb"])

    def test_stop_and_kill_withdraw_from_each(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.login("203.0.113.9")
            self.dracd.stop(number)
            for name in TYPES:
                if number == signal.SIGKILL:
                    self.dracd.wait_for(lambda n=name: not self.rows(n), f"the withdrawal of {name}")
                self.assertFalse(self.rows(name), name)
            self.dracd.start()
            self.assert_all(v6=False)

    def test_stop_withdraws_from_an_lmdb_that_is_open(self):
        self.login("203.0.113.9")
        held = os.open(self.file("lmdb"), os.O_RDONLY)  # as a running smtpd has it
        self.addCleanup(os.close, held)
        self.dracd.stop()
        self.assertEqual(os.fstat(held).st_nlink, 0)
        self.assertEqual(lmdb_rows(f"/proc/self/fd/{held}", self.dracd.path("dump.lmdb")), {})

    def test_a_reader_that_keeps_the_lock_holds_nobody_up_for_long(self):
        # as Postfix locks it, but for good
        for act in (lambda: self.login("203.0.113.9"), self.dracd.stop):
            with open(self.file("lmdb"), "rb") as held:
                fcntl.lockf(held, fcntl.LOCK_SH)
                started = time.monotonic()
                act()
                self.assertLess(time.monotonic() - started, 15)
                self.assertEqual(os.fstat(held.fileno()).st_nlink, 0)  # replaced, not waited for
            self.assertEqual(self.rows("lmdb"), {"203.0.113.9": "OK"} if act != self.dracd.stop else {})

    def test_users_who_join_and_leave(self):
        self.login("203.0.113.9", "bob")
        self.login("203.0.113.9", "alice@example.net")
        self.assertEqual(self.rows("users"), {"203.0.113.9: alice@example.net, bob"})
        before = self.identities()
        self.login("203.0.113.9", "bob")  # a renewal
        self.assertEqual(self.identities(), before)
        self.login("203.0.113.9", "'one,two:three'")  # no name to put into a line
        self.assertEqual(self.rows("users"), {"203.0.113.9: bob, alice@example.net"})
        self.assertIn("maps_late=0", self.dracd.control("revoke user=bob")[-1])
        self.assertEqual(self.rows("users"), {"203.0.113.9: alice@example.net"})
        self.assertEqual(self.rows("relayhosts"), {"203.0.113.9"})

    def test_users_follow_a_map_that_a_reload_brings(self):
        self.dracd.stop()
        self.dracd.write_config(f'map list {{ type = relayhosts path = "{self.dracd.path("maps")}/list" }}')
        self.dracd.start()
        self.login("203.0.113.9", "bob")
        self.configure()
        self.assertEqual(self.dracd.control("reload")[-1], "OK reloaded")
        self.assertEqual(self.rows("users"), {"203.0.113.9: bob"})
        self.login("203.0.113.9", "eve")
        self.assertEqual(self.rows("users"), {"203.0.113.9: eve, bob"})

    def test_users_when_a_large_change_becomes_a_rebuild(self):
        self.dracd.stop()
        self.dracd.write_config(f'map users {{ path = "{self.dracd.path("maps")}/users" '
                                "type = relayhostsusers interval = 60s }")
        self.dracd.start()
        with self.dracd.stream("report") as report:
            for hundred in range(22):
                report.send("".join(f"login address=2001:db8:5:{hundred}::{n} user=u{hundred}x{n}\n"
                                    for n in range(100)))
                for _ in range(100):
                    self.assertTrue(report.line().startswith("OK granted"))
        self.login("203.0.113.9", "zed")
        self.assertEqual(len(self.rows("users")), 2201)
        self.dracd.login("203.0.113.8", "user=eve")  # of one run with the ends of all others
        self.assertIn("maps_late=0", self.dracd.control("revoke address=2001:db8:5::/48")[-1])
        self.assertEqual(self.rows("users"), {"203.0.113.9: zed", "203.0.113.8: eve"})

    def test_a_network_of_ipv6(self):
        self.dracd.stop()
        without = ("btree", "relayhosts", "users")  # they cannot express it
        self.dracd.write_config("ipv6_prefix = 64\n" + "".join(
            f'map {name} {{ path = "{self.dracd.path("maps")}/{name}" {options} }}\n'
            for name, (options, _, _) in TYPES.items() if name not in without))
        self.dracd.start()
        self.login("2001:db8:1::77")
        found = {name: sorted(self.rows(name)) for name in TYPES if name not in without}
        dotted = "2001.0db8.0001.0000.0000.0000.0000.0000/64"
        two_keys = ["2001:db8:1:", "2001:db8:1:0"]
        self.assertEqual(found, {
            "hash": two_keys, "lmdb": two_keys, "cdb": two_keys,
            "texthash": [key + " OK" for key in two_keys],
            "access": ["connect:ipv6:2001:db8:1:0"],
            "dbm": [dotted], "dbmnz": [dotted], "eximcdb": [dotted], "lsearch": [dotted + ": OK"],
            "iplsearch": ['"2001:db8:1::/64"'], "cidr": ["2001:db8:1::/64 OK"]})
