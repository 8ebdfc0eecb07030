"""The recommended snippets for live questions, each with dracd up, restarted and stopped within an SMTP
session, hung for a moment, and hung for as long as the MTA waits.

Each case asserts the reply and how long it took: a relay attempt may cost time, never a wrong right to
relay, and mail for local users neither.
"""

import concurrent.futures
import sys

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site, dialogue, wait
from tests.site import site as sites

POLICY, SOCKETMAP, SENDMAIL = MTAS = ("postfix-policy", "postfix-socketmap", "sendmail-drac-socket")
CONFIGURATION = "lease_time = 1h\nwatchdog = 0\n" + ask.SPECIAL
AT_ONCE = 900          # ms, on a slow machine
PATIENCE = 200         # s for a reply: longer than any MTA waits

PERMITTED = {mta: (*ask.PERMITTED, AT_ONCE) for mta in MTAS}
REFUSED = {mta: (*ask.REFUSED[mta], AT_ONCE) for mta in MTAS}
# Postfix tries the policy service again after a second; its socketmap client cannot tell a dead
# server from a broken one.
STOPPED = {POLICY: (554, "5.7.1", 1000 + AT_ONCE), SOCKETMAP: (451, "4.3.5", AT_ONCE), SENDMAIL: REFUSED[SENDMAIL]}
# Sendmail notices at the first question that its connection is gone, and asks for a second try.
BROKEN_OFF = {**STOPPED, SENDMAIL: (451, "4.3.0", AT_ONCE)}
RESTARTED = {POLICY: (*ask.PERMITTED, 1000 + AT_ONCE), SOCKETMAP: PERMITTED[SOCKETMAP], SENDMAIL: BROKEN_OFF[SENDMAIL]}
# It does not look again for a socket that was not there when the session first asked.
STARTED_LATER = {**PERMITTED, SENDMAIL: REFUSED[SENDMAIL]}
# Two attempts of 2 s, and 1 s between them. The first attempt after that fails by itself, and the next
# comes a second later, whether dracd is back by then or not.
HUNG_AGAIN = {POLICY: (554, "5.7.1", 3000 + AT_ONCE)}
HUNG = {POLICY: (554, "5.7.1", 5000 + AT_ONCE), SOCKETMAP: (451, "4.3.5", 100000 + AT_ONCE),
        SENDMAIL: (451, "4.3.0", 30000 + AT_ONCE)}
BACK = {**PERMITTED, POLICY: (*ask.PERMITTED, 1000 + AT_ONCE)}
HUNG_FOR_A_MOMENT_MS = 5000 + 3000 + 3 * AT_ONCE  # until the policy service has been asked twice


def answered(reply, wanted):
    """A reply in time."""
    code, enhanced, most = wanted
    assert (reply.code, reply.enhanced) == (code, enhanced), \
        f"{reply.code} {reply.enhanced} {reply.text}, expected {code} {enhanced}"
    assert reply.ms < most, f"took {reply.ms:.0f} ms, at most {most}"


class Sessions:
    """One SMTP session with each MTA; they are asked at the same time."""

    def __init__(self, site, pool, client, mtas=MTAS):
        self._pool = pool
        self._open = {mta: dialogue.Smtp(site.network, client, site.port(mta), PATIENCE) for mta in mtas}

    def send(self, recipient=sites.OUTSIDE, mtas=None):
        """A future reply of each."""
        return {mta: self._pool.submit(self._open[mta].rcpt, recipient) for mta in mtas or self._open}

    def ask(self, cases, state, wanted, recipient=sites.OUTSIDE, mtas=None):
        """A case for each."""
        self.judge(cases, state, wanted, self.send(recipient, mtas))

    @staticmethod
    def judge(cases, state, wanted, replies):
        """A case for each reply, as it comes."""
        for mta, reply in replies.items():
            cases.one(f"{state}: {mta}", lambda m=mta, r=reply: answered(r.result(), wanted[m]))

    def local(self, cases, state, mtas=None):
        """Mail for a local user."""
        self.ask(cases, f"{state}, local mail", PERMITTED, sites.LOCAL, mtas)


