"""Sendmail several times, one for each way of asking dracd: FEATURE(drac) with a hash or btree file and with
the socket map; an access database into which dracd merges the leases, and one in two maps, of which dracd
writes the second."""

from tests.site import process, roots

PORTS = {"drac-hash": 2511, "drac-socket": 2512, "access": 2513, "drac-btree": 2514, "sequence": 2515}

# What the README tells to put into sendmail.mc.
RECIPES = {
    "drac-hash": "FEATURE(`drac', `hash -o /var/lib/dracd/maps/drac')dnl\n",
    "drac-btree": "FEATURE(`drac', `btree -o /var/lib/dracd/maps/drac-btree')dnl\n",
    "drac-socket": "FEATURE(`drac', `socket -o unix:/run/dracd/socketmap')dnl\n",
    # Debian's makefile takes any map that it finds in FEATURE(`access_db') for its own, and would
    # rebuild and remove dracd's; it does not look into pushdef.
    "access": "pushdef(`MAIL_SETTINGS_DIR', `/var/lib/dracd/maps/')dnl\n"
              "FEATURE(`access_db', , `skip')dnl\n"
              "popdef(`MAIL_SETTINGS_DIR')dnl\n",
    "sequence": "LOCAL_CONFIG\n"
                "Kaccstatic hash -T<TMPF> /etc/mail/access\n"
                "Kaccleases hash -o -T<TMPF> /var/lib/dracd/maps/leases\n"
                "FEATURE(`access_db', `sequence accstatic accleases')dnl\n",
}
# Beside FEATURE(drac), the administrator has an access database of his own.
_STATIC_ACCESS = "FEATURE(`access_db', `hash -T<TMPF> /etc/mail/access')dnl\n"

# The load limits are lifted: a busy build machine must not make Sendmail refuse connections.
_CONFIGURATION = """\
divert(0)dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
VERSIONID(`dracd test site')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.site.example')dnl
define(`QUEUE_DIR', `/var/spool/mqueue-@NAME@')dnl
define(`confPID_FILE', `/run/sendmail-@NAME@.pid')dnl
define(`confTO_IDENT', `0')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confREFUSE_LA', `10000')dnl
define(`confDELAY_LA', `0')dnl
define(`ALIAS_FILE', `/etc/mail/aliases')dnl
define(`STATUS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`LOCAL_MAILER_PATH', `/bin/false')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Family=inet, Name=L4, Port=@PORT@, Addr=127.0.0.1')dnl
DAEMON_OPTIONS(`Family=inet, Name=T4, Port=@PORT@, Addr=192.0.2.25')dnl
DAEMON_OPTIONS(`Family=inet6, Name=T6, Port=@PORT@, Addr=2001:db8:25::25')dnl
@RECIPE@MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_CONFIG
Cwsite.example
"""


class Sendmail:
    """One daemon, named for its way of asking; only one test has one with a recipe and a port of its own."""

    def __init__(self, site_roots, variant, recipe=None, port=None):
        self.name = f"sendmail-{variant}"
        self._variant = variant
        self._recipe, self._port = recipe or RECIPES[variant], port or PORTS[variant]
        self._root = site_roots.sendmail
        self._process = None
        self._output = f"{site_roots.logs}/{self.name}.log"

    @staticmethod
    def write_access(site_roots, text):
        """The administrator's own access file, the same for all: as a file and as the map that makemap makes of it."""
        root = site_roots.sendmail
        roots.write_file(f"{root}/etc/mail/access", text)
        process.must_run(root, ["/usr/sbin/makemap", "-C", "/dev/null", "hash", "/etc/mail/access"], text)

    def start(self):
        """Start; the port may not accept yet."""
        root = self._root
        roots.write_file(f"{root}/etc/mail/service.switch", "hosts files\naliases files\n")
        roots.write_file(f"{root}/etc/mail/aliases", "")
        roots.make_directory(f"{root}/var/spool/mqueue-{self._variant}", mode=0o700)
        recipe = (_STATIC_ACCESS if self._variant.startswith("drac") else "") + self._recipe
        text = _CONFIGURATION.replace("@RECIPE@", recipe).replace("@NAME@", self._variant)
        text = text.replace("@PORT@", str(self._port))
        compiled = process.must_run(root, ["/usr/bin/m4"], text)
        path = f"/etc/mail/{self._variant}.cf"
        roots.write_file(root + path, compiled)
        self._process = process.Process(
            self.name, root,
            ["/usr/libexec/sendmail/sendmail", "-C", path, "-bD", "-X", f"/var/log/{self.name}.transcript"],
            self._output)

    def ended(self):
        """Its exit status, or None while it runs."""
        return self._process.ended()

    def log(self):
        """Its output and the dialogues; its own log goes to syslog, which nobody reads here."""
        transcript = process.read_log(f"{self._root}/var/log/{self.name}.transcript")
        return process.read_log(self._output) + transcript

    def ports(self):
        """The port it listens on."""
        return [self._port]


def version(site_roots):
    """The version, from the binary."""
    command = ["/usr/libexec/sendmail/sendmail", "-d0.1", "-bt", "-C", "/dev/null"]
    _, output = process.run(site_roots.sendmail, command)
    return output.split()[1]
