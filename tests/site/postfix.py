"""Postfix with one smtpd for each way of asking dracd.

The restrictions are the recipes of the README, in main.cf under names of our own; each smtpd of
master.cf takes one of them. All smtpd are chrooted, as Debian has it, so that a socket is found in
the queue directory or not at all.
"""

import glob
import os
import re

from tests.site import process, roots

PORTS = {"policy": 2501, "socketmap": 2502, "hash": 2503, "static": 2504, "btree": 2505, "lmdb": 2506, "cdb": 2507}

_MAIN = """\
compatibility_level = 3.7
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = /var/log/mail.log
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.site.example
mydomain = site.example
mydestination = site.example
mynetworks = 127.0.0.1/32 [::1]/128
inet_interfaces = all
inet_protocols = all
local_recipient_maps =
alias_maps =
alias_database =
default_transport = discard:
local_transport = discard:
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
in_flow_delay = 0
"""

# What the README tells to put into main.cf: the restrictions, and the line that asks dracd.
RESTRICTIONS = """\
    permit_mynetworks
    permit_sasl_authenticated
    permit_auth_destination
@ASK@
    reject_unauth_destination
"""
ASK = {
    "policy": "    check_policy_service { unix:dracd/policy, timeout=2s, try_limit=2, retry_delay=1s,"
              " default_action=DUNNO, policy_context=drac }",
    "socketmap": "    check_client_access socketmap:unix:dracd/socketmap:drac",
    "hash": "    check_client_access hash:/var/lib/dracd/maps/postfix",
    "btree": "    check_client_access btree:/var/lib/dracd/maps/postfix-btree",
    "lmdb": "    check_client_access lmdb:/var/lib/dracd/maps/postfix",
    "cdb": "    check_client_access cdb:/var/lib/dracd/maps/postfix",
}


def _main_cf(static, more):
    # the administrator's own table comes first
    asks = {**ASK, "static": f"    check_client_access {static}\n" + ASK["hash"], **more}
    return _MAIN + "".join(f"drac_{name} =\n" + RESTRICTIONS.replace("@ASK@", ask)
                           for name, ask in asks.items())


_MASTER = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

_QUEUE = {  # directory: owner, group, mode
    "": ("root", "root", 0o755), "pid": ("root", "root", 0o755),
    "private": ("postfix", "root", 0o700), "public": ("postfix", "postdrop", 0o710),
    "maildrop": ("postfix", "postdrop", 0o730),
    **{name: ("postfix", "root", 0o700)
       for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
                    "saved", "trace")},
}


class Postfix:
    """The one Postfix of a site; client_access is its static table, as lines for postmap; more are smtpds that
    only one test has: by name the port, and the line that asks."""

    name = "postfix"

    def __init__(self, site_roots, client_access="", more=None):
        self._root = site_roots.mail
        self._more = more or {}
        self._ports = {**PORTS, **{name: port for name, (port, _) in self._more.items()}}
        self._client_access = client_access
        self._process = None
        self._output = f"{site_roots.logs}/postfix.log"
        self._types = None

    def types(self):
        """The table types that this Postfix can read."""
        if self._types is None:
            self._register_types()
            self._types = process.must_run(self._root, ["/usr/sbin/postconf", "-m"]).split()
        return self._types

    def _register_types(self):
        """The types that are packages of their own; a maintainer script would have done it."""
        roots.write_file(f"{self._root}/etc/postfix/main.cf", "")
        names = (os.path.basename(path)[len("postfix-"):-len(".so")]
                 for path in glob.glob(f"{self._root}/usr/lib/postfix/postfix-*.so"))
        roots.write_file(f"{self._root}/etc/postfix/dynamicmaps.cf",
                         "".join(f"{name} postfix-{name}.so dict_{name}_open mkmap_{name}_open\n"
                                 for name in names))

    def start(self):
        """Start; the ports may not accept yet."""
        queue = f"{self._root}/var/spool/postfix"
        for name, (owner, group, mode) in _QUEUE.items():
            roots.make_directory(f"{queue}/{name}".rstrip("/"), owner, group, mode)
        roots.make_directory(f"{self._root}/var/lib/postfix", "postfix", mode=0o700)
        for name in ("hosts", "nsswitch.conf", "resolv.conf", "services"):  # what smtpd sees in its chroot
            roots.write_file(f"{queue}/etc/{name}", process.read_log(f"{self._root}/etc/{name}"))
        static = ("hash" if "hash" in self.types() else "lmdb") + ":/etc/postfix/client_access"
        roots.write_file(f"{self._root}/etc/postfix/main.cf", _main_cf(static, {name: line for name, (_, line) in self._more.items()}))
        smtpd = "".join(f"{port} inet n - y - - smtpd -o smtpd_relay_restrictions=$drac_{name}\n"
                        for name, port in self._ports.items())
        roots.write_file(f"{self._root}/etc/postfix/master.cf", smtpd + _MASTER)
        roots.write_file(f"{self._root}/etc/postfix/client_access", self._client_access)
        process.must_run(self._root, ["/usr/sbin/postmap", static])
        self._process = process.Process(
            "postfix", self._root, ["/usr/lib/postfix/sbin/master", "-c", "/etc/postfix", "-d"], self._output)

    def ended(self):
        """Its exit status, or None while it runs."""
        return self._process.ended()

    def log(self):
        """What it has logged."""
        return process.read_log(f"{self._root}/var/log/mail.log") + process.read_log(self._output)

    def ports(self):
        """The ports it listens on."""
        return list(self._ports.values())


def without_notices(text):
    """What a program of Postfix said, without what Debian's 3.11 says at each use of a hash or btree."""
    return re.sub(r"^post\w+: warning: (.*: hash/btree support is deprecated|See .*/NON_BERKELEYDB_README).*\n", "",
                  text, flags=re.MULTILINE)


def version(site_roots):
    """The version, from the binary."""
    return process.must_run(site_roots.mail, ["/usr/sbin/postconf", "-dh", "mail_version"]).strip()
