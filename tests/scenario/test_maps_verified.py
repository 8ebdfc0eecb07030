"""dracctl maps --verify: each map is read back by the format's own library in a process of its own, and compared.

What dracd is made to believe of a file, a drac-mapread tells that reads another one, so that nobody has touched
the one that dracd has published.
"""
import json
import os
import shutil
import stat
import subprocess
import time
import unittest

import map_types
from dracctl_box import DRACCTL
from dracd_box import LIBEXEC, Case

LEASES = {f"203.0.113.{n}": "OK" for n in range(1, 21)}
REAL = os.path.join(LIBEXEC, "drac-mapread")


def write(kind, path, wanted):
    """A file of the type with these rows, made by the format's own tool."""
    if kind in ("hash", "btree"):
        text = "".join(f" {key}\\00\n {value}\\00\n" for key, value in wanted.items())
        subprocess.run(["db5.3_load", "-t", kind, path], check=True, text=True,
                       input=f"VERSION=3\nformat=print\ntype={kind}\nHEADER=END\n{text}DATA=END\n")
    elif kind == "lmdb":
        text = "".join(f" {key}\\00\n {wanted[key]}\\00\n" for key in sorted(wanted))
        subprocess.run(["mdb_load", "-n", path], check=True, text=True,
                       input=f"VERSION=3\nformat=print\ntype=btree\nHEADER=END\n{text}DATA=END\n")
    elif kind == "cdb":
        text = "".join(f"+{len(key)},{len(value)}:{key}->{value}\n" for key, value in wanted.items())
        subprocess.run(["cdb", "-c", path, "-"], check=True, text=True, input=text + "\n")
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{key}: {value}\n" if kind in ("lsearch", "relayhostsusers") else f"{key}\n"
                            for key, value in wanted.items())


class Verified(Case):
    """A dracd with a map of each type."""

    config = "lease_time = 1h\nmax_leases = 20000\ndurability = process\n"

    def setUp(self):
        super().setUp()
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.dracd.stop()
        self.granted = 0
        self.fake = self.dracd.path("libexec")
        self.dracd.write_config(self.config + map_types.config(self.dracd.path("maps")))

    def start(self, libexec=LIBEXEC, leases=LEASES):
        self.dracd.libexec = libexec
        self.dracd.start()
        self.grant(leases)

    def grant(self, leases):
        """They are in all maps when this returns."""
        with self.dracd.stream("report") as report:
            *others, last = leases
            for address in others:
                self.granted += 1  # one user has so many leases at most
                report.send(f"login address={address} user=u{self.granted // 30}\n")
                self.assertTrue(report.line().startswith("OK granted"))
            self.assertIn("published=yes", report.ask(f"login address={last} user=bob wait_ms=10000"))

    def path(self, kind):
        return self.dracd.path(f"maps/{kind}{map_types.LIVE[kind][1]}")

    def pretend(self, script):
        """A drac-mapread of a few lines of shell."""
        os.makedirs(self.fake, exist_ok=True)
        path = f"{self.fake}/drac-mapread"
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{script}\n")
        os.chmod(f"{path}.new", stat.S_IRWXU)
        os.rename(f"{path}.new", path)

    def verify(self, *arguments):
        """Exit status, and what JSON says of each map."""
        done = subprocess.run([DRACCTL, "-s", self.dracd.path("control"), "maps", *arguments, "--verify", "--json"],
                              capture_output=True, encoding="utf-8", timeout=100, stdin=subprocess.DEVNULL)
        return done.returncode, {row["name"]: row for row in json.loads(done.stdout)}


@unittest.skipUnless(shutil.which("db5.3_load") and shutil.which("mdb_load") and shutil.which("cdb"),
                     "db5.3_load, mdb_load or cdb is missing")
