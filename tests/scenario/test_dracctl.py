"""dracctl: what each command asks, what it prints of the answer, and how it exits.

Runs the built program against a control socket of a few lines. No root, no network.
"""
import json
import os
import socket
import subprocess
import time
import unittest

import dracctl_box
from dracctl_box import DRACCTL, PATIENCE, Control

STATUS = """\
dracd version=1.0.0 state={state} mode=enforce up_ms=1036800000 pid=812
leases count=412 ipv4=388 ipv6=24 limit=100000 next_end_ms=3000
logins window_ms=300000 granted=12 renewed=96 refused=3 errors=0 refused_private=2 refused_never_lease=1
reporter name=drac-rpcd leases=1 limit=20000 max_rate=4000
reporter name=drac-login leases=411
reporter name=root leases=0 limit=10
lookups window_ms=300000 asked=1204 permitted=31
lookup name=postfix protocol=policy path=/var/spool/postfix/dracd/policy connections=1 asked=1204 permitted=31
lookup name=lan protocol=plain path=/run/dracd/lan connections=0 asked=7 permitted=0 services=pop3,imap networks=2
map name=sendmail type=hash keys=sendmail path=/var/lib/dracd/maps/drac entries=412 published_ago_ms=3000 pending=0 state=ok
map name=postfix type=hash keys=postfix path=/x entries=1 pending=7 state=error error=No%20space%20left%20on%20device
later_line of=a version=later
OK
"""
WARNING = "warning text=203.0.113.9%20has%2027%20users:%20shared%20NAT%20or%20a%20proxy?%20to%20exclude%20it:%20never_lease\n"


def in_ms(seconds):
    """A Unix time in milliseconds, so many seconds from now."""
    return (int(time.time()) + seconds) * 1000


