"""`make demo`: what dracd does, shown with real servers and real replies. See the README, 2.

Clients are loopback addresses, because that is what a reader can try himself; the site's
configuration admits a few of them by lease_special. Every number printed is measured.
"""

import concurrent.futures
import re
import sys
import time

from tests import record
from tests.site import Site, wait
from tests.site import site as sites

LEASE = 6.0
CONFIGURATION = f"""\
lease_time    = {LEASE:g}s
lease_special = {{"127.0.0.64/26"}}
service imap {{ lease = yes }}
service pop3 {{ lease = yes  lease_time = 2min }}
"""
ALICE, STRANGER, BOB = "127.0.0.77", "127.0.0.78", "127.0.0.79"
MTAS = {"Postfix   policy": "postfix-policy", "Postfix   hash": "postfix-hash",
        "Sendmail  access.db": "sendmail-access", "Exim      readsocket": "exim-readsocket"}
COLUMN = 52


class Demo:
    """Prints numbered steps."""

    def __init__(self, site):
        self._site = site
        self.steps = 0
        self.failed = 0

    def step(self, text, good, result):
        """One line: what was done, and what came of it."""
        self.steps += 1
        self.failed += not good
        record.case(f"{'ok' if good else 'not ok'} demo, step {self.steps}: {text.strip()}")
        print(f"{self.steps:2} {'ok ' if good else 'BAD'} {text:<{COLUMN}} {result}", flush=True)

    def note(self, text):
        """A line that belongs to the step before."""
        print(f"{'':11}{text}", flush=True)

    def rcpt(self, who, mta, recipient=sites.OUTSIDE):
        """The reply to RCPT in a new SMTP session."""
        return self._site.relay(who, mta, recipient)

    def replies(self, who, recipient=sites.OUTSIDE):
        """The replies of all four."""
        return [self.rcpt(who, mta, recipient) for mta in MTAS.values()]

    def permits(self, who):
        """The replies of all four when they permit, or after 5 s."""
        try:
            wait.until(lambda: permitted(self.replies(who)), "four permits", 5)
        except wait.Late:
            pass
        return self.replies(who)

    def control(self, *words):
        """dracctl: exit status and first line of output."""
        status, output = self._site.dracd.control(*words)
        return status, (output.strip() or "(nothing)").splitlines()[0]

    def granted(self, who):
        """The log line of the last grant to an address, which comes after the answer."""
        lines = wait.until(lambda: re.findall(rf"granted {re.escape(who)} .*", self._site.dracd.log()),
                           f"what dracd says of {who}")
        return lines[-1]


def shown(reply):
    """A reply as the reader knows it: without the address it repeats."""
    text = re.sub(r"^<[^>]*>(: |\.\.\. )", "", reply.text)
    text = re.sub(r"\. IP name lookup failed.*", "", text)
    return " ".join(filter(None, (str(reply.code), reply.enhanced, text)))


def login_text(answer):
    """The reply to a login, without the list of capabilities."""
    return re.sub(r"\[.*\] ", "", answer.text)


def codes(replies):
    """The codes alone."""
    return ", ".join(str(reply.code) for reply in replies)


def refused(replies):
    """Whether nobody may relay, and for good: no temporary refusal is meant here."""
    return all(reply.code in (550, 554) for reply in replies)


def permitted(replies):
    """Whether everybody accepts."""
    return all(reply.code == 250 for reply in replies)


def at_all(demo, function):
    """Call function(mta) for the four at the same time, so that none waits for another."""
    with concurrent.futures.ThreadPoolExecutor(len(MTAS)) as pool:
        return dict(zip(MTAS, pool.map(function, MTAS.values())))


def before(demo):
    """Nobody has logged in."""
    reply = demo.rcpt(ALICE, "postfix-policy")
    demo.step(f"{ALICE} -> Postfix   RCPT {sites.OUTSIDE}", refused([reply]), shown(reply))
    reply = demo.rcpt(ALICE, "sendmail-access")
    demo.step(f"{ALICE} -> Sendmail", refused([reply]), shown(reply))
    reply = demo.rcpt(ALICE, "exim-readsocket")
    demo.step(f"{ALICE} -> Exim", refused([reply]), shown(reply))


def login(demo, site):
    """A login, and how soon each MTA knows."""
    answer = site.login(ALICE, "imap", "serve")
    since = time.monotonic()
    demo.step(f"{ALICE} IMAP login as alice at Dovecot", answer.ok,
              f"{login_text(answer):<30} {answer.ms:6.1f} ms")
    demo.note("dracd: " + demo.granted(ALICE))

    def first_permit(mta):
        while True:
            with site.session(ALICE, mta) as session:
                reply = session.rcpt(sites.OUTSIDE)
                after = (time.monotonic() - since) * 1000  # Exim takes 200 ms to say goodbye
            if reply.code == 250 or after > 5000:
                return reply, after

    for number, (name, (reply, after)) in enumerate(at_all(demo, first_permit).items()):
        more = " after the login" if number == 0 else ""
        demo.step(f"{ALICE} -> {name}", reply.code == 250, f"{shown(reply):<30} {after:6.1f} ms{more}")