class Whole(Verified):
    def test_same(self):
        self.start()
        status, maps = self.verify()
        self.assertEqual(status, 0)
        self.assertEqual(set(maps), set(map_types.LIVE))
        for kind, row in maps.items():
            self.assertEqual((row["verified"], row["rows"], row["state"]), ("same", len(LEASES), "ok"))
            self.dracd.wait_for_log(f"map {kind}: verified, {len(LEASES)} rows are as in the table")
        status, maps = self.verify("lmdb")
        self.assertEqual((status, set(maps)), (0, {"lmdb"}))
        self.assertNotIn("rebuilt", self.dracd.text())
        self.assertNotIn("verified", " ".join(self.dracd.control("maps")))

    def test_pending_changes_are_published_first(self):
        self.start()
        self.dracd.write_config(self.config + map_types.config(self.dracd.path("maps"), "interval = 60s"))
        self.dracd.control("reload")
        self.grant(["203.0.113.99"])
        self.dracd.login("203.0.113.100", "user=bob")
        status, maps = self.verify()
        self.assertEqual((status, {row["rows"] for row in maps.values()}), (0, {len(LEASES) + 2}))

    def test_while_leases_come_and_go(self):
        self.start()
        with self.dracd.stream("report") as report:
            for n in range(10):
                report.send("".join(f"login address=198.51.100.{k} user=eve ttl_ms={50 + k}\n" for k in range(n, n + 50)))
                status, maps = self.verify()
                self.assertEqual((status, {row["verified"] for row in maps.values()}), (0, {"same"}), maps)
                for _ in range(50):
                    report.line()

    def test_ten_thousand_rows(self):
        self.start(leases=[f"203.0.{n >> 8}.{n & 255}" for n in range(113 << 8, (113 << 8) + 256)])
        # networks of other lengths cannot be written for all; so hosts in the documentation range of IPv6
        self.grant([f"2001:db8:{n:x}::7" for n in range(1, 9745)])
        started = time.monotonic()
        status, maps = self.verify()
        print(f"# {len(maps)} maps of 10,000 rows verified in {time.monotonic() - started:.2f} s")
        self.assertEqual((status, {row["rows"] for row in maps.values()}), (0, {10000}))

    def test_not_for_everybody(self):
        self.start()
        self.assertEqual(self.dracd.control("maps verify=no"),
                         ["ERR reason=syntax text=rebuild=%20and%20verify=%20may%20be%20yes%20only"])


@unittest.skipUnless(shutil.which("db5.3_load") and shutil.which("mdb_load") and shutil.which("cdb"),
                     "db5.3_load, mdb_load or cdb is missing")
