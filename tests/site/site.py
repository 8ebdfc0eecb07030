"""One site: servers, dracd, and what a test or the demo does with them."""

import os
import signal
import socket
import sys

from tests.site import dialogue, dovecot, dracd, exim, network, postfix, release, roots, sendmail, wait

OUTSIDE = "someone@outside.example"
LOCAL = "alice@site.example"

# The ways in which an MTA learns of a lease, and their ports. On every site there are these,
_USUAL = ("postfix-policy", "postfix-socketmap", "postfix-hash",
          "sendmail-drac-hash", "sendmail-drac-socket", "sendmail-access")
_ALL = {f"{server.__name__.rpartition('.')[2]}-{name}": port
        for server in (postfix, sendmail, exim) for name, port in server.PORTS.items()}
MTA_PORTS = {mta: _ALL[mta] for mta in _USUAL}
# on one with Exim these too, and on one with all formats all the others.
EXIM_PORTS = {mta: _ALL[mta] for mta in ("exim-readsocket", "exim-iplsearch")}
FORMAT_PORTS = {mta: port for mta, port in _ALL.items() if mta != "postfix-static"}

LOOKUPS_AND_MAPS = """\
lookup postfix    { protocol = policy     path = "/var/spool/postfix/dracd/policy"     group = postfix }
lookup postfixmap { protocol = socketmap  path = "/var/spool/postfix/dracd/socketmap"  group = postfix }
lookup sendmail   { protocol = socketmap  path = "/run/dracd/socketmap"  group = smmsp }
map sendmail { type = hash  keys = sendmail  path = "/var/lib/dracd/maps/drac" }
map access { type = hash  keys = access  path = "/var/lib/dracd/maps/access"  static = "/etc/mail/access" }
map postfix { type = hash  keys = postfix  path = "/var/lib/dracd/maps/postfix" }
"""
# What is added for Exim,
EXIM = """\
lookup exim { protocol = plain  path = "/run/dracd/plain"  group = Debian-exim }
map exim { type = iplsearch  keys = plain  path = "/var/lib/dracd/maps/relayhosts" }
"""
# and what for all the other formats, each for one MTA.
FORMATS = {
    "postfix-btree": 'map p2 { type = btree  keys = postfix  path = "/var/lib/dracd/maps/postfix-btree" }\n',
    "postfix-lmdb": 'map p3 { type = lmdb  keys = postfix  path = "/var/lib/dracd/maps/postfix"  '
                    'group = postfix  mode = 0640 }\n',
    "postfix-cdb": 'map p4 { type = cdb  keys = postfix  path = "/var/lib/dracd/maps/postfix" }\n',
    "sendmail-drac-btree": 'map s2 { type = btree  keys = sendmail  path = "/var/lib/dracd/maps/drac-btree" }\n',
    "sendmail-sequence": 'map s3 { type = hash  keys = access  path = "/var/lib/dracd/maps/leases" }\n',
    "exim-lsearch": 'map e2 { type = lsearch  keys = exim  path = "/var/lib/dracd/maps/exim" }\n',
    "exim-dbm": 'map e3 { type = hash  keys = exim  path = "/var/lib/dracd/maps/exim-dbm" }\n',
    "exim-dbmnz": 'map e4 { type = hash  keys = exim  nul = no  path = "/var/lib/dracd/maps/exim-dbmnz" }\n',
    "exim-cdb": 'map e5 { type = cdb  keys = exim  path = "/var/lib/dracd/maps/exim" }\n',
    "exim-relayhosts": 'map e6 { type = relayhosts  keys = plain  path = "/var/lib/dracd/maps/addresses" }\n',
}


