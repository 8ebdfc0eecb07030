"""Dovecot, once for each mode of the post-login helper, as the README configures it.

Two instances, because the helper belongs to a service and a service has one executable.
"""

import os
import shutil

from tests.site import dracd, process, roots

PORTS = {"script": {"imap": 143, "pop3": 110}, "serve": {"imap": 1143, "pop3": 1110}}

# mallory is the user whose userdb entry claims another address.
CLAIMED_ADDRESS = "203.0.113.250"
USERS = f"""\
alice:{{PLAIN}}secret:5001:5001::/srv/mail/alice::
bob:{{PLAIN}}secret:5002:5002::/srv/mail/bob::
mallory:{{PLAIN}}secret:5003:5003::/srv/mail/mallory::userdb_ip={CLAIMED_ADDRESS}
anonymous:{{PLAIN}}unused:5004:5004::/srv/mail/anonymous::
"""

_COMMON = """\
base_dir = /run/dovecot-@MODE@
state_dir = /var/lib/dovecot-@MODE@
instance_name = @MODE@
log_path = /var/log/dovecot-@MODE@.log
protocols = imap pop3
listen = *, ::
ssl = no
first_valid_uid = 1000
auth_mechanisms = plain login anonymous
auth_failure_delay = 0
mail_max_userip_connections = 0
service imap-login {
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @POP3@
  }
  inet_listener pop3s {
    port = 0
  }
}
"""

# What is written differently: Dovecot 2.4 wants to be told first for which version a file is.
_BASE = {
    "2.3": _COMMON + """\
mail_location = maildir:~/Maildir
disable_plaintext_auth = no
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}
""",
    "2.4": """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
""" + _COMMON + """\
mail_driver = maildir
mail_path = ~/Maildir
auth_allow_cleartext = yes
auth_username_format = %{user}
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
userdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
""",
}

_SERVICE = """\
service @PROTOCOL@ {
  executable = @PROTOCOL@ -t 10 drac-@PROTOCOL@
}
"""

_HELPER = {
    "script": """\
service drac-@PROTOCOL@ {
  executable = script-login @HELPER@ --service @PROTOCOL@@OPTIONS@
  user = drac-login
  unix_listener drac-@PROTOCOL@ {
  }
}
""",
    "serve": """\
service drac-@PROTOCOL@ {
  executable = @HELPER@ --serve --service @PROTOCOL@@OPTIONS@
  user = drac-login
  drop_priv_before_exec = yes
  process_min_avail = 1
  process_limit = 4
  client_limit = 100
  unix_listener drac-@PROTOCOL@ {
  }
}
""",
}


def recipe(mode, options="", protocols=("imap", "pop3")):
    """What the README tells to put into Dovecot's configuration, the same for 2.3 and 2.4."""
    text = "".join(part.replace("@PROTOCOL@", protocol)
                   for part in (_SERVICE, _HELPER[mode]) for protocol in protocols)
    return text.replace("@HELPER@", dracd.HELPER).replace("@OPTIONS@", f" {options}" if options else "")


class Dovecot:
    """One instance; `options` are further options of the helper."""

    def __init__(self, site_roots, mode, options=""):
        self.mode = mode
        self.name = f"dovecot-{mode}"
        self._roots = site_roots
        self._root = site_roots.mail
        self._helper = f"{site_roots.dracd}/build/client/drac-postlogin"
        self._options = options
        self._process = None
        self._log = f"{self._root}/var/log/dovecot-{mode}.log"
        self._output = f"{site_roots.logs}/dovecot-{mode}.log"

    def _configuration(self):
        newer = tuple(map(int, version(self._roots).split(".")[:2])) >= (2, 4)
        text = _BASE["2.4" if newer else "2.3"]
        for word, value in (("@MODE@", self.mode), ("@IMAP@", str(PORTS[self.mode]["imap"])),
                            ("@POP3@", str(PORTS[self.mode]["pop3"]))):
            text = text.replace(word, value)
        return text + recipe(self.mode, self._options) if os.path.exists(self._helper) else text

    def start(self):
        """Start; the ports may not accept yet."""
        if os.path.exists(self._helper):
            os.makedirs(os.path.dirname(self._root + dracd.HELPER), exist_ok=True)
            shutil.copy(self._helper, self._root + dracd.HELPER)
        for user in ("alice", "bob", "mallory", "anonymous"):
            roots.make_directory(f"{self._root}/srv/mail/{user}", user, mode=0o700)
        roots.write_file(f"{self._root}/etc/dovecot/users", USERS)
        path = f"/etc/dovecot/{self.mode}.conf"
        roots.write_file(self._root + path, self._configuration())
        self._process = process.Process(
            self.name, self._root, ["/usr/sbin/dovecot", "-F", "-c", path], self._output)

    def ended(self):
        """Its exit status, or None while it runs."""
        return self._process.ended()

    def log(self):
        """What it has logged."""
        return process.read_log(self._log) + process.read_log(self._output)

    def sessions(self):
        """What doveadm says of those who are logged in, as the README has it."""
        return process.must_run(self._root, ["doveadm", "-c", f"/etc/dovecot/{self.mode}.conf",
                                             "-f", "tab", "who", "-1"])

    def ports(self):
        """The ports it listens on."""
        return list(PORTS[self.mode].values())


def serving_helpers():
    """The helpers that run in served mode: process id and service."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = process.read_log(f"/proc/{pid}/cmdline").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if words[0].endswith("/drac-postlogin") and words[1:3] == ["--serve", "--service"]:
            found[int(pid)] = words[3]
    return found


def version(site_roots):
    """The version, from the binary."""
    return process.must_run(site_roots.mail, ["/usr/sbin/dovecot", "--version"]).split()[0]
