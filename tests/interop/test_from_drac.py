"""From DRAC to dracd, as the README tells: real Sendmail and real Postfix, whose configuration for DRAC's btree is not
touched and which are not restarted, before and after what DRAC has left is imported and its file replaced."""

import os
import re
import sys
import time

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site, dialogue, old_drac, postfix, process, sendmail, wait
from tests.site import site as sites

LONGEST = 3600
CONFIGURATION = f"lease_time = 6s\nlease_time_max = {LONGEST}s\n" + ask.SPECIAL
PORTS = {"postfix": old_drac.POSTFIX_PORT, "sendmail": old_drac.SENDMAIL_PORT}
REFUSED = {"postfix": (554, "5.7.1"), "sendmail": (550, "5.7.1")}
SOON = 5.0

# In DRAC's own spelling an IPv6 address was never found by Sendmail.
LEFT = {"IPv4": "203.0.113.1", "IPv6": "2001:db8:1::1"}
OVER = "203.0.113.2"
PRIVATE = "10.9.8.7"


def old_rows():
    """What DRAC has left: addresses, and until when."""
    now = int(time.time())
    return {**{address: now + LONGEST // 2 for address in (*LEFT.values(), PRIVATE)}, OVER: now - 60}


def reply_of(site, mta, client, recipient=sites.OUTSIDE):
    """To a RCPT in a new session: code and enhanced code."""
    reply = dialogue.smtp_rcpt(site.network, client, PORTS[mta], recipient, dialogue.LIMIT)
    return reply.code, reply.enhanced


def says(site, mta, client, wanted, limit=SOON):
    """Within its time; a map file that is replaced just now makes Sendmail ask for another try."""
    last = []

    def asked():
        last[:] = [reply_of(site, mta, client)]
        return last[0] == wanted

    try:
        wait.until(asked, "reply", limit, pause=0.05)
    except wait.Late:
        raise AssertionError(f"{mta} from {client}: {last[0]}, expected {wanted}") from None


class Move:
    """The steps, each with its cases for both servers."""

    def __init__(self, site, cases):
        self._site, self._cases = site, cases

    def both(self, name, client, permitted):
        """One case each."""
        for mta in PORTS:
            self._cases.one(f"{name}: {mta}", says, self._site, mta, client,
                            ask.PERMITTED if permitted else REFUSED[mta])

    def before(self):
        """DRAC's file, which DRAC might still write."""
        self.both("DRAC's own file, IPv4", LEFT["IPv4"], True)
        self.both("DRAC's own file, a stranger", "203.0.113.9", False)

    def moves(self):
        """Import, of a file that dracd itself may not read, and the link."""
        os.chmod(f"{self._site.roots.dracd}/etc/mail/dracd.db", 0o600)
        status, output = self._site.dracd.control("import-drac", "/etc/mail/dracd.db")
        assert status == 0 and "granted 2, renewed 0 of 4 rows; left out 1 expired, 0 not understood, " \
            "1 refused: 1 private" in output, f"{status} {output}"
        old_drac.put_link(self._site.roots)

    def after(self):
        """The same configuration, and dracd."""
        for family, client in LEFT.items():
            self.both(f"imported, {family}", client, True)
        self.both("was over", OVER, False)
        self.both("a stranger", "203.0.113.9", False)
        for mta in PORTS:
            self._cases.one(f"a stranger, local mail: {mta}", self._local, mta)

    def asked(self):
        """The commands with which the README tells to test it."""
        client = "203.0.113.30"
        status, output = self._site.dracd.control("add", client, "--time", "5min")
        assert status == 0, output
        told = process.must_run(self._site.roots.mail, ["/usr/sbin/postmap", "-q", client, f"btree:{old_drac.FILE}"])
        assert re.fullmatch(r"\d{10}\n", told), told
        told = process.must_run(self._site.roots.sendmail, ["/usr/libexec/sendmail/sendmail", "-C", "/etc/mail/old.cf", "-bt"],
                                f"/map drac {client}\n")
        assert re.search(rf"map_lookup: drac \({client}\) returns \d{{10}} \(0\)", told), told

    def _local(self, mta):
        reply = reply_of(self._site, mta, "203.0.113.9", sites.LOCAL)
        assert reply[0] == 250, f"{mta}: {reply}"

    def login(self, family, client):
        """A login, its lease, and its end."""
        self._report(client)
        self.both(f"a login, {family}", client, True)
        self._site.dracd.logged(f"ended {client.replace('.', '[.]')} ")
        self.both(f"its end, {family}", client, False)

    def _report(self, client):
        status, output = self._site.dracd.control("add", client)
        assert status == 0, output

    def revoked(self):
        """An imported lease."""
        status, output = self._site.dracd.control("revoke", LEFT["IPv4"])
        assert status == 0, output
        self.both("revoked", LEFT["IPv4"], False)
        self.both("and the other is not", LEFT["IPv6"], True)

    def killed(self):
        """The file without leases is there, and the MTAs find it."""
        self._site.dracd.kill()
        self.both("dracd is killed", LEFT["IPv6"], False)
        for mta in PORTS:
            self._cases.one(f"dracd is killed, local mail: {mta}", self._local, mta)
        self._site.dracd.start()
        self.both("and there again", LEFT["IPv6"], True)

    def undone(self):
        """DRAC's own file again, in which nobody's time is looked at."""
        self._site.dracd.stop()
        old_drac.put_back(self._site.roots)
        self.both("undone, DRAC's own file", OVER, True)
        self.both("undone, a stranger", "203.0.113.9", False)


def main():
    """One site, without Dovecot."""
    cases, site = Cases(), Site(CONFIGURATION, more=old_drac.MAP)
    site.postfix = postfix.Postfix(site.roots, more={"old": (old_drac.POSTFIX_PORT, old_drac.ASK)})
    old = sendmail.Sendmail(site.roots, "old", old_drac.RULES, old_drac.SENDMAIL_PORT)
    if "btree" not in site.postfix.types():
        cases.skip("moving from DRAC: this Postfix has no btree")
        return 0
    old_drac.put_database(site.roots, old_rows())
    site.dracd.start()
    site.start(site.postfix, old)
    move = Move(site, cases)
    move.before()
    cases.one("import, and a link in the place of the file", move.moves)
    move.after()
    cases.one("the test of the README", move.asked)
    move.login("IPv4", "203.0.113.20")
    move.login("IPv6", "2001:db8:1:2:3:4:5:20")
    move.revoked()
    move.killed()
    move.undone()
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