class Scenes:
    """The states of dracd, one after the other."""

    def __init__(self, site, cases, pool):
        self._site, self._cases, self._pool = site, cases, pool
        self._client = {"IPv4": "203.0.113.5", "IPv6": "2001:db8:1::5"}

    def sessions(self, client=None, mtas=MTAS):
        """New ones; those of the leased client have been asked once, if dracd is up."""
        return Sessions(self._site, self._pool, client or self._client["IPv4"], mtas)

    def asked(self, state):
        """New sessions that have a connection to dracd."""
        sessions = self.sessions()
        sessions.ask(self._cases, f"{state}, before", PERMITTED)
        return sessions

    def run(self):
        """All of them."""
        for client in self._client.values():
            ask.control(self._site, "add", client)
        for scene in (self.up, self.restarted, self.stopped, self.hung_for_a_moment, self.hung):
            scene()

    def up(self):
        """As it should be."""
        for family, client in self._client.items():
            self.sessions(client).ask(self._cases, f"up, leased, {family}", PERMITTED)
        for family, client in {"IPv4": "203.0.113.6", "IPv6": "2001:db8:1::6"}.items():
            stranger = self.sessions(client)
            stranger.ask(self._cases, f"up, not leased, {family}", REFUSED)
            stranger.local(self._cases, f"up, not leased, {family}")

    def restarted(self):
        """Within a session; nobody has asked meanwhile."""
        sessions = self.asked("restarted")
        self._site.dracd.stop()
        self._site.dracd.start()
        sessions.ask(self._cases, "restarted within the session", RESTARTED)
        sessions.ask(self._cases, "restarted within the session, next recipient", PERMITTED)
        sessions.local(self._cases, "restarted within the session")
        self.sessions().ask(self._cases, "restarted, new session", PERMITTED)

    def stopped(self):
        """Within a session, and started again."""
        sessions = self.asked("stopped")
        self._site.dracd.stop()
        sessions.local(self._cases, "stopped within the session")
        sessions.ask(self._cases, "stopped within the session", BROKEN_OFF)
        sessions.ask(self._cases, "stopped within the session, next recipient", STOPPED)
        fresh = self.sessions()
        fresh.local(self._cases, "stopped, new session")
        fresh.ask(self._cases, "stopped, new session", STOPPED)
        self._site.dracd.start()
        sessions.ask(self._cases, "started again within the session", STARTED_LATER)
        fresh.ask(self._cases, "started within the session", STARTED_LATER)
        self.sessions().ask(self._cases, "started again, new session", PERMITTED)

    def hung_for_a_moment(self):
        """Shorter than the MTAs wait that have no time limit of ours."""
        sessions = self.asked("hung for a moment")
        waiting = (SOCKETMAP, SENDMAIL)
        self._site.dracd.pause()
        try:
            sessions.local(self._cases, "hung for a moment")
            replies = sessions.send(mtas=waiting)
            sessions.ask(self._cases, "hung for a moment", HUNG, mtas=[POLICY])
            sessions.ask(self._cases, "hung for a moment, next recipient", HUNG_AGAIN, mtas=[POLICY])
            self.sessions().local(self._cases, "hung for a moment, new session")
        finally:
            self._site.dracd.resume()
        Sessions.judge(self._cases, "back from hanging, asked meanwhile",
                       {mta: (*ask.PERMITTED, HUNG_FOR_A_MOMENT_MS) for mta in waiting}, replies)
        sessions.ask(self._cases, "back from hanging", BACK)
        sessions.ask(self._cases, "back from hanging, next recipient", PERMITTED)

    def hung(self):
        """Until every MTA has had enough, which takes 100 s."""
        sessions = self.asked("hung")
        self._site.dracd.pause()
        try:
            replies = sessions.send()
            self.sessions().local(self._cases, "hung, new session")
            Sessions.judge(self._cases, "hung", HUNG, replies)
            sessions.local(self._cases, "hung, afterwards")
        finally:
            self._site.dracd.resume()
        self.sessions().ask(self._cases, "back, new session", PERMITTED)


def main():
    """One site."""
    cases, site = Cases(), Site(CONFIGURATION)
    site.start_all()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2 * len(MTAS)) as pool:
        try:
            Scenes(site, cases, pool).run()
        except (OSError, wait.Late, AssertionError) as error:  # then what follows has no ground to stand on
            cases.fail("the scenes go through", error)
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
