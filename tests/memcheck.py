"""dracd, drac-rpcd and dracctl under valgrind, once around: no fault, no leak, no descriptor that is left open.

    B=build/cc-memcheck python3 -m tests.memcheck        as "make check-valgrind" does
"""
import glob
import os
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, "tests/scenario")
import dracd_box  # noqa: E402
from dracd_box import DRACD, Dracd  # noqa: E402
from rpc_box import SUCCESS, Gateway, Tcp, Udp, answered, ipv4, ipv6, message  # noqa: E402

DRACCTL = os.path.abspath(f"{dracd_box.BUILD}/client/dracctl")
FAULTY = 99  # the exit status
MAPS = """
map hash { type = hash keys = postfix path = "%s/hash" interval = 0 }
map lmdb { type = lmdb keys = postfix path = "%s/lmdb" interval = 0 mode = 0600 }
map cdb { type = cdb keys = exim path = "%s/cdb" interval = 0 }
map text { type = iplsearch path = "%s/text" interval = 0 }
"""
dracd_box.PATIENCE = 120  # it is some twenty times slower


def valgrind(log):
    """A command that runs another under it; each process has a log of its own."""
    return ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--track-fds=yes", f"--error-exitcode={FAULTY}",
            f"--log-file={log}.%p"]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def left_open(text):
    """The descriptors that a process still had at its end and had not been given."""
    found = re.findall(r"(Open (?:AF_\w+ socket|file descriptor) .*)\n==\d+== +(.*)\n", text)
    return [(what, origin) for what, origin in found if origin != "<inherited from parent>"]


