"""The file systems in which the servers run: one root for dracd, one for each tree of servers.

All is below one tmpfs. A tree of build/trees becomes the lower half of an overlay, so that it stays
as it was unpacked; the root of dracd shows the programs and libraries of the system that dracd was
built on (the host, or another release's build tree) and nothing else of it. The accounts exist in
these roots only. What dracd shares with a server on a real host (its sockets, its maps, Sendmail's
access file) is one directory, shown in both roots at the same path.
"""

import glob
import os
import shutil

from tests.site import kernel

ACCOUNTS = {  # name: (uid and gid, groups it also belongs to)
    "root": (0, ()),
    "mail": (8, ()),
    "dracd": (601, ("drac-login", "postfix", "smmsp", "Debian-exim")),
    "drac-login": (602, ()),
    "dovecot": (603, ()),
    "dovenull": (604, ()),
    "postfix": (605, ()),
    "smmta": (606, ()),
    "smmsp": (607, ()),
    "Debian-exim": (608, ()),
    "drac-rpcd": (609, ("drac-login",)),
    "_rpc": (610, ()),
    "alice": (5001, ()),
    "bob": (5002, ()),
    "mallory": (5003, ()),
    "anonymous": (5004, ()),
    "nobody": (65534, ()),
}
EXTRA_GROUPS = {"postdrop": 620}

PROGRAMS = ("dracd/dracd", "dracd/dracd-withdraw", "client/dracctl", "client/drac-postlogin", "maps/drac-mapread")

_NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n192.0.2.25 mx.site.example\n2001:db8:25::25 mx.site.example\n"


def uid_of(name):
    """The uid, which is also the gid, of an account."""
    return ACCOUNTS[name][0]


def gid_of(name):
    """The gid of a group."""
    return EXTRA_GROUPS.get(name) or ACCOUNTS[name][0]


def write_file(path, text, mode=0o644):
    """Write a file below a root, making its directory."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def make_directory(path, owner="root", group=None, mode=0o755):
    """Make a directory with exactly this owner and mode."""
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid_of(owner), gid_of(group or owner))
    os.chmod(path, mode)
    return path


def _write_accounts(root):
    passwd, group = [], []
    for name, (number, _) in ACCOUNTS.items():
        passwd.append(f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n")
        members = ",".join(user for user, (_, groups) in ACCOUNTS.items() if name in groups)
        group.append(f"{name}:x:{number}:{members}\n")
    group += [f"{name}:x:{number}:\n" for name, number in EXTRA_GROUPS.items()]
    write_file(f"{root}/etc/passwd", "".join(passwd))
    write_file(f"{root}/etc/group", "".join(group))
    write_file(f"{root}/etc/shadow", "", 0o600)
    write_file(f"{root}/etc/nsswitch.conf", _NSSWITCH)
    write_file(f"{root}/etc/hosts", _HOSTS)
    write_file(f"{root}/etc/resolv.conf", "")


class Roots:
    """Makes the roots below `base`, an existing directory that becomes a tmpfs of this namespace."""

    def __init__(self, base, release):
        self.base = base
        os.makedirs(base, exist_ok=True)
        kernel.mount("site", base, "tmpfs", options="mode=0755")
        self._make_shared()
        self.dracd = self._make_dracd_root(release.programs, release.system)
        self.mail = self._make_server_root("dovecot-postfix", f"{release.trees}/dovecot-postfix")
        self.sendmail = self._make_server_root("sendmail", f"{release.trees}/sendmail")
        self.exim = self._make_server_root("exim", f"{release.trees}/exim")
        self.logs = make_directory(f"{base}/log")
        everywhere = (self.dracd, self.mail, self.sendmail, self.exim)
        self._share(f"{self.base}/shared/run", "/run/dracd", *everywhere)
        self._share(f"{self.base}/shared/state", "/var/lib/dracd", *everywhere)
        self._share(f"{self.base}/shared/queue", "/var/spool/postfix/dracd", self.dracd, self.mail)
        self._share(f"{self.base}/shared/mail", "/etc/mail", self.dracd, self.sendmail)
        self.programs, self.system = release.programs, release.system
        programs = release.programs
        if glob.glob(f"{programs}/dracd/*.gcda"):  # built for coverage: there the counters are added to
            self._share(programs, programs, *everywhere)

    def _make_shared(self):
        """The directories that a package would make for dracd."""
        make_directory(f"{self.base}/shared")
        make_directory(f"{self.base}/shared/run", "dracd")
        make_directory(f"{self.base}/shared/state", "dracd")
        make_directory(f"{self.base}/shared/state/maps", "dracd")
        make_directory(f"{self.base}/shared/queue", "dracd", "postfix", 0o750)
        make_directory(f"{self.base}/shared/mail")

    @staticmethod
    def _share(directory, path, *roots):
        for root in roots:
            os.makedirs(root + path, exist_ok=True)
            kernel.bind(directory, root + path)

    def _make_dracd_root(self, programs, system):
        root = make_directory(f"{self.base}/dracd")
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"{system}/{name}"):
                os.symlink(os.readlink(f"{system}/{name}"), f"{root}/{name}")
            elif os.path.isdir(f"{system}/{name}"):
                self._share(f"{system}/{name}", f"/{name}", root)
        self._share(f"{system}/usr", "/usr", root)
        for name in ("/dev", "/proc"):
            self._share(name, name, root)
        for name in PROGRAMS:  # copies: a rebuild must not disturb a test that runs
            if os.path.exists(f"{programs}/{name}"):
                os.makedirs(os.path.dirname(f"{root}/build/{name}"), exist_ok=True)
                shutil.copy(f"{programs}/{name}", f"{root}/build/{name}")
        make_directory(f"{root}/etc")
        if os.path.exists(f"{system}/etc/ld.so.cache"):
            shutil.copy(f"{system}/etc/ld.so.cache", f"{root}/etc/ld.so.cache")
        make_directory(f"{root}/run")
        make_directory(f"{root}/tmp", mode=0o1777)
        _write_accounts(root)
        return root

    def _make_server_root(self, name, tree):
        if not os.path.exists(f"{tree}/.stamp"):
            raise FileNotFoundError(f"{tree}: not there; run tests/servers first")
        root = make_directory(f"{self.base}/{name}")
        upper, work = make_directory(f"{root}.upper"), make_directory(f"{root}.work")
        self._overlay(tree, upper, work, root)
        for directory in ("/dev", "/proc"):
            self._share(directory, directory, root)
        _write_accounts(root)
        return root

    @staticmethod
    def _overlay(lower, upper, work, root):
        """By descriptors, since a path in the options may contain neither comma nor colon."""
        files = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (lower, upper, work)]
        paths = [f"/proc/self/fd/{file}" for file in files]
        try:
            kernel.mount("overlay", root, "overlay",
                         options=f"lowerdir={paths[0]},upperdir={paths[1]},workdir={paths[2]}")
        except OSError:  # a kernel without it: a copy does as well, only slower
            shutil.rmtree(root)
            shutil.copytree(lower, root, symlinks=True)
        finally:
            for file in files:
                os.close(file)