def others(demo):
    """Who has not logged in, and mail that is none of dracd's business."""
    replies = demo.replies(STRANGER)
    demo.step(f"{STRANGER} (never logged in) -> all four", refused(replies), codes(replies))
    replies = demo.replies(STRANGER, sites.LOCAL)
    demo.step(f"mail for a local user from {STRANGER}", permitted(replies),
              f"{codes(replies)} (never asks dracd)")


def lease_over(demo, site):
    """The end of a lease, as each MTA tells it: asked all the time around the deadline."""
    answer = site.dracd.ask(f"check address={ALICE}")
    deadline = int(answer["until_ms"]) / 1000

    def lateness(mta):
        time.sleep(max(deadline - time.time() - 0.5, 0))
        while True:
            with site.session(ALICE, mta) as session:
                reply = session.rcpt(sites.OUTSIDE)
                answered = time.time()
            # 451: Sendmail was opening the map in the instant in which it was replaced
            if reply.code not in (250, 451) or answered > deadline + 10:
                return reply, (answered - deadline) * 1000

    results = at_all(demo, lateness)
    good = refused(reply for reply, _ in results.values())
    good = good and all(-1 < late < 3000 for _, late in results.values())
    late = {name.split()[-1]: f"{late:.0f} ms" for name, (_, late) in results.items()}
    demo.step(f"lease over ({LEASE:g} s)", good,
              f"policy refuses {late['policy']} late, readsocket {late['readsocket']},")
    demo.note(f"{'':{COLUMN - 4}} hash {late['hash']}, access.db {late['access.db']}")


def revocation(demo, site):
    """An account that sends spam."""
    answer = site.login(BOB, "pop3", "script", "bob")
    demo.step(f"{BOB} POP3 login as bob at Dovecot", answer.ok, f"{answer.text:<30} {answer.ms:6.1f} ms")
    replies = demo.permits(BOB)
    demo.step(f"{BOB} -> all four", permitted(replies), codes(replies))
    status, line = demo.control("revoke", BOB, "--hold", "2h", "--reason", "spam run")
    replies = demo.replies(BOB)
    demo.step(f"dracctl revoke {BOB} --hold 2h", status == 0 and refused(replies), codes(replies))
    demo.note("dracctl: " + line)
    answer = site.login(BOB, "pop3", "script", "bob")
    replies = demo.replies(BOB)
    demo.step("bob logs in again: his mail yes, relaying no", answer.ok and refused(replies),
              f"{answer.text} {codes(replies)}")


def death(demo, site):
    """dracd dies: who notices what."""
    def first_refusal(mta):
        try:
            wait.until(lambda: demo.rcpt(ALICE, mta).code in (550, 554), "refusal", 5)
        except wait.Late:
            pass
        return demo.rcpt(ALICE, mta)

    answer = site.login(ALICE, "pop3", "serve")
    replies = demo.permits(ALICE)
    demo.step(f"{ALICE} POP3 login -> all four", answer.ok and permitted(replies), codes(replies))
    site.dracd.kill()
    reply = demo.rcpt(ALICE, "postfix-policy")
    demo.step("kill -9 dracd: Postfix policy", refused([reply]), f"{shown(reply)} after {reply.ms:.0f} ms")
    answer = site.login(ALICE, "imap", "serve")
    demo.step("    IMAP login", answer.ok, f"{login_text(answer):<30} {answer.ms:6.1f} ms")
    replies = demo.replies(STRANGER, sites.LOCAL)
    demo.step("    local mail", permitted(replies), codes(replies))
    withdrawn = at_all(demo, first_refusal)
    text = ", ".join(f"{name.split()[-1]} {reply.code}" for name, reply in withdrawn.items())
    demo.step("    maps: the leases have been withdrawn", refused(withdrawn.values()), text)
    started = time.monotonic()
    site.dracd.start()
    ready = (time.monotonic() - started) * 1000
    replies, stranger = demo.permits(ALICE), demo.replies(STRANGER) + demo.replies(BOB)
    demo.step("dracd restarted: leases that had not ended are back", permitted(replies) and refused(stranger),
              f"{codes(replies)}, ready in {ready:.0f} ms")


def main():
    """The whole demo on one site."""
    print("starting Dovecot, Postfix, Sendmail, Exim and dracd in namespaces of their own ...", flush=True)
    site = Site(CONFIGURATION, more=sites.EXIM)
    versions = ", ".join(f"{name} {version}" for name, version in sites.versions(site).items())
    print(f"dracd demo: mail relaying for an address that has just read its mail ({versions};\n"
          f"nothing leaves this machine). Postfix, Sendmail and Exim are asked to take mail for\n"
          f"{sites.OUTSIDE}: before a login, after it, when the lease is over, after a\n"
          f"revocation, and with dracd dead.", flush=True)
    demo = Demo(site)
    try:
        site.start_all()
        before(demo)
        login(demo, site)
        others(demo)
        lease_over(demo, site)
        revocation(demo, site)
        death(demo, site)
    except Exception as error:  # pylint: disable=broad-except  # a demo that breaks off has failed
        demo.step("the demo goes on to its end", False, f"{type(error).__name__}: {error}")
    if demo.failed:
        print(site.logs(), file=sys.stderr)
    print(f"demo: {demo.steps} steps, {demo.failed} failed")
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