class Site:
    """Made inside a namespace; `configuration` is drac.conf, to which lookups and maps are added, and `more`."""

    def __init__(self, configuration, access="", client_access="", helper_options=None, more=""):
        # pylint: disable=too-many-arguments,too-many-positional-arguments
        helper_options = helper_options or {}
        os.umask(0o022)
        self.network = network.Network()
        self.release = release.chosen()
        self.roots = roots.Roots(os.path.join(release.TOP, "build/site"), self.release)
        self.dracd = dracd.Dracd(self.roots)
        self.configuration = configuration + LOOKUPS_AND_MAPS + more
        self.dracd.configure(self.configuration)
        self.dovecots = [dovecot.Dovecot(self.roots, mode, helper_options.get(mode, ""))
                         for mode in dovecot.PORTS]
        self.postfix = postfix.Postfix(self.roots, client_access)
        self.sendmails = [sendmail.Sendmail(self.roots, name) for name in sendmail.PORTS
                          if f"sendmail-{name}" in MTA_PORTS]
        self.more_sendmails = [sendmail.Sendmail(self.roots, name) for name in sendmail.PORTS
                               if f"sendmail-{name}" not in MTA_PORTS]
        self.exim = exim.Exim(self.roots)
        sendmail.Sendmail.write_access(self.roots, access)
        self._started = []

    def start(self, *servers):
        """Start servers together and return when all their ports accept."""
        for server in servers:
            server.start()
            self._started.append(server)
        for server in servers:
            for port in server.ports():
                for address in ("127.0.0.1", network.SERVER6):
                    wait.until(lambda s=server, p=port, a=address: self._accepts(s, p, a),
                               f"port {port} of {server.name}")

    @staticmethod
    def _accepts(server, port, address):
        if server.ended() is not None:
            raise OSError(f"{server.name} ended with {server.ended()}:\n{server.log()}")
        with socket.socket(network.family_of(address), socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            return probe.connect_ex((address, port)) == 0

    def start_all(self):
        """Everything, in the order of a real boot: dracd before those who read its maps."""
        if self.dracd.present:
            self.dracd.start()
        self.start(*self.dovecots, self.postfix, *self.sendmails, self.exim)

    # ---- what clients do ----

    def relay(self, client, mta, recipient=OUTSIDE, limit=dialogue.LIMIT):
        """The reply of an MTA, in a new session, to a RCPT from the address `client`."""
        return dialogue.smtp_rcpt(self.network, client, self.port(mta), recipient, limit)

    def session(self, client, mta):
        """An SMTP session that stays open."""
        return dialogue.Smtp(self.network, client, self.port(mta))

    def login(self, client, protocol, mode, user="alice"):
        """Log in and out; returns the reply and how long it took."""
        ask = dialogue.imap_login if protocol == "imap" else dialogue.pop3_login
        return ask(self.network, client, dovecot.PORTS[mode][protocol], user)

    def anonymous_login(self, client, mode):
        """Log in by IMAP as anonymous."""
        return dialogue.imap_anonymous(self.network, client, dovecot.PORTS[mode]["imap"])

    @staticmethod
    def port(mta):
        """The port of an MTA variant; postfix-static is there as well."""
        return _ALL[mta]

    # ---- when something went wrong ----

    def logs(self, lines=25):
        """The ends of all logs, as text; the whole logs are saved beside the test programs."""
        folder = os.path.join(self.release.programs, "tests/site-logs")
        parts = [("dracd", self.dracd.log())] if self.dracd.present else []
        parts += [(server.name, server.log()) for server in self._started]
        for name, text in parts:
            roots.write_file(f"{folder}/{name}.log", text)
        ends = "".join(f"---- {name}\n" + "".join(f"{line}\n" for line in text.splitlines()[-lines:])
                       for name, text in parts)
        return f"{ends}---- all of it: {folder}\n"


def versions(site):
    """The versions of the servers, by name, as their binaries tell."""
    return {"Dovecot": dovecot.version(site.roots), "Postfix": postfix.version(site.roots),
            "Sendmail": sendmail.version(site.roots), "Exim": exim.version(site.roots)}


def end_on_signals():
    """Make SIGTERM and SIGHUP end the program as Ctrl-C does."""
    def leave(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
