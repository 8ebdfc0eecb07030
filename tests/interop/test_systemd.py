"""The units, under a real systemd with a real Dovecot and Postfix: README's installation, step by step."""

import concurrent.futures
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from tests.interop.cases import Cases
from tests.site import dialogue, dovecot, machine, postfix, wait
from tests.site import site as sites

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIGURATION = 'lease_special = {"127.0.0.0/8", "10.0.0.0/8", "198.51.100.0/24", "203.0.113.0/24"}\n'
CLIENT, STRANGER = "127.0.0.77", "127.0.0.78"
REPORTS, RESTARTS = 200, 5  # at least so many
SCORES = {"dracd.service": 0.5, "dracd-withdraw.service": 0.5, "drac-rpcd.service": 1.2, "dracd-renew.service": 1.5}
MAP = 'map site { type = hash  keys = postfix  path = "/var/lib/dracd/maps/site"  group = postfix  mode = 0640 }\n'
OWN, ROUTER = "198.51.100.200", "198.51.100.201"
DOVECOT = """\
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 5000
mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=5001 gid=5001 home=/srv/mail/%u
}
"""


class Step:
    """A machine on which each case goes on where the last one ended."""

    def __init__(self):
        self.machine = machine.Machine(f"{TOP}/build/site", f"{TOP}/build/trees/bookworm/systemd")
        self.machine.write("/etc/dovecot/conf.d/98-test.conf", DOVECOT)
        os.makedirs(f"{self.machine.root}/srv/mail", mode=0o777)
        os.chmod(f"{self.machine.root}/srv/mail", 0o777)
        self.machine.boot()

    # ---- what is asked again and again ----

    def pid(self):
        """The main process of dracd, as systemd counts."""
        return int(self.machine.shows("dracd", "MainPID"))

    def state(self, unit="dracd"):
        """active, inactive, failed ..."""
        return self.machine.shows(unit, "ActiveState")

    def processes(self):
        """What runs in dracd's control group."""
        group = self.machine.shows("dracd", "ControlGroup")
        return self.machine.must("cat", f"/sys/fs/cgroup{group}/cgroup.procs").split() if group else []

    def report(self, line):
        """The answer to one line on the report socket, on a connection of its own."""
        with self.machine.connect_unix("/run/dracd/report") as connection:
            connection.sendall(line.encode() + b"\n")
            with connection.makefile() as answers:
                return answers.readline().strip()

    def leases(self):
        """The addresses that have one."""
        return {row["address"] for row in json.loads(self.machine.must("dracctl", "list", "--json"))}

    def journal(self, *matches):
        """Entries of the journal."""
        lines = self.machine.must("journalctl", "-b", "-o", "json", *matches).splitlines()
        return [json.loads(line) for line in lines]

    def wait_for_restart(self, old, limit=60):
        """Until a new dracd serves."""
        def is_back():
            return self.pid() not in (0, old) and self.machine.run("dracctl", "status")[0] in (0, 1)
        wait.until(is_back, "dracd to be back", limit, pause=0.05)

    # ---- cases, in their order ----

    def install(self):
        """make install, and what the README says after it."""
        subprocess.run(["make", "-s", "install", f"DESTDIR={self.machine.root}", f"B={os.environ.get('B', 'build/out')}"],
                       cwd=TOP, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.machine.must("systemd-sysusers", "dracd.conf")
        self.machine.must("systemd-tmpfiles", "--create", "dracd.conf")
        assert "uid=" in self.machine.must("id", "drac-login")
        assert "drac-login" in self.machine.must("id", "-nG", "dracd").split()
        for path in ("/run/dracd", "/var/lib/dracd", "/var/lib/dracd/maps"):
            got = self.machine.must("stat", "-c", "%U %G %a", path).strip()
            assert got == "dracd dracd 755", f"{path}: {got}"
        # tmpfiles and sysusers again: nothing to do, and nothing wrong
        self.machine.must("systemd-sysusers", "dracd.conf")
        self.machine.must("systemd-tmpfiles", "--create", "dracd.conf")

    def units_are_sound(self):
        """No unknown word in any unit."""
        told = self.machine.must("systemd-analyze", "verify", "--man=no", "dracd.service", "dracd-report.socket",
                                 "dracd-addresses.socket", "dracd-withdraw.service",
                                 "dracd-renew.service", "dracd-renew.timer",
                                 "drac-rpcd.service", "drac-rpcd.socket")
        assert told == "", told

    def scores(self):
        """systemd's own judgement of each sandbox."""
        for unit, most in SCORES.items():
            told = self.machine.must("systemd-analyze", "security", "--offline=true", unit)
            score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)[1])
            print(f"# {unit}: exposure {score}, at most {most}")
            assert score <= most, told

    def recipes(self):
        """Dovecot and Postfix, by the recipes of the README."""
        self.machine.must("usermod", "-aG", "postfix", "dracd")
        self.machine.must("install", "-d", "-o", "dracd", "-g", "postfix", "-m", "0750",
                          "/var/spool/postfix/dracd")
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION)
        self.machine.write("/etc/dovecot/conf.d/99-dracd.conf", dovecot.recipe("serve"))
        with open(f"{self.machine.root}/etc/postfix/main.cf", encoding="utf-8") as file:
            main = re.sub(r"(?m)^(smtpd_relay_restrictions|mynetworks|mydestination) *=.*\n", "", file.read())
        asks = postfix.RESTRICTIONS.replace("@ASK@", postfix.ASK["policy"])
        self.machine.write("/etc/postfix/main.cf", main + "mynetworks = 127.0.0.1/32\nmydestination = site.example\n"
                           + "smtpd_relay_restrictions =\n" + asks)

    def enable(self):
        """systemctl enable --now dracd: notified, listening, with the right owners."""
        self.machine.must("systemctl", "enable", "--now", "dracd")
        assert self.state() == "active", self.state()
        assert self.state("dracd-report.socket") == "active"
        assert self.machine.shows("dracd-report.socket", "UnitFileState") == "enabled"
        assert self.machine.shows("dracd-renew.timer", "UnitFileState") == "disabled"
        assert self.machine.shows("dracd-addresses.socket", "UnitFileState") == "enabled"
        assert self.machine.shows("dracd-withdraw", "UnitFileState") == "enabled"
        assert self.machine.shows("dracd", "StatusText") == "serving"
        told = self.machine.must("dracctl", "status")
        assert "lookup    postfix policy /var/spool/postfix/dracd/policy" in told, told
        got = self.machine.must("stat", "-c", "%U %G %a", "/run/dracd/report").strip()
        assert got == "root drac-login 660", got

    def sandbox(self):
        """What the unit takes away from dracd is gone, and all that dracd does goes on without it."""
        main = self.machine.shows("dracd", "MainPID")
        # its other children check something, and end
        guardian = [pid for pid in self.processes()
                    if self.machine.run("cat", f"/proc/{pid}/comm") == (0, "dracd-guardian\n")]
        assert len(guardian) == 1, guardian
        for pid in [main, *guardian]:
            status = dict(line.split(":\t", 1) for line in self.machine.must("cat", f"/proc/{pid}/status").splitlines()
                          if ":\t" in line)
            assert {status[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}, status
            assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status
            assert self.machine.must("readlink", f"/proc/{pid}/ns/net") != self.machine.must("readlink", "/proc/1/ns/net")
            for path, may in (("/etc", False), ("/usr", False), ("/var/lib", False), ("/var/spool/postfix", False),
                              ("/run/dracd", True), ("/var/lib/dracd", True), ("/var/spool/postfix/dracd", True)):
                status, told = self.machine.run("nsenter", "--target", pid, "--mount", "sh", "-c",
                                                f"touch {path}/probe && rm {path}/probe")
                assert (status == 0) == may and (may or "Read-only" in told), f"{path}: {told}"
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION + MAP)
        self.machine.must("systemctl", "reload", "dracd")
        told = self.machine.must("stat", "-c", "%U %G %a", "/var/lib/dracd/maps/site.db").strip()
        assert told == "dracd postfix 640", told
        assert "OK granted" in self.report("login address=203.0.113.60 user=bob service=imap wait_ms=5000")
        assert self.is_in_map("203.0.113.60")
        told = self.machine.must("dracctl", "maps", "--verify")
        assert "site" in told, told
        self.machine.must("dracctl", "revoke", "203.0.113.60", "--hold", "0")
        # a network of its own, but the addresses of the host, and its router
        for address in (OWN, ROUTER):
            assert self.report(f"login address={address} user=bob service=imap").startswith("OK granted")
            self.machine.must("dracctl", "revoke", address, "--hold", "0")
        self.machine.network("address", "add", f"{OWN}/32", "dev", "lo")
        self.machine.network("route", "add", "default", "via", ROUTER, "dev", "lo", "onlink")
        self.machine.must("systemctl", "reload", "dracd")
        assert "reason=own_address" in self.report(f"login address={OWN} user=bob service=imap")
        assert "reason=router" in self.report(f"login address={ROUTER} user=bob service=imap")
        self.machine.network("route", "del", "default")
        self.machine.network("address", "del", f"{OWN}/32", "dev", "lo")

    def is_in_map(self, address):
        """Whether Postfix finds it."""
        status, told = self.machine.run("postmap", "-q", address, "hash:/var/lib/dracd/maps/site")
        assert (status, told) in ((0, "OK\n"), (1, "")), told
        return status == 0

    def withdrawn(self):
        """Whatever ends dracd and its guardian, the maps and lookups are closed behind it."""
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION + MAP)
        self.machine.write("/etc/systemd/system/dracd.service.d/once.conf", "[Service]\nRestart=no\n")
        self.machine.must("systemctl", "daemon-reload")
        kill = ("systemctl", "kill", "--kill-whom=all")
        for name, order in (("stop", ("systemctl", "stop", "dracd")),
                            ("dracd killed", ("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "dracd")),
                            ("dracd and guardian killed", (*kill, "-s", "KILL", "dracd")),
                            ("dracd crashed", ("systemctl", "kill", "--kill-whom=main", "-s", "ABRT", "dracd"))):
            self.machine.must("systemctl", "restart", "dracd")
            assert self.report("login address=203.0.113.61 user=bob service=imap wait_ms=5000").startswith("OK ")
            assert self.is_in_map("203.0.113.61")
            started = time.monotonic()
            self.machine.must(*order)
            wait.until(lambda: not self.is_in_map("203.0.113.61"), f"{name}: the map to be withdrawn")
            print(f"# systemd, {name}: map withdrawn after {(time.monotonic() - started) * 1000:.0f} ms")
            wait.until(lambda: self.state() in ("inactive", "failed"), f"{name}: the unit to end")
            for path in ("/run/dracd/socketmap", "/var/spool/postfix/dracd/policy"):
                assert self.machine.run("test", "-e", path)[0] == 1, f"{name}: {path}"
            assert self.machine.must("cat", "/var/lib/dracd/published") == "dracd-published version=1\n", name
        # of any unit: journald may come too late to see of which a process was that has ended
        told = self.machine.must("journalctl", "-b", "-o", "cat")
        assert "withdrawn: 2 of 2 lookups and maps" in told, told[-3000:]
        self.machine.must("rm", "-r", "/etc/systemd/system/dracd.service.d")
        self.machine.must("systemctl", "daemon-reload")
        self.machine.must("systemctl", "reset-failed", "dracd")
        self.machine.must("systemctl", "start", "dracd")
        assert self.is_in_map("203.0.113.61")  # the true set is back at once

    def withdrawn_beside_what_is_not_there(self):
        """A directory of a drop-in that is not there keeps nothing from being withdrawn."""
        drop_in = "[Service]\nReadWritePaths=-/var/spool/postfix-lan/dracd\n"
        for unit in ("dracd", "dracd-withdraw"):
            self.machine.write(f"/etc/systemd/system/{unit}.service.d/lan.conf", drop_in)
        self.machine.must("systemctl", "daemon-reload")
        self.machine.must("systemctl", "restart", "dracd")
        assert self.is_in_map("203.0.113.61")
        self.machine.must("systemctl", "kill", "--kill-whom=all", "-s", "KILL", "dracd")
        self.machine.must("systemctl", "stop", "dracd-report.socket", "dracd")
        assert not self.is_in_map("203.0.113.61")
        self.machine.must("systemctl", "restart", "dracd-withdraw")
        self.machine.must("systemctl", "start", "dracd")
        self.machine.must("systemctl", "restart", "dracd-withdraw")  # beside a dracd that runs: it leaves that alone
        assert self.is_in_map("203.0.113.61")
        self.machine.must("rm", "-r", "/etc/systemd/system/dracd.service.d", "/etc/systemd/system/dracd-withdraw.service.d")
        self.machine.must("systemctl", "daemon-reload")

    def stale_at_boot(self):
        """The plug is pulled while a lease is published, and dracd does not come back: no MTA finds it."""
        assert self.is_in_map("203.0.113.61")
        condition = "/etc/systemd/system/dracd.service.d/off.conf"
        self.machine.write(condition, "[Unit]\nConditionPathExists=/nowhere\n")
        self.machine.must("sync")
        self.machine.pull_the_plug()
        self.machine.boot()
        assert self.state("dracd-withdraw") == "active" and self.state() == "inactive"
        done = int(self.machine.shows("dracd-withdraw", "ActiveEnterTimestampMonotonic"))
        for unit in ("postfix@-.service", "postfix.service"):
            started = int(self.machine.shows(unit, "InactiveExitTimestampMonotonic"))
            assert 0 < done <= started, f"{unit}: {started}, dracd-withdraw {done}"
        assert not self.is_in_map("203.0.113.61")
        self.machine.must("rm", condition)
        self.machine.must("systemctl", "daemon-reload")
        self.machine.must("systemctl", "start", "dracd")
        assert self.is_in_map("203.0.113.61")

    def reporters(self):
        """The helper's account may report, another may not even connect."""
        for user, group, status in (("drac-login", "drac-login", 0), ("nobody", "nogroup", 1)):
            got, _ = self.machine.run("setpriv", "--reuid", user, "--regid", group, "--clear-groups",
                                      "test", "-w", "/run/dracd/report")
            assert got == status, f"{user}: {got}"

    def login_to_relay(self):
        """An IMAP login at Debian's Dovecot opens Debian's Postfix."""
        self.machine.must("systemctl", "restart", "dovecot", "postfix")
        wait.until(lambda: self.machine.run("test", "-S", "/run/dovecot/anvil")[0] == 0, "Dovecot")
        before = wait.until(lambda: self._rcpt(CLIENT), "Postfix")
        assert before.code == 554, before
        reply = dialogue.imap_login(self.machine, CLIENT, 143, "alice")
        assert reply.ok, reply
        assert self._rcpt(CLIENT).code == 250
        assert self._rcpt(STRANGER).code == 554

    def _rcpt(self, client):
        try:
            return dialogue.smtp_rcpt(self.machine, client, 25, sites.OUTSIDE)
        except ConnectionRefusedError:
            return None

    def report_by_rpc(self, address):
        """The status that DRAC's version 1 has for it, by UDP."""
        call = struct.pack(">10I", 7, 0, 2, 900101, 1, 1, 0, 0, 0, 0) + socket.inet_aton(address)
        octets = "".join(f"\\x{octet:02x}" for octet in call)
        answer = self.machine.must("bash", "-c", f"exec 3<>/dev/udp/127.0.0.1/10901; printf '{octets}' >&3;"
                                   "timeout 20 head -c 28 <&3 | od -An -v -tx1").split()
        assert answer[:24] == "00 00 00 07 00 00 00 01".split() + ["00"] * 16, answer
        return int("".join(answer[24:]), 16)

    def rpcbind_knows(self):
        """What it says of program 900101: version, protocol and port."""
        rows = [row.split() for row in self.machine.must("rpcinfo", "-p").splitlines()]
        return sorted(row[1:4] for row in rows if row[0] == "900101")

    def call_during(self, *command):
        """One call after the other while a command runs: each succeeds."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(self.machine.must, *command)
            while not done.done():
                got = self.report_by_rpc("198.51.100.34")
                assert got == 0, got
            done.result()

    def gateway(self):
        """drac-rpcd: not enabled at first; without rpcbind, and with it; its account and sandbox."""
        assert self.machine.shows("drac-rpcd", "UnitFileState") == "disabled"
        assert self.machine.shows("drac-rpcd.socket", "UnitFileState") == "disabled"
        assert self.machine.must("id", "-nG", "drac-rpcd").split() == ["drac-rpcd", "drac-login"]
        self.machine.must("systemctl", "stop", "rpcbind.socket", "rpcbind.service")
        self.machine.must("systemctl", "enable", "--now", "drac-rpcd")
        assert self.state("drac-rpcd") == "active"
        status = self.machine.must("cat", f"/proc/{self.machine.shows('drac-rpcd', 'MainPID')}/status")
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), status
        assert self.report_by_rpc("198.51.100.31") == 0
        assert "198.51.100.31" in self.leases()
        assert any("reporter=drac-rpcd" in entry["MESSAGE"] for entry in self.journal("DRAC_EVENT=granted"))
        self.machine.must("systemctl", "start", "rpcbind.service")
        self.machine.must("systemctl", "restart", "drac-rpcd")
        everything = [[version, protocol, "10901"] for version in "12" for protocol in ("tcp", "udp")]
        wait.until(lambda: self.rpcbind_knows() == everything, "rpcbind to know the gateway")
        for version in "12":
            self.machine.must("rpcinfo", "-T", "udp", "127.0.0.1", "900101", version)
            self.machine.must("rpcinfo", "-T", "tcp", "127.0.0.1", "900101", version)
        self.machine.must("systemctl", "kill", "-s", "KILL", "drac-rpcd")
        wait.until(lambda: self.state("drac-rpcd") == "active", "the gateway to be back")
        assert self.report_by_rpc("198.51.100.32") == 0
        assert self.rpcbind_knows() == everything
        self.machine.must("systemctl", "reload", "drac-rpcd")
        self.call_during("systemctl", "restart", "dracd")
        self.machine.must("systemctl", "stop", "drac-rpcd")

    def gateway_socket(self):
        """drac-rpcd behind its socket unit: the first call starts it, and calls outlast a restart."""
        self.machine.must("systemctl", "enable", "--now", "drac-rpcd.socket")
        assert self.state("drac-rpcd") == "inactive", self.state("drac-rpcd")
        got = self.report_by_rpc("198.51.100.33")
        assert got == 0, got
        wait.until(lambda: self.state("drac-rpcd") == "active", "the gateway to be active")
        self.call_during("systemctl", "restart", "drac-rpcd")
        missing = {"198.51.100.33", "198.51.100.34"} - self.leases()
        assert not missing, missing
        self.machine.must("systemctl", "disable", "--now", "drac-rpcd.socket", "drac-rpcd.service")

    def journal_fields(self):
        """What is logged can be asked for."""
        entries = self.journal("DRAC_EVENT=granted", f"DRAC_ADDRESS={CLIENT}")
        assert len(entries) == 1, entries
        entry = entries[0]
        assert (entry["DRAC_USER"], entry["DRAC_SERVICE"], entry["DRAC_REPORTER"], entry["PRIORITY"]) == \
            ("alice", "imap", "drac-login", "6"), entry
        assert entry["MESSAGE"].startswith(f"granted {CLIENT} user=alice service=imap until="), entry
        assert entry["_SYSTEMD_UNIT"] == "dracd.service"

    def renewal(self):
        """dracd-renew.service extends the lease of a session that lasts, and fails if doveadm does."""
        self.machine.must("dracctl", "add", STRANGER, "--time", "5min", "--user", "bob")
        with dialogue.Imap(self.machine, STRANGER, 143, "bob"):
            self.machine.must("dracctl", "revoke", STRANGER, "--hold", "0")
            self.machine.must("dracctl", "add", STRANGER, "--time", "5min", "--user", "bob")
            self.machine.must("systemctl", "start", "dracd-renew.service")
            told = self.machine.must("journalctl", "-b", "-o", "cat", "-u", "dracd-renew.service")
            assert "renewed the leases of 1 of 1 sessions" in told, told
        row = next(row for row in json.loads(self.machine.must("dracctl", "list", "--json"))
                   if row["address"] == STRANGER)
        assert row["left_ms"] > 1700000, row
        self.machine.must("systemctl", "stop", "dovecot")
        status, told = self.machine.run("systemctl", "start", "dracd-renew.service")
        assert status != 0 and self.state("dracd-renew.service") == "failed", told
        self.machine.must("systemctl", "reset-failed", "dracd-renew.service")
        self.machine.must("systemctl", "start", "dovecot", "dracd-renew.timer")
        assert self.machine.shows("dracd-renew.timer", "NextElapseUSecMonotonic") != "infinity"
        self.machine.must("systemctl", "stop", "dracd-renew.timer")

    def restart(self):
        """Logins reported while dracd restarts are answered, every one."""
        before, old = self.leases(), self.pid()
        numbers, answers, over = itertools.count(), {}, threading.Event()

        def go_on():
            while not over.is_set() or len(answers) < REPORTS:
                number = next(numbers)
                address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
                answers[address] = self.report(f"login address={address} user=u{number} service=imap")

        with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
            reporters = [pool.submit(go_on) for _ in range(16)]
            try:
                for _ in range(RESTARTS):
                    seen = len(answers)
                    wait.until(lambda n=seen: len(answers) > n + 20 or any(r.done() for r in reporters), "reports")
                    self.machine.must("systemctl", "restart", "dracd")
            finally:
                over.set()
        for reporter in reporters:
            reporter.result()
        assert self.pid() != old
        bad = [answer for answer in answers.values() if not answer.startswith("OK granted")]
        assert not bad, f"{len(bad)} of {len(answers)} reports: {bad[:3]}"
        missing = (before | set(answers)) - self.leases()
        assert not missing, f"{len(missing)} of {len(answers)} leases are not there"

    def reload(self):
        """systemctl reload: in force when it returns; a bad file fails it and changes nothing."""
        old = self.pid()
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION + 'deny = {"198.51.100.7"}\n')
        self.machine.must("systemctl", "reload", "dracd")
        assert self.machine.run("dracctl", "check", "198.51.100.7")[0] == 1
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION + "lease_tiem = 5min\n")
        status, told = self.machine.run("systemctl", "reload", "dracd")
        assert status != 0, told
        told = self.machine.must("journalctl", "-b", "-o", "cat", "-u", "dracd")
        assert re.search(r"drac\.conf:2: .*lease_tiem", told), told[-2000:]
        assert self.machine.run("dracctl", "check", "198.51.100.7")[0] == 1
        assert self.state() == "active" and self.pid() == old
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION)
        self.machine.must("systemctl", "reload", "dracd")
        assert "reloaded" in self.machine.must("journalctl", "-b", "-o", "cat", "-u", "dracd")
        assert self.pid() == old

    def other_path(self):
        """Who changes report_socket in drac.conf alone is told that systemd's is the one."""
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION + 'report_socket = "/run/dracd/elsewhere"\n')
        self.machine.must("systemctl", "restart", "dracd")
        told = self.machine.must("journalctl", "-b", "-o", "cat", "-p", "warning", "-u", "dracd")
        assert "report_socket = /run/dracd/elsewhere, which is not used" in told, told[-2000:]
        assert self.report("noop") == "OK"
        self.machine.write("/etc/drac/drac.conf", CONFIGURATION)
        self.machine.must("systemctl", "restart", "dracd")
        again = self.machine.must("journalctl", "-b", "-o", "cat", "-p", "warning", "-u", "dracd")
        assert again.count("which is not used") == 1, again[-2000:]

    def killed(self):
        """kill -9: back with its leases, each time."""
        before = self.leases()
        for _ in range(7):  # more often than systemd's own limit would bear
            old = self.pid()
            self.machine.must("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "dracd")
            self.wait_for_restart(old)
        assert before <= self.leases()

    def hangs(self):
        """SIGSTOP: the watchdog notices, and dracd is back within seconds of its ten."""
        before, old = self.leases(), self.pid()
        self.machine.must("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "dracd")
        started = time.monotonic()
        self.wait_for_restart(old, 60)
        assert time.monotonic() - started < 20, f"{time.monotonic() - started:.0f} s"
        assert self.machine.shows("dracd", "NRestarts") != "0"
        assert before <= self.leases()

    def stop_service(self):
        """systemctl stop dracd says what will start it again, and a login does."""
        old = self.pid()
        told = self.machine.must("systemctl", "stop", "dracd")
        assert "dracd-report.socket" in told, told
        assert self.state() == "inactive" and self.processes() == []
        assert self.report("login address=203.0.113.8 user=bob service=imap").startswith("OK granted")
        assert self.state() == "active" and self.pid() != old

    def stop(self):
        """Stopping the socket stops both: no process, no socket, and no login starts it again."""
        self.machine.must("systemctl", "stop", "dracd-report.socket")
        assert self.state() == "inactive" and self.state("dracd-report.socket") == "inactive"
        assert self.processes() == []
        for name in ("report", "control", "socketmap"):
            assert self.machine.run("test", "-e", f"/run/dracd/{name}")[0] == 1, name
        assert self.machine.run("sh", "-c", "grep -h ^dracd /proc/[0-9]*/comm")[0] == 1
        assert dialogue.imap_login(self.machine, STRANGER, 143, "alice").ok
        assert self._rcpt(CLIENT).code == 554
        assert self.state() == "inactive"
        self.machine.must("systemctl", "start", "dracd")
        assert CLIENT in self.leases()
        assert self._rcpt(CLIENT).code == 250
        got = self.machine.must("stat", "-c", "%U %G %a", "/run/dracd/report").strip()
        assert got == "root drac-login 660", got

    def boot_order(self):
        """After a reboot dracd is ready before Dovecot and Postfix start."""
        self.machine.power_off()
        self.machine.boot()
        assert self.state() == "active"
        ready = int(self.machine.shows("dracd", "ActiveEnterTimestampMonotonic"))
        for unit in ("dovecot.service", "postfix@-.service", "postfix.service"):
            started = int(self.machine.shows(unit, "InactiveExitTimestampMonotonic"))
            assert self.state(unit) == "active" and 0 < ready <= started, f"{unit}: {started}, dracd {ready}"
        for unit in ("dracd.service", "dracd-withdraw.service"):
            told = re.findall(r"\n\tBefore: (\S+)", self.machine.must("systemd-analyze", "dump", unit))
            assert {"postfix@-.service", "postfix.service", "sendmail.service", "exim4.service"} <= set(told), told
        assert self._rcpt(CLIENT).code == 250  # the lease has outlived the reboot

    def power_failure(self):
        """The plug is pulled: a lease that was answered is there after it."""
        self.report("login address=203.0.113.9 user=bob service=imap")
        self.machine.pull_the_plug()
        self.machine.boot()
        assert {CLIENT, "203.0.113.9"} <= self.leases()

    def uninstall(self):
        """make uninstall takes away every unit."""
        self.machine.must("systemctl", "disable", "--now", "dracd", "dracd-report.socket",
                          "dracd-addresses.socket", "dracd-withdraw.service")
        subprocess.run(["make", "-s", "uninstall", f"DESTDIR={self.machine.root}"], cwd=TOP, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        # /usr holds all that is installed and is not the site's (its /etc, its table) to keep.
        left = self.machine.must("find", "/usr", "-name", "*drac*").split()
        assert left == [], left


def main():
    """Each case needs the machine as the one before it has left it."""
    if os.environ.get("DRACD_RELEASE", "bookworm") != "bookworm":
        print("# systemd: the machine is a Debian 12")
        return 0
    cases = Cases()
    step = Step()
    try:
        for case in (step.install, step.units_are_sound, step.scores, step.recipes, step.enable, step.sandbox, step.reporters,
                     step.login_to_relay, step.gateway, step.gateway_socket, step.journal_fields, step.renewal,
                     step.restart, step.reload, step.other_path, step.killed, step.hangs, step.stop_service,
                     step.stop, step.withdrawn,
                     step.withdrawn_beside_what_is_not_there, step.boot_order, step.power_failure, step.stale_at_boot,
                     step.uninstall):
            cases.one(f"systemd: {case.__doc__.splitlines()[0].rstrip('.')}", case)
            if cases.failed and case == step.install:  # then nothing that follows has a ground to stand on
                break
        if cases.failed:
            print(step.machine.run("journalctl", "-b", "-u", "dracd*", "-n", "80")[1], file=sys.stderr)
    finally:
        step.machine.pull_the_plug()
    return 1 if cases.failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