def at(unix_ms, form="%H:%M:%S"):
    """How dracctl shows a time: with its date if that is not today."""
    when = time.gmtime(unix_ms // 1000)
    today = time.gmtime()
    date = "" if when[:3] == today[:3] else "%Y-%m-%d "
    return time.strftime(date + form, when)


def minute_up(unix_ms):
    return at(unix_ms + 59999, "%H:%M")


class Dracctl(dracctl_box.Dracctl):
    def check(self, arguments, answer, request, status, out="", err=""):
        got = self.run_program(*arguments, answer=answer)
        self.assertEqual((self.request, self.out, self.err, got),
                         (request + "\n", out, err, status))

    def test_status(self):
        text = """\
dracd 1.0.0 up 12 days   mode enforce   OK
leases    412 (388 IPv4, 24 IPv6), next ends in 3 s; limit 100000
logins    granted 12 renewed 96 refused 3 in the last 5 min (private 2, never_lease 1)
reporter  drac-rpcd 1 lease; limit 20,000; 4,000 logins a second
reporter  drac-login 411 leases
lookups   1,204 in the last 5 min, 31 permitted
lookup    postfix policy /var/spool/postfix/dracd/policy, 1 connection, asked 1,204, 31 permitted
lookup    lan plain /run/dracd/lan, 0 connections, asked 7, 0 permitted; sees only pop3,imap in 2 networks
map       sendmail hash 412 entries, published 3 s ago, pending 0
map       postfix hash 1 entry, not published yet, pending 7, ERROR: No space left on device
"""
        warning = ("WARNING   203.0.113.9 has 27 users: shared NAT or a proxy? to exclude it: "
                   "never_lease\n")
        self.check(["status"], STATUS.format(state="ok"), "status", 0, text)
        self.check(["status"], STATUS.format(state="warning").replace("OK\n", WARNING + "OK\n"),
                   "status", 1, text.replace("  OK\n", "  WARNING\n") + warning)
        self.check(["status"], STATUS.format(state="critical"), "status", 2,
                   text.replace("  OK\n", "  CRITICAL\n"))

    def test_status_of_an_idle_dracd(self):
        answer = """\
dracd version=1.0.0 state=ok mode=observe up_ms=59000 pid=812
leases count=0 ipv4=0 ipv6=0 limit=100000
logins window_ms=300000 granted=0 renewed=0 refused=0 errors=2
lookups window_ms=300000 asked=0 permitted=0
OK
"""
        self.check(["status"], answer, "status", 0, """\
dracd 1.0.0 up 59 s   mode observe   OK
leases    0; limit 100000
logins    granted 0 renewed 0 refused 0 errors 2 in the last 5 min
lookups   0 in the last 5 min, 0 permitted
""")

    def test_status_as_json(self):
        for arguments in (["status", "--json"], ["--json", "status"]):
            answer = STATUS.format(state="warning").replace("OK\n", WARNING + "OK\n")
            self.assertEqual(self.run_program(*arguments, answer=answer), 1)
            value = json.loads(self.out)
            self.assertEqual(value["dracd"], {"version": "1.0.0", "state": "warning",
                                              "mode": "enforce", "up_ms": 1036800000, "pid": 812})
            self.assertEqual(value["logins"]["refused_never_lease"], 1)
            self.assertEqual([row["name"] for row in value["map"]], ["sendmail", "postfix"])
            self.assertEqual(value["map"][1]["error"], "No space left on device")
            self.assertEqual(value["lookup"][1], {
                "name": "lan", "protocol": "plain", "path": "/run/dracd/lan", "connections": 0, "asked": 7,
                "permitted": 0, "services": "pop3,imap", "networks": 2})
            self.assertEqual(value["reporter"][2], {"name": "root", "leases": 0, "limit": 10})
            self.assertEqual(len(value["warning"]), 1)
            self.assertNotIn("later_line", value)
        self.check(["status"], "OK\n", "status", 3)
        self.run_program("status", "--json", answer="leases count=0 ipv4=0 ipv6=0 limit=1\nOK\n")
        value = json.loads(self.out)
        self.assertEqual((value["map"], value["lookup"], value["warning"]), ([], [], []))

    def lease_lines(self):
        self.since = in_ms(-120), in_ms(-4 * 86400)
        return (f"lease address=203.0.113.9 left_ms=250000 until_ms=1 users=27 user=bob@x.net "
                f"service=imap logins=31 granted_ms={self.since[0]}\n"
                f"lease address=2001:db8:5:6::/64 left_ms=1794999 until_ms=1 users=1 "
                f"user=scanner@y.org service=pop3 logins=1 granted_ms={self.since[1]}\n")

    def test_list(self):
        self.check(["list"], self.lease_lines() + "OK count=2\n", "list", 0, f"""\
ADDRESS             ENDS IN  USERS              SERVICE  LOGINS  SINCE
203.0.113.9           4m10s  bob@x.net +26      imap         31  {at(self.since[0])}
2001:db8:5:6::/64    29m55s  scanner@y.org      pop3          1  {at(self.since[1])}
""")

    def test_list_of_nothing_prints_nothing(self):
        self.check(["list"], "OK count=0\n", "list", 0)
        self.check(["list", "--json"], "OK count=0\n", "list", 0, "[]\n")

    def test_list_selects(self):
        self.check(["list", "--user", "bob builder", "--service=imap", "--expiring", "5min"],
                   "OK count=0\n", "list user=bob%20builder service=imap expiring_ms=300000", 0)

    def test_list_widens_its_columns(self):
        address = "2001:db8:1111:2222:3333:4444:5555:6666"
        user = "a.rather.long.name@b\u00fccher.example"
        line = (f"lease address={address} left_ms=2000 until_ms=1 users=1 user={user} "
                f"logins=1 granted_ms={in_ms(0)}\n")
        self.run_program("list", answer=line + self.lease_lines() + "OK count=3\n")
        lines = self.out.splitlines()
        since = lines[0].index("SINCE")
        self.assertEqual(lines[0][:since], f"{'ADDRESS':38}  ENDS IN  {'USERS':33}  "
                         "SERVICE  LOGINS  ")
        self.assertEqual(lines[1][:since], f"{address}       2s  {user}  {'-':7}  {1:6}  ")
        self.assertEqual(lines[2][:since],
                         f"{'203.0.113.9':38}    4m10s  {'bob@x.net +26':33}  {'imap':7}  {31:6}  ")

    def test_a_long_list_is_printed_as_it_comes(self):
        rows = 20000
        pieces = ["".join(f"lease address=10.{i >> 16}.{i >> 8 & 255}.{i & 255} left_ms={i} "
                          f"until_ms=1 users=1 user=u{i} service=imap logins=1 granted_ms=1000\n"
                          for i in range(start, start + 100)).encode()
                  for start in range(0, rows, 100)]
        self.assertEqual(self.run_program("list", answer=pieces + [b"OK count=20000\n"]), 0)
        lines = self.out.splitlines()
        self.assertEqual(len(lines), rows + 1)
        self.assertTrue(lines[-1].startswith("10.0.78.31  "), lines[-1])
        self.assertEqual(self.run_program("list", "--json", answer=pieces + [b"OK\n"]), 0)
        self.assertEqual(json.loads(self.out)[-1]["user"], "u19999")

    def test_list_as_json_keeps_a_number_for_a_name(self):
        line = "lease address=203.0.113.9 left_ms=5 users=1 user=4711 logins=31\nOK count=1\n"
        self.assertEqual(self.run_program("list", "--json", answer=line), 0)
        self.assertEqual(json.loads(self.out), [{"address": "203.0.113.9", "left_ms": 5,
                                                 "users": 1, "user": "4711", "logins": 31}])

    def test_a_list_that_breaks_off_is_a_failure(self):
        self.assertEqual(self.run_program("list", answer=self.lease_lines()), 3)
        self.assertIn("203.0.113.9", self.out)
        self.assertIn("closed in the middle of the answer", self.err)

    def test_what_could_deceive_on_a_terminal_is_masked(self):
        line = ("lease address=203.0.113.9 left_ms=5 users=1 user=\u202egro.x@bob\u2066a\u200bb "
                "logins=1 granted_ms=1\nOK count=1\n")
        self.run_program("list", answer=line)
        self.assertIn("  ?gro.x@bob?a?b ", self.out)
        self.run_program("list", "--json", answer=line)
        self.assertEqual(json.loads(self.out)[0]["user"], "\u202egro.x@bob\u2066a\u200bb")
        for hostile in ("%1B[31m", "%0A", "%C2%9B31m", "\xff"):
            self.assertEqual(self.run_program(
                "list", answer=[f"lease address=1 user={hostile}\nOK\n".encode("latin-1")]), 3)
            self.assertEqual(self.out, "")
            self.assertIn("not understood", self.err)

    def test_check_of_an_address_that_may(self):
        until, login = in_ms(250), in_ms(-1550)
        answer = (f"OK permit address=203.0.113.9 lease=203.0.113.9 until_ms={until} "
                  f"left_ms=250000 user=bob@x.net service=imap login_ms={login}\n")
        text = (f"203.0.113.9 may relay until {at(until)} (4m10s): login of bob@x.net by imap "
                f"at {at(login)}\n")
        self.check(["check", "203.0.113.9"], answer, "check address=203.0.113.9", 0, text)

        answer = (f"OK permit address=2001:db8::1 lease=2001:db8::/64 until_ms={until} "
                  f"left_ms=250000 login_ms={login}\n")
        self.check(["check", "2001:DB8::1"], answer, "check address=2001:DB8::1", 0,
                   f"2001:db8::1 may relay until {at(until)} (4m10s): login at {at(login)}; "
                   "the lease is for 2001:db8::/64\n")

        self.check(["check", "203.0.113.9"], "OK permit address=203.0.113.9 lease=203.0.113.9 "
                   f"until_ms={until} left_ms=250000 unseen_by=lan,exim\n", "check address=203.0.113.9", 0,
                   f"203.0.113.9 may relay until {at(until)} (4m10s): login\n"
                   "note: not by lookup lan,exim, which by its services or networks does not see the lease\n")

    def test_check_while_mode_is_observe(self):
        until = in_ms(250)
        self.check(["check", "203.0.113.9"],
                   f"OK permit address=203.0.113.9 lease=203.0.113.9 until_ms={until} "
                   "left_ms=250000 user=bob mode=observe\n",
                   "check address=203.0.113.9", 1,
                   f"203.0.113.9 would relay until {at(until)} (4m10s): login of bob; but mode "
                   "is observe: every MTA is told no\n")

    def test_check_of_an_address_that_may_not(self):
        refused, until = in_ms(-60), in_ms(7201)
        cases = [
            ("NO reason=no_lease address=192.0.2.7\n", "no lease"),
            (f"NO reason=no_lease address=192.0.2.7 refused_reason=private "
             f"refused_ms={refused} user=scan@y.org service=pop3 hint=lease_special\n",
             f"no lease. Last login {at(refused, '%H:%M')} (scan@y.org, pop3) refused: private "
             "address; see lease_special"),
            ("NO reason=denied address=192.0.2.7\n", "denied by deny"),
            (f"NO reason=revoked address=192.0.2.7 until_ms={until} "
             "text=spam%20run,%20ticket%204711\n",
             f"revoked until {minute_up(until)}: spam run, ticket 4711"),
            ("NO reason=loopback address=192.0.2.7 hint=lease_special\n",
             "loopback address; see lease_special"),
            ("NO reason=a_later_one address=192.0.2.7\n", "a_later_one"),
        ]
        for answer, text in cases:
            with self.subTest(answer=answer):
                self.check(["check", "192.0.2.7"], answer, "check address=192.0.2.7", 1,
                           f"192.0.2.7 may not relay: {text}\n")

    def test_check_as_json(self):
        self.assertEqual(self.run_program(
            "check", "203.0.113.9", "--json",
            answer="OK permit address=203.0.113.9 lease=203.0.113.9 left_ms=7\n"), 0)
        self.assertEqual(json.loads(self.out), {"may_relay": True, "address": "203.0.113.9",
                                                "lease": "203.0.113.9", "left_ms": 7})
        self.assertEqual(self.run_program(
            "check", "203.0.113.9", "--json",
            answer="NO reason=no_lease address=203.0.113.9 refused_reason=private\n"), 1)
        self.assertEqual(json.loads(self.out),
                         {"may_relay": False, "reason": "no_lease", "address": "203.0.113.9",
                          "refused_reason": "private"})

    def test_check_that_cannot_be_answered(self):
        self.check(["check", "203.0.113.9"], "ERR reason=temporary text=no%20snapshot\n",
                   "check address=203.0.113.9", 3,
                   err="dracctl: dracd answers temporary: no snapshot\n")

    def test_add(self):
        until = in_ms(7200)
        self.check(["add", "203.0.113.9", "--time", "2h", "--user", "bob", "--service", "imap"],
                   f"OK granted address=203.0.113.9 until_ms={until} boot_ms=1 left_ms=7200000 "
                   "published=yes\n",
                   "add address=203.0.113.9 user=bob service=imap ttl_ms=7200000 wait_ms=3000", 0,
                   f"granted 203.0.113.9 until {at(until)} (2h00m)\n")
        self.check(["add", "203.0.113.9"],
                   f"OK renewed address=203.0.113.9 until_ms={until} left_ms=7200000 "
                   "published=no\n", "add address=203.0.113.9 wait_ms=3000", 0,
                   f"renewed 203.0.113.9 until {at(until)} (2h00m); not in every map yet, see "
                   "dracctl status\n")
        self.check(["check", "203.0.113.9"],
                   f"OK permit address=203.0.113.9 lease=203.0.113.9 until_ms={until} "
                   f"left_ms=7200000 user= service= login_ms={until}\n",
                   "check address=203.0.113.9", 0,
                   f"203.0.113.9 may relay until {at(until)} (2h00m): login at {at(until)}\n")
        self.check(["add", "10.0.0.1"], "NO reason=private address=10.0.0.1 hint=lease_special\n",
                   "add address=10.0.0.1 wait_ms=3000", 1,
                   err="dracctl: 10.0.0.1: refused: private address; see lease_special\n")

    def test_revoke(self):
        until = in_ms(7201)
        before = f"no new lease before {minute_up(until)}."
        target = "revoke address=203.0.113.9"
        cases = [
            (f"users=27 leases=1 until_ms={until} lookups=2 maps=1 maps_late=0",
             f"(27 users); {before} All 2 lookups and 1 map refuse it now.\n"
             "note: this address is shared; to shut out one account only: dracctl revoke "
             "--user NAME\n"),
            (f"users=1 leases=1 until_ms={until} lookups=1 maps=0 maps_late=0",
             f"(1 user); {before} The 1 lookup refuses it now.\n"),
            (f"users=1 leases=1 until_ms={until} lookups=0 maps=2 maps_late=1",
             f"(1 user); {before} The 1 map refuses it now. 1 map is still to be written, see "
             "dracctl status.\n"),
            (f"users=0 leases=0 until_ms={until} lookups=2 maps=0 maps_late=0",
             f"(no lease); {before} All 2 lookups refuse it now.\n"),
            ("users=3 leases=2 lookups=0 maps=2 maps_late=2",
             "(2 leases, 3 users); the next login gives a new lease. 2 maps are still to be "
             "written, see dracctl status.\n"
             "note: this address is shared; to shut out one account only: dracctl revoke "
             "--user NAME\n"),
        ]
        for words, text in cases:
            with self.subTest(words=words):
                self.check(["revoke", "203.0.113.9"], f"OK revoked address=203.0.113.9 {words}\n",
                           target, 0, "revoked 203.0.113.9 " + text)
        self.check(["revoke", "203.0.113.9", "--hold", "2h", "--reason", "spam run, ticket 4711"],
                   f"OK revoked address=203.0.113.9 users=1 leases=1 until_ms={until}\n",
                   target + " hold_ms=7200000 reason=spam%20run,%20ticket%204711", 0,
                   f"revoked 203.0.113.9 (1 user); {before}\n")
        self.check(["revoke", "--user", "bob@x.net", "--hold=0"],
                   "OK revoked user=bob@x.net leases=3 lookups=1 maps=1 maps_late=0\n",
                   "revoke user=bob@x.net hold_ms=0", 0,
                   "revoked user bob@x.net (3 leases); the next login gives a new lease. The 1 "
                   "lookup and 1 map refuse them now.\n")

    def test_unblock(self):
        self.check(["unblock", "203.0.113.9"], "OK unblocked\n", "unblock address=203.0.113.9", 0,
                   "unblocked 203.0.113.9\n")
        self.check(["unblock", "--user", "bob"], "NO reason=no_block\n", "unblock user=bob", 1,
                   err="dracctl: bob is not blocked\n")

    def test_blocks(self):
        until = in_ms(7200)
        width = max(len(minute_up(until)), 9)
        self.check(["blocks"],
                   f"block address=203.0.113.9 until_ms={until} text=spam%20run\n"
                   "block user=bob@x.net\nOK count=2\n", "blocks", 0,
                   f"ADDRESS OR USER     {'UNTIL':{width}}  REASON\n"
                   f"203.0.113.9         {minute_up(until):{width}}  spam run\n"
                   f"bob@x.net           {'unblocked':{width}}  \n")
        self.assertEqual(self.run_program("blocks", "--json",
                                          answer="block user=bob until_ms=7\nOK count=1\n"), 0)
        self.assertEqual(json.loads(self.out), [{"user": "bob", "until_ms": 7}])

    def test_flush(self):
        self.check(["flush", "--yes"], "OK flushed leases=412 maps=1 maps_late=0\n", "flush", 0,
                   "flushed: 412 leases ended. The 1 map refuses them now.\n")
        self.check(["flush", "--yes"], "OK flushed leases=1 maps=0 maps_late=0\n", "flush", 0,
                   "flushed: 1 lease ended.\n")
        self.assertEqual(self.run_program("flush", stdin="y\n"), 2)
        self.assertIn("--yes", self.err)

    def test_reload(self):
        self.check(["reload"], "OK reloaded\n", "reload", 0, "reloaded\n")
        self.check(["reload"], "OK reloaded maps_late=1\n", "reload", 0, "reloaded\n",
                   'dracctl: 1 map is not yet as configured: "dracctl maps" and dracd\'s log tell why\n')
        self.check(["reload"], "warning text=map_x%20needs%20a%20restart\nOK reloaded\n",
                   "reload", 0, "reloaded\n", "map_x needs a restart\n")
        self.check(["reload"],
                   "problem text=drac.conf:3:%20no%20such%20option\n"
                   "problem text=drac.conf:9:%20not%20a%20time\n"
                   "ERR reason=config text=2%20problems\n", "reload", 1,
                   err="drac.conf:3: no such option\ndrac.conf:9: not a time\n"
                   "dracctl: dracd answers config: 2 problems\n"
                   "dracctl: the configuration in force is the old one\n")

    def test_maps(self):
        line = ("map name=sendmail type=hash keys=sendmail path=/x file=/x.db entries=0 published_ago_ms=5 "
                "pending=0 state=ok\n")
        text = "sendmail: hash, 0 entries, published 0 s ago, pending 0, ok\n    /x.db\n"
        self.check(["maps"], line + "OK\n", "maps", 0, text)
        self.check(["maps", "sendmail", "--rebuild"], line + "OK maps_late=0\n",
                   "maps name=sendmail rebuild=yes", 0, text)
        self.check(["maps", "--verify"], line.replace("ok\n", "ok verified=same rows=1234\n") + "OK maps_late=0\n",
                   "maps verify=yes", 0, text + "    verified: 1,234 rows as in the table\n")
        for state, more, status, said in [
                ("warning", "warning=is%20gone,%203%20s%20ago;%20rebuilt", 1, "WARNING: is gone, 3 s ago; rebuilt"),
                ("error", "error=cannot%20sync:%20No%20space", 2, "ERROR: cannot sync: No space"),
                ("warning", "verified=different rows=1 verify_text=1%20missing", 1,
                 "verified: DIFFERENT from the table: 1 missing"),
                ("warning", "verified=unreadable verify_text=signal%2011", 1, "verified: CANNOT BE READ: signal 11"),
                ("warning", "verified=no verify_text=it%20took%20too%20long", 1,
                 "verified: not done: it took too long")]:
            self.check(["maps"], line.replace("state=ok\n", f"state={state} {more}\n") + line + "OK\n", "maps", status,
                       text.replace("ok\n", f"{state}\n", 1) + f"    {said}\n" + text)
        self.check(["maps", "--rebuild"], line + "OK maps_late=1\n", "maps rebuild=yes", 2, text,
                   "dracctl: 1 map has not done that in time; see dracd's log\n")
        self.check(["maps", "x"], "NO reason=no_map\n", "maps name=x", 3, "",
                   'dracctl: there is no map x: "dracctl maps" names them\n')
        self.assertEqual(self.run_program("maps", "--json", answer=line + "OK\n"), 0)
        self.assertEqual(json.loads(self.out)[0]["entries"], 0)

    def test_what_may_not_be_done_is_said(self):
        for command in (["add", "::1"], ["revoke", "::1"],
                        ["unblock", "::1"], ["flush", "--yes"], ["reload"], ["list"], ["blocks"]):
            with self.subTest(command=command):
                self.assertEqual(self.run_program(*command, answer="ERR reason=denied\n"), 1)
                self.assertEqual(self.out, "")
                self.assertTrue(self.err.startswith(
                    "dracctl: not permitted: this is for root and the members of admin_group\n"))
        for command in (["status"], ["maps", "--rebuild"]):
            self.assertEqual(self.run_program(*command, answer="ERR reason=denied\n"), 3)
        self.assertEqual(self.run_program("list", "--json", answer="ERR reason=denied\n"), 1)
        self.assertEqual(self.out, "")

    def test_without_dracd(self):
        commands = (["status"], ["list"], ["check", "::1"], ["add", "::1"], ["revoke", "::1"],
                    ["unblock", "::1"], ["blocks"], ["flush", "--yes"], ["reload"], ["maps"])
        for command in commands:
            with self.subTest(command=command):
                self.assertEqual(self.run_program(*command), 3)
                self.assertEqual(
                    (self.out, self.err),
                    ("", f"dracctl: {self.path}: no such socket: dracd is not running "
                     "(journalctl -u dracd); leases are withdrawn\n"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(self.path)
        self.assertEqual(self.run_program("status"), 3)
        self.assertEqual(
            self.err, f"dracctl: {self.path}: connection refused: dracd is not running "
            "(journalctl -u dracd); leases are withdrawn\n")

    def test_a_dracd_that_ends_or_talks_nonsense_is_no_answer(self):
        cases = [
            ("", "closed in the middle of the answer"),
            ("OK", "closed in the middle of the answer"),
            ("leases count=1\n", "closed in the middle of the answer"),
            ("\n", "not understood"),
            ("OK  double\n", "not understood"),
            ("x" * 5000 + "\n", "too long"),
            ("x" * 5000, "too long"),
        ]
        for command in (["status"], ["list"], ["check", "::1"], ["reload"], ["maps"]):
            for answer, message in cases:
                with self.subTest(command=command, answer=answer[:20]):
                    self.assertEqual(self.run_program(*command, answer=answer), 3)
                    self.assertIn(message, self.err)

    def test_a_dracd_that_hangs_is_given_up_after_five_seconds(self):
        begun = time.monotonic()
        self.assertEqual(self.run_program("status", answer="", hangs=True), 3)
        self.assertGreaterEqual(time.monotonic() - begun, 5)
        self.assertEqual(self.err, f"dracctl: {self.path}: no answer within 5 s: dracd hangs or "
                         "is overloaded (journalctl -u dracd)\n")

    def test_wrong_usage(self):
        cases = [
            ([], 2, "usage: dracctl"),
            (["nonsense"], 2, "unknown command: nonsense"),
            (["status", "now"], 3, "unexpected argument: now"),
            (["maps", "a", "b"], 3, "unexpected argument: b"),
            (["status", "--yes"], 3, "unknown option: --yes"),
            (["list", "--expiring", "soon"], 2, "not a time like 90s, 30min, 2h or 1d: soon"),
            (["list", "--expiring"], 2, "an option lacks its value: expiring"),
            (["list", "--user="], 2, "an option lacks its value: user"),
            (["list", "--json=yes"], 2, "unknown option: --json=yes"),
            (["check"], 2, "an address is missing"),
            (["check", "::1", "::2"], 2, "unexpected argument: ::2"),
            (["add", "--user", "bob"], 2, "an address is missing"),
            (["revoke"], 2, "either an address or --user is needed"),
            (["revoke", "::1", "--user", "bob"], 2, "either an address or --user is needed"),
            (["unblock", "::1", "--hold", "2h"], 2, "unknown option: --hold"),
            (["flush", "all"], 2, "unexpected argument: all"),
            (["--json", "reload"], 2, "has no --json: reload"),
            (["--nonsense"], 2, "--nonsense"),
            (["list", "--user", "x" * 3000], 2, "the arguments are too long"),
            (["check", "nonsense"], 2, "dracctl: not an IPv4 or IPv6 address: nonsense\n"),
            (["check", "192.0.2.0/24"], 2, "dracctl: not an IPv4 or IPv6 address: 192.0.2.0/24\n"),
            (["revoke", "mail.example"], 2, "dracctl: not an IPv4 or IPv6 address or network: mail.example\n"),
            (["renew"], 2, "a file is missing"),
            (["renew", "/nonexistent"], 2, "dracctl: /nonexistent: No such file or directory\n"),
        ]
        for arguments, status, message in cases:
            with self.subTest(arguments=arguments):
                self.assertEqual(self.run_program(*arguments), status)
                self.assertEqual(self.out, "")
                self.assertIn(message, self.err)

    def test_help_and_version(self):
        self.assertEqual(self.run_program("--help"), 0)
        for command in ("status", "list", "check", "add", "revoke", "unblock", "blocks", "flush",
                        "reload", "maps"):
            self.assertIn(f"\n  {command} ", self.out)
        self.assertEqual(self.run_program("--version"), 0)
        self.assertTrue(self.out.startswith("dracctl "))

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_output_that_cannot_be_written_is_a_failure(self):
        for arguments in (["list"], ["list", "--json"], ["status"]):
            control = Control(self.path, [self.lease_lines().encode(), b"OK count=2\n"], False)
            try:
                with open("/dev/full", "wb") as full:
                    done = subprocess.run([DRACCTL, "-s", self.path, *arguments], stdout=full,
                                          stderr=subprocess.PIPE, timeout=PATIENCE)
            finally:
                control.close()
                os.unlink(self.path)
            if arguments != ["status"]:
                self.assertEqual(done.returncode, 3, arguments)
                self.assertIn(b"cannot write", done.stderr)


if __name__ == "__main__":
    unittest.main()
