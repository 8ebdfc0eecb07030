"""Exim with one port for each way of learning of a lease.

One daemon: the ACL for RCPT is chosen by the port that the client has connected to, and each of them
has one of the README's recipes in it, between what Debian's own ACL has around that place.
"""

from tests.site import process, roots

PORTS = {"readsocket": 2521, "iplsearch": 2522, "lsearch": 2523, "dbm": 2524, "dbmnz": 2525, "cdb": 2526,
         "relayhosts": 2527}

# The files, and the kinds of search in each: for an address, and where the keys are texts, for the IPv6 network
# it is in. Where there is no such file the list is empty: a search would be a 421 for whoever tries to relay.
FILES = {
    "iplsearch": ("net-iplsearch", "/var/lib/dracd/maps/relayhosts"),
    "lsearch": ("net-lsearch net64-lsearch", "/var/lib/dracd/maps/exim"),
    "dbm": ("net-dbm net64-dbm", "/var/lib/dracd/maps/exim-dbm.db"),
    "dbmnz": ("net-dbmnz net64-dbmnz", "/var/lib/dracd/maps/exim-dbmnz.db"),
    "cdb": ("net-cdb net64-cdb", "/var/lib/dracd/maps/exim.cdb"),
    "relayhosts": ("net-iplsearch", "/var/lib/dracd/maps/addresses"),
}


def _list(searches, file):
    return f"hosts = ${{if exists{{{file}}}{{{' : '.join(f'{search};{file}' for search in searches.split())}}}}}"


_ASK = {
    "readsocket": r"condition = ${if match{${readsocket{/run/dracd/plain}{drac $sender_host_address\n}{2s}{}{no}}}"
                  r"{\N^yes\N}}",
    **{name: _list(*list_) for name, list_ in FILES.items()},
}

# What the README tells to put into the ACL.
RECIPES = {name: f"  accept\n    ! domains = +local_domains : +relay_to_domains\n    {ask}\n"
                 "    control = submission/sender_retain\n"
           for name, ask in _ASK.items()}

_CONFIGURATION = """\
primary_hostname = mx.site.example
log_file_path = /var/log/exim4/%slog
pid_file_path = /run/exim4/exim.pid
daemon_smtp_ports = @PORTS@
local_interfaces = <; 127.0.0.1 ; 192.0.2.25 ; 2001:db8:25::25
smtp_accept_max = 0
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
domainlist local_domains = site.example
domainlist relay_to_domains =
hostlist relay_from_hosts = 127.0.0.1 : ::1
acl_smtp_rcpt = acl_rcpt_$received_port
begin acl
@ACLS@
begin routers
everything:
  driver = accept
  transport = nowhere
begin transports
nowhere:
  driver = appendfile
  file = /dev/null
"""

_ACL = """\
acl_rcpt_@PORT@:
  accept
    hosts = +relay_from_hosts
    control = submission/sender_retain
@RECIPE@
  require
    message = relay not permitted
    domains = +local_domains : +relay_to_domains
  accept
"""


class Exim:
    """The one Exim of a site."""

    name = "exim"

    def __init__(self, site_roots):
        self._root = site_roots.exim
        self._process = None
        self._output = f"{site_roots.logs}/exim.log"

    def start(self):
        """Start; the ports may not accept yet."""
        for directory in ("/var/spool/exim4", "/var/log/exim4", "/run/exim4"):
            roots.make_directory(self._root + directory, "Debian-exim", mode=0o750)
        acls = "".join(_ACL.replace("@PORT@", str(port)).replace("@RECIPE@\n", RECIPES[name])
                       for name, port in PORTS.items())
        text = _CONFIGURATION.replace("@PORTS@", " : ".join(map(str, PORTS.values()))).replace("@ACLS@", acls)
        path = "/etc/exim4/site.conf"
        roots.write_file(self._root + path, text)
        self._process = process.Process("exim", self._root, ["/usr/sbin/exim4", "-C", path, "-bdf"], self._output)

    def ended(self):
        """Its exit status, or None while it runs."""
        return self._process.ended()

    def log(self):
        """What it has logged."""
        logs = (f"{self._root}/var/log/exim4/{kind}log" for kind in ("main", "reject", "panic"))
        return process.read_log(self._output) + "".join(map(process.read_log, logs))

    @staticmethod
    def ports():
        """The ports it listens on."""
        return list(PORTS.values())


def _about(site_roots):
    return process.must_run(site_roots.exim, ["/usr/sbin/exim4", "-C", "/dev/null", "-bV"])


def version(site_roots):
    """The version, from the binary."""
    return _about(site_roots).split()[2]


def has_berkeley_db(site_roots):
    """Whether its dbm is Berkeley DB; from 4.100 on Debian's is SQLite."""
    return "Berkeley DB" in _about(site_roots)
