"""A dracd that runs under an account of its own, and peers that run under others."""
import grp
import os
import pickle
import resource
import shutil
import tempfile
import traceback

from tests.scenario.dracd_box import DRACD as PROGRAM
from tests.scenario.dracd_box import Dracd

# accounts need no entry, groups do: any three that every Debian has
DRACD, REPORTER, STRANGER, READER, ADMIN, NOBODY = 20000, 20001, 20002, 20003, 20004, 65534
REPORT_GROUP, CONTROL_GROUP, ADMIN_GROUP = "users", "mail", "adm"
GROUPS = {
    DRACD: (REPORT_GROUP, CONTROL_GROUP),
    REPORTER: (REPORT_GROUP, CONTROL_GROUP),
    STRANGER: (REPORT_GROUP, CONTROL_GROUP),
    READER: (CONTROL_GROUP,),
    ADMIN: (CONTROL_GROUP, ADMIN_GROUP),
    NOBODY: (REPORT_GROUP, CONTROL_GROUP),
}

CONFIG = f"""
lease_special = {{{{"203.0.113.0/24"}}}}
durability = process
reporters = {{{{%s}}}}
report_group = "{REPORT_GROUP}"
control_group = "{CONTROL_GROUP}"
admin_group = "{ADMIN_GROUP}"
state_directory = "{{dir}}/state"
report_socket = "{{dir}}/report"
control_socket = "{{dir}}/control"
lookup policy {{{{ protocol = policy path = "{{dir}}/policy" group = "{CONTROL_GROUP}" }}}}
lookup plain {{{{ protocol = plain path = "{{dir}}/plain" group = "{CONTROL_GROUP}" }}}}
lookup map {{{{ protocol = socketmap path = "{{dir}}/socketmap" group = "{CONTROL_GROUP}" }}}}
"""


def gids(account):
    """Of the groups of an account."""
    return [grp.getgrnam(name).gr_gid for name in GROUPS.get(account, ())]


def become(account):
    """For the rest of this process."""
    os.setgroups(gids(account))
    os.setresgid(account, account, account)
    os.setresuid(account, account, account)


class Process:
    """A child that runs function(*arguments) as an account; result() is what it returned."""

    def __init__(self, account, function, *arguments):
        self.results, results = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(results)
            return
        try:
            become(account)
            result = (True, function(*arguments))
        except BaseException:  # pylint: disable=broad-except  # told to the parent, whatever it is
            result = (False, traceback.format_exc())
        with os.fdopen(results, "wb") as file:
            pickle.dump(result, file)
        os._exit(0)

    def result(self):
        """Waits for it."""
        with os.fdopen(self.results, "rb") as file:
            is_right, value = pickle.load(file)
        os.waitpid(self.pid, 0)
        if not is_right:
            raise AssertionError(value)
        return value


def dracd(*reporters, files=None, config="", directory=None):
    """A started one, with those reporters, and so many descriptors if that is said."""
    directory = directory or tempfile.mkdtemp(prefix="dracd-test-")
    box = Dracd(directory=directory)
    box.write_config(config, CONFIG % ", ".join(f'"{uid}"' for uid in reporters))
    os.chmod(directory, 0o755)
    for path in (directory, box.path("state")):
        os.chown(path, DRACD, DRACD)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = (min(files, limit[1]),) * 2 if files else limit
    shutil.copy(PROGRAM, box.path("program"))  # the tree may be nobody else's
    return box.start(executable=box.path("program"), user=DRACD, group=DRACD, extra_groups=gids(DRACD),
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