class Memcheck(unittest.TestCase):
    """Each case has a directory of its own; its logs are read when all in it has ended."""

    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        self.dracd.tracer = valgrind(self.dracd.path("valgrind"))

    def judge(self, *pids):
        """Every process has ended without a fault, and those of pids without an open descriptor: the guardian of dracd, which
        ends with it, keeps what it watches."""
        logs = sorted(glob.glob(self.dracd.path("valgrind*")))
        self.assertGreaterEqual(len(logs), max(1, len(pids)))
        for path in logs:
            pid = int(path.rpartition(".")[2])
            self.dracd.wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), f"the end of {pid}")
            text = read(path)
            with self.subTest(os.path.basename(path)):
                found = [line for line in text.splitlines()
                         if re.match(r"==\d+== (?!\s*(Open |at |by |$|FILE|<inherited))", line)]
                self.assertEqual(found, [], text)
                if pid in pids:
                    self.assertIn("FILE DESCRIPTORS:", text)
                    self.assertEqual(left_open(text), [])

    def fill_config(self):
        maps = self.dracd.path("maps")
        os.makedirs(maps, exist_ok=True)
        self.dracd.write_config(MAPS.replace("%s", maps))

    def test_a_life(self):
        """Start, logins, lookups, maps, a reload, a revocation, an end of a lease, stop, start on that table, stop."""
        dracd = self.dracd
        self.fill_config()
        dracd.start()
        self.assertTrue(dracd.login("203.0.113.9").startswith("OK granted"))
        self.assertTrue(dracd.login("203.0.113.9").startswith("OK renewed"))
        self.assertTrue(dracd.login("2001:db8::9", "user=eve service=imap wait_ms=9000").startswith("OK granted"))
        self.assertTrue(dracd.login("10.0.0.1").startswith("NO reason=private"))
        self.assertTrue(dracd.admits("203.0.113.9"))
        self.assertIn("OK", dracd.control("list user=eve")[-1])
        self.assertIn("OK", dracd.control("status")[-1])
        self.assertIn("OK", dracd.control("maps verify=yes")[-1])
        dracd.login("203.0.113.5", "user=bob service=imap ttl_ms=1000")
        dracd.wait_for(lambda: dracd.policy("203.0.113.5") == "action=DUNNO", "the end of a lease")
        dracd.control("add address=203.0.113.0/24 ttl_ms=600000")
        self.assertTrue(dracd.control("revoke user=eve hold_ms=60000 reason=x")[-1].startswith("OK revoked"))
        self.assertIn("OK", dracd.control("blocks")[-1])
        with open(dracd.config, "a", encoding="utf-8") as file:
            file.write('lookup more { protocol = plain path = "%s" }\n' % dracd.path("more"))
        self.assertEqual(dracd.control("reload")[-1].split(" ")[0], "OK")
        self.assertTrue(dracd.control("unblock user=eve")[-1].startswith("OK"))
        self.assertEqual(dracd.stop(), 0)
        first = dracd.process.pid
        dracd.start()
        self.assertTrue(dracd.admits("203.0.113.9"))
        self.assertTrue(dracd.control("flush")[-1].startswith("OK"))
        self.assertEqual(dracd.stop(), 0)
        self.judge(first, dracd.process.pid)

    def test_what_goes_wrong(self):
        """Requests that are none, a reload that is refused, maps that cannot be written, a reporter who leaves."""
        dracd = self.dracd
        self.fill_config()
        os.rmdir(dracd.path("maps"))
        dracd.start()
        for line in ("login", "login address=x", "x" * 3000, "login address=203.0.113.9 user=%zz", "\0"):
            with dracd.stream("report") as report:
                self.assertTrue(report.ask(line).startswith("ERR"))
        for line in ("x", "list expiring_ms=x", "revoke", "import-drac", "maps name=x", "check"):
            self.assertRegex(dracd.control(line)[-1], "^(ERR|NO)")
        with dracd.stream("socketmap") as stream:
            stream.send("5:abc")
        with dracd.stream("policy") as stream:
            stream.send("request=")
        with dracd.stream("report") as stream:
            stream.send("login address=203.0.113.7 wait_ms=9000\nlogin addr")
        with open(dracd.config, "a", encoding="utf-8") as file:
            file.write("lease_time = x\nfoo = 1\nmap d { type = hash }\n")
        self.assertTrue(dracd.control("reload")[-1].startswith("ERR"))
        self.assertTrue(dracd.login("203.0.113.9").startswith("OK"))
        self.assertEqual(dracd.stop(), 0)
        self.judge(dracd.process.pid)

    def test_a_start_that_fails(self):
        """Each is told, and everything that was open by then is closed."""
        dracd = self.dracd
        with open(dracd.path("state/blocks"), "w", encoding="utf-8") as file:
            file.write("dracd-blocks version=9\n")
        dracd.start(wait=False)
        self.assertNotIn(dracd.process.wait(120), (0, FAULTY))
        first = dracd.process.pid
        os.unlink(dracd.path("state/blocks"))
        dracd.write_config('lookup far { protocol = plain path = "/nowhere/x" }\n')
        dracd.start(wait=False)
        self.assertNotIn(dracd.process.wait(120), (0, FAULTY))
        self.judge(first, dracd.process.pid)

    def test_check_of_a_configuration(self):
        for text, wanted in (("", 0), ("lease_time = x\nmap a { type = hash }\nfoo { }\n", 1)):
            self.dracd.write_config(text)
            result = subprocess.run([*self.dracd.tracer, DRACD, "-t", "-c", self.dracd.config], check=False, capture_output=True)
            self.assertEqual(bool(result.returncode), bool(wanted))
            self.assertNotEqual(result.returncode, FAULTY)
        self.judge()

    def test_gateway(self):
        """Calls by both protocols, a caller who is not permitted, what is no call, a reload."""
        dracd = Dracd()
        self.addCleanup(dracd.remove)
        dracd.write_config('rpc {{ rpcbind = no allow_file = "{}" report_socket = "{}" }}'.format(
            dracd.path("allow"), dracd.path("report")))
        with open(dracd.path("allow"), "w", encoding="utf-8") as file:
            file.write("255.255.255.255 127.0.0.1\nnonsense\n")
        dracd.start()
        gateway = Gateway(dracd)
        self.addCleanup(gateway.remove)
        gateway.tracer = self.dracd.tracer
        gateway.start()
        udp, tcp, idle = Udp(gateway.at["udp", 4]), Tcp(gateway.at["tcp", 4]), Tcp(gateway.at["tcp", 4])
        self.assertEqual(udp.ask_again(message(1, argument=ipv4("203.0.113.9"))), answered(1, SUCCESS))
        self.assertEqual(tcp.ask(message(2, 2, argument=ipv6("2001:db8::9"))), answered(2, SUCCESS))
        tcp.send_octets(b"\xff\xff\xff\xff")
        self.assertTrue(tcp.is_closed())
        udp.send(b"x" * 60)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("reloaded")
        self.assertEqual(gateway.stop(), 0)
        for client in (udp, tcp, idle):
            client.close()
        self.judge(gateway.process.pid)

    def test_dracctl(self):
        dracd = Dracd()
        self.addCleanup(dracd.remove)
        dracd.start()
        for arguments in (["add", "203.0.113.9"], ["list"], ["--json", "list"], ["status"], ["check", "203.0.113.9"],
                          ["check", "203.0.113.8"], ["revoke", "203.0.113.9"], ["blocks"], ["maps"], ["nonsense"]):
            result = subprocess.run([*self.dracd.tracer, DRACCTL, "-s", dracd.path("control"), *arguments], check=False,
                                    capture_output=True)
            self.assertNotEqual(result.returncode, FAULTY, arguments)
        sessions = b"username\tproto\tpid\tip\nbob\timap\t1\t203.0.113.9\nbob\timap\t2\t203.0.113.9\n"
        subprocess.run([*self.dracd.tracer, DRACCTL, "-r", dracd.path("report"), "renew"], input=sessions, check=False,
                       capture_output=True)
        self.judge()


if __name__ == "__main__":
    RESULT = unittest.main(verbosity=2, exit=False).result
    FAILED = len(RESULT.failures) + len(RESULT.errors)
    print(f"{RESULT.testsRun - min(FAILED, RESULT.testsRun)} passed, {FAILED} failed")
    sys.exit(FAILED > 0)
