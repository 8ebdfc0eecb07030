"""What a case asserts: replies of the MTAs, by code and enhanced code, and logins."""

import itertools

from tests.site import site, wait

LOGINS = [(protocol, mode) for protocol in ("imap", "pop3") for mode in ("script", "serve")]
MTAS = list(site.MTA_PORTS)
FAMILIES = ("IPv4", "IPv6")

PERMITTED = (250, "2.1.5")
REFUSED = {mta: {"postfix": (554, "5.7.1"), "sendmail": (550, "5.7.1"), "exim": (550, "")}[mta.partition("-")[0]]
           for mta in site.FORMAT_PORTS}
# The address ranges for documentation are refused unless somebody asks for them.
SPECIAL = 'lease_special = {"198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48"}\n'

LOGIN_LIMIT_MS = 3000  # the helper's own limit is a fraction of this
LOCAL_LIMIT_MS = 3000


def permit_of(mta):
    """How an MTA permits; Exim has no enhanced codes."""
    return (250, "") if mta.startswith("exim") else PERMITTED


class Addresses:
    """Client addresses that nobody has used before. Those for static entries are set apart."""

    def __init__(self):
        self._ipv4 = itertools.chain((f"203.0.113.{n}" for n in range(1, 200)),
                                     (f"198.51.100.{n}" for n in range(100, 250)))
        # Spellings differ between the MTAs: runs of zeros at every place, and none.
        self._ipv6 = (form.format(n) for n in itertools.count(1)
                      for form in ("2001:db8:1::{:x}", "2001:db8:1:2:3:4:5:{:x}", "2001:db8:1:{:x}::1",
                                   "2001:db8:1:0:1:0:{:x}:1"))

    def new(self, family):
        """The next address of a family."""
        return next(self._ipv4 if family == "IPv4" else self._ipv6)


def _ask(where, client, mta, recipient=site.OUTSIDE):
    """The reply of an MTA in a new session.

    Sendmail distrusts a map file that is replaced between its stat and its open: 451 in that
    instant from the access database, upon which a client asks again."""
    reply = where.relay(client, mta, recipient)
    if mta in ("sendmail-access", "sendmail-sequence") and (reply.code, reply.enhanced) == (451, "4.3.0"):
        reply = where.relay(client, mta, recipient)
    return reply


def _short(reply):
    return f"{reply.code} {reply.enhanced} {reply.text}"


def expect(where, client, mta, wanted, recipient=site.OUTSIDE):
    """The reply of an MTA in a new session must have this code and enhanced code, now."""
    reply = _ask(where, client, mta, recipient)
    assert (reply.code, reply.enhanced) == wanted, \
        f"{mta} from {client}: {_short(reply)}, expected {wanted[0]} {wanted[1]}"
    return reply


def expect_soon(where, client, mta, wanted, limit=5.0):
    """The same for a map: it may take its interval."""
    last = []

    def asked():
        last[:] = [_ask(where, client, mta)]
        return (last[0].code, last[0].enhanced) == wanted

    try:
        wait.until(asked, "reply", limit, pause=0.05)
    except wait.Late:
        raise AssertionError(f"{mta} from {client}: {_short(last[0])} for {limit:g} s, "
                             f"expected {wanted[0]} {wanted[1]}") from None


def permitted(where, client, mta):
    """May relay, after at most the time a map needs."""
    expect_soon(where, client, mta, permit_of(mta))


def refused(where, client, mta):
    """May not relay, now."""
    expect(where, client, mta, REFUSED[mta])


def local(where, client, mta):
    """Mail for a local user is accepted, and without delay."""
    reply = expect(where, client, mta, permit_of(mta), site.LOCAL)
    assert reply.ms < LOCAL_LIMIT_MS, f"{mta}: local mail took {reply.ms:.0f} ms"


def login(where, client, protocol, mode, user="alice"):
    """The user reads his mail, and without delay."""
    reply = where.login(client, protocol, mode, user)
    assert reply.ok, f"{protocol} login of {user} ({mode}): {reply.text}"
    assert reply.ms < LOGIN_LIMIT_MS, f"{protocol} login ({mode}) took {reply.ms:.0f} ms"
    return reply


def control(where, *words, status=0):
    """dracctl must end with this status; returns its output."""
    got, output = where.dracd.control(*words)
    assert got == status, f"dracctl {' '.join(words)}: status {got}, expected {status}: {output.strip()}"
    return output