class Different(Verified):
    """The file is not as it should be."""

    def check(self, kind, content, expected):
        """For a file with that content the answer is expected; it was rebuilt, and that was told."""
        other = self.dracd.path("other")
        with open(other, "wb") as file:
            file.write(content)
        before = os.stat(self.path(kind))
        self.pretend(f'exec {REAL} "$1" <{other}')
        status, maps = self.verify(kind)
        row = maps[kind]
        self.assertEqual(status, 1, row)
        self.assertRegex(f"{row['verified']}: {row['verify_text']}", f"^{expected}", kind)
        after = os.stat(self.path(kind))
        self.assertNotEqual((before.st_ino, before.st_ctime_ns), (after.st_ino, after.st_ctime_ns))
        self.assertEqual(map_types.rows(kind, self.path(kind)).keys(), LEASES.keys())
        self.dracd.wait_for_log(row["verify_text"] + "; rebuilt")

    def content(self, kind, wanted):
        path = self.dracd.path("made")
        write(kind, path, wanted)
        with open(path, "rb") as file:
            content = file.read()
        os.unlink(path)
        return content

    def test_rows(self):
        self.start(self.fake)
        for kind in map_types.LIVE:
            with self.subTest(kind=kind):
                less = dict(LEASES)
                del less["203.0.113.7"]
                self.check(kind, self.content(kind, less),
                           "different: 1 missing, 0 too many, 0 with another value: 203.0.113.7 is missing")
                self.check(kind, self.content(kind, LEASES | {"198.51.100.66": "OK"}),
                           "different: 0 missing, 1 too many, 0 with another value: 198.51.100.66 should not be there")
                self.check(kind, self.content(kind, {}), "different: 20 missing, 0 too many, 0 with another value: ")
                if kind not in ("iplsearch", "relayhosts", "relayhostsusers"):
                    self.check(kind, self.content(kind, LEASES | {"203.0.113.7": "NO"}),
                               "different: 0 missing, 0 too many, 1 with another value: "
                               "203.0.113.7 has another value")

    def test_damaged(self):
        self.start(self.fake)
        for kind in map_types.LIVE:
            whole = self.content(kind, LEASES)
            with self.subTest(kind=kind):
                self.check(kind, b"", "(unreadable|different): ")
                self.check(kind, whole[:len(whole) // 2], "(unreadable|different): ")
                self.check(kind, b"junk\xff\0" * 1000, "unreadable: ")

    def test_whatever_is_in_the_file_dracd_lives(self):
        self.start(self.fake)
        results = {}
        for kind in map_types.LIVE:
            whole = self.content(kind, LEASES)
            self.pretend(f'exec {REAL} "$1" <{self.dracd.path("other")}')
            for n in range(12):
                damaged = bytearray(whole)
                for at in range(n * 37, len(damaged), 211):
                    damaged[at] = 255 - damaged[at]
                with open(self.dracd.path("other"), "wb") as file:
                    file.write(damaged)
                row = self.verify(kind)[1][kind]
                self.assertIn(row["verified"], ("same", "different", "unreadable"))
                results[row["verified"]] = results.get(row["verified"], 0) + 1
        print(f"# damaged files: {results}")
        self.assertTrue(self.dracd.admits("203.0.113.7"))

    def test_reader_that_crashes(self):
        self.start(self.fake)
        for script, text in [("kill -SEGV $$", "the reader died of signal 11"),
                             (f'{REAL} "$1"; kill -ABRT $$', "the reader died of signal 6"),
                             (f'{REAL} "$1"; exit 1', "the reader said what is not understood"),
                             (f'{REAL} "$1" | head -c 100', "the reader said what is not understood"),
                             (f'{REAL} "$1"; {REAL} "$1"', "the reader said what is not understood"),
                             ("exit 0", "the reader said what is not understood"),
                             ("echo hello", "the reader said what is not understood")]:
            self.pretend(script)
            row = self.verify("lmdb")[1]["lmdb"]
            self.assertEqual((row["verified"], row["verify_text"]), ("unreadable", text), script)

    def test_reader_that_prints_for_ever_or_hangs(self):
        self.start(self.fake)
        kind = "lmdb"
        for script in ("exec cat /dev/zero", "exec sleep 1000"):
            self.pretend(f"echo $$ >{self.dracd.path('pid')}; {script}")
            row = self.verify(kind)[1][kind]
            self.assertEqual((row["verified"], row["verify_text"]),
                             ("unreadable", "the reader took longer than 15 s"))
            with open(self.dracd.path("pid"), encoding="utf-8") as pid:
                self.assertFalse(os.path.exists(f"/proc/{pid.read().strip()}"))

    def test_reader_that_is_not_there(self):
        self.start(self.dracd.path("nowhere"))
        before = os.stat(self.path("cdb")).st_ctime_ns
        status, maps = self.verify("cdb")
        self.assertEqual((status, maps["cdb"]["verified"]), (1, "no"))
        self.assertIn("/nowhere/drac-mapread: No such file", maps["cdb"]["verify_text"])
        self.assertEqual(os.stat(self.path("cdb")).st_ctime_ns, before)

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_no_descriptor_to_open_it_with(self):
        """That is nothing the map could be blamed for."""
        path = self.path("cdb")
        self.dracd.tracer = ["strace", "-D", "-f", "-qq", "-o", self.dracd.path("trace"), "-P", path,
                             "-e", "inject=openat:error=EMFILE"]
        self.start()
        before = os.stat(path).st_ctime_ns
        status, maps = self.verify("cdb")
        row = maps["cdb"]
        self.assertEqual((status, row["verified"], row["verify_text"]), (1, "no", "Too many open files"))
        self.assertEqual(os.stat(path).st_ctime_ns, before)
        self.assertNotIn("rebuilt", self.dracd.text())

    def test_revocation_does_not_wait(self):
        self.start(self.fake)
        hangs, told = self.dracd.path("hangs"), self.dracd.path("told")
        self.pretend(f'[ ! -e {hangs} ] || {{ : >{told}; exec sleep 1000; }}; exec {REAL} "$1"')
        open(hangs, "x", encoding="utf-8").close()
        with self.dracd.stream("control") as asker:
            asker.send("maps name=lmdb verify=yes\n")
            self.dracd.wait_for(lambda: os.path.exists(told), "the reader to run")
            os.unlink(hangs)
            started = time.monotonic()
            self.assertIn("maps_late=0", self.dracd.control("revoke address=203.0.113.7")[-1])
            self.assertLess(time.monotonic() - started, 4)
            self.assertNotIn("203.0.113.7", map_types.rows("lmdb", self.path("lmdb")))
            line = asker.line()
            self.assertIn("verified=same rows=19", line)  # tried again

    def test_stop_does_not_wait(self):
        self.start(self.fake)
        told = self.dracd.path("told")
        self.pretend(f": >{told}; exec sleep 1000")
        with self.dracd.stream("control") as asker:
            asker.send("maps verify=yes\n")
            self.dracd.wait_for(lambda: os.path.exists(told), "the reader to run")
            started = time.monotonic()
            self.assertEqual(self.dracd.stop(), 0)
            self.assertLess(time.monotonic() - started, 4)
        self.assertEqual(map_types.rows("lmdb", self.path("lmdb")), {})


if __name__ == "__main__":
    unittest.main()
