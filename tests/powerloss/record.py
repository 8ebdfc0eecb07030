"""A running dracd, and all that it does to files, by strace."""
import os
import re
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "scenario"))
import map_types  # noqa: E402
from dracd_box import Dracd  # noqa: E402

CALLS = ("open,openat,creat,lseek,write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,copy_file_range,"
         "sendfile,splice,fsync,fdatasync,sync_file_range,msync,rename,renameat,renameat2,link,linkat,symlink,"
         "symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,sendto,sendmsg")
KINDS = {"hash": ".db", "btree": ".db", "cdb": ".cdb", "lmdb": ".lmdb", "iplsearch": ""}  # and their suffix
MAPS = {kind: suffix for kind, suffix in KINDS.items() if map_types.is_built(kind)}
LINE = re.compile(r"^(\d+) +(.*)$", re.S)
CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)(.*)$", re.S)
HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
ANSWER = re.compile(rb"^(OK|NO|ERR)\b")


def config(durability, directory):
    return f"durability = {durability}\n" + "".join(
        f'map {kind} {{ type = {kind} {"" if kind == "iplsearch" else "keys = postfix"} '
        f'path = "{directory}/maps/{kind}" interval = 0 end_interval = 0 }}\n' for kind in MAPS)


class Action:
    """What somebody asked dracd for."""

    def __init__(self, kind, subject, answer, user=None):
        self.kind, self.subject, self.user = kind, subject, user
        self.published = "published=yes" in answer or kind in ("revoke", "revoke_user") and "maps_late" not in answer


class Recording:
    """The tree before the start, the calls in their order, the actions, and the tree after the end.

    "changed": a dracd with durability = process dies, and one with full takes its place in the same boot.
    """

    def __init__(self, durability):
        self.durability = durability
        self.first_of_full = 0  # the action
        self.directory = tempfile.mkdtemp(prefix="dracd-power-")
        self.actions = []
        self.dracd = Dracd(directory=self.directory)
        os.chmod(self.directory, 0o755)
        os.mkdir(self.dracd.path("maps"), 0o755)
        self.before = tree(self.directory)
        self.events = []
        if durability == "changed":
            self.events += self.trace("process", self.die)
            self.first_of_full = len(self.actions)
            self.events += self.trace("full", self.run)
        else:
            self.events += self.trace(durability, self.run)
        self.dracd.log.close()
        self.after = tree(self.directory)
        shutil.rmtree(self.directory)

    def trace(self, durability, life):
        """The events of one life."""
        trace = self.dracd.path(f"trace-{durability}")
        self.dracd.write_config(config(durability, self.directory))
        self.dracd.tracer = ["strace", "-D", "-f", "-y", "-xx", "-qq", "-s", "4194304", "-o", trace, "-e",
                             f"trace={CALLS}", "-e", "signal=none"]
        life()
        with open(trace, encoding="ascii") as file:
            return list(parse(file, self.events[-1][4] + 1 if self.events else 0))

    def die(self):
        """A life that is short, and ends without a sync."""
        self.dracd.start()
        self.login("203.0.113.100", "user")
        self.note("revoke", "203.0.113.100", self.dracd.control("revoke address=203.0.113.100")[-1])  # is synced
        for n in range(101, 120):
            self.login(f"203.0.113.{n}", f"user{n}")
        self.dracd.control("status")  # after that, the last of these answers is in the trace
        self.dracd.stop(signal.SIGKILL)
        self.dracd.wait_for(self.dracd.is_over, "its guardian to end")

    def run(self):
        """One cycle."""
        dracd = self.dracd
        dracd.start()
        self.login("203.0.113.1", "ann", "wait_ms=20000")
        self.login("203.0.113.2", "bob")
        self.login("2001:db8::3", "cy", "wait_ms=20000")
        self.login("203.0.113.4", "ann")
        self.login("203.0.113.5", "dan", "ttl_ms=2000 wait_ms=20000")
        self.login("203.0.113.1", "ann")
        self.note("revoke", "203.0.113.2", dracd.control("revoke address=203.0.113.2")[-1])
        dracd.wait_for_log("ended 203.0.113.5")
        self.login("203.0.113.6", "eve", "wait_ms=20000")
        self.note("revoke_user", "cy", dracd.control("revoke user=cy")[-1])
        self.login("203.0.113.7", "fay", "wait_ms=20000")
        dracd.stop()

    def login(self, address, user, words=""):
        self.note("login", address, self.dracd.login(address, f"user={user} service=imap {words}"), user)

    def note(self, kind, subject, answer, user=None):
        if not answer.startswith("OK"):
            raise AssertionError(f"{kind} {subject}: {answer}")
        self.actions.append(Action(kind, subject, answer, user))


def tree(top):
    """Contents of all files of it that matter, None for a directory."""
    found = {}
    for folder in ("state", "maps"):
        for path, _, names in os.walk(f"{top}/{folder}"):
            found[path] = None
            for name in names:
                with open(f"{path}/{name}", "rb") as file:
                    found[f"{path}/{name}"] = file.read()
    return found


# ---- lines of strace: each call as (name, arguments, result, where it begins, where it ends) ----

class Text:
    """An argument in quotes, as bytes."""

    def __init__(self, data):
        self.data = data

    def __str__(self):
        return self.data.decode("utf-8", "surrogateescape")


class File:
    """A descriptor and the name of its file."""

    def __init__(self, number, path):
        self.number, self.path = number, path


TOKEN = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?|(-?\w+)<((?:[^<>]|->)*)>(\(deleted\))?|([\w|+~.=-]+)')


def unhex(text):
    return HEX.sub(lambda m: bytes.fromhex(m[0].replace("\\x", "")).decode("utf-8", "surrogateescape"), text)


def arguments(text):
    """The arguments in their order; brackets and names of members are passed over."""
    found = []
    for token in TOKEN.finditer(text):
        if token[1] is not None:
            found.append(Text(bytes.fromhex(token[1].replace("\\x", ""))))
        elif token[3] is not None:
            found.append(File(token[2], "" if token[4] else unhex(token[3])))
        elif token[5] is not None and not token[5].endswith("="):
            found.append(token[5])
    return found


def parse(lines, first):
    """The events, their places in the record counted from first."""
    begun = {}
    for index, line in enumerate(lines, first):
        thread, rest = LINE.match(line.rstrip("\n")).groups()
        start = index
        if rest.startswith(("+++", "---")):
            continue
        if rest.startswith("<... "):
            start, before = begun.pop(thread)
            rest = before + re.sub(r"^<\.\.\. \w+ resumed>", "", rest)
        elif rest.endswith("<unfinished ...>"):
            rest = rest[:-len("<unfinished ...>")]
            begun[thread] = (index, rest)
            if rest.startswith(("sendto(", "sendmsg(", "write(", "writev(")):
                yield "sent", arguments(rest.partition("(")[2]), 0, index, index
            continue
        call = CALL.match(rest)
        if not call or int(call[3]) < 0:
            continue
        given = arguments(call[2])
        if call[1] in ("sendto", "sendmsg", "write", "writev"):
            if start == index:
                yield "sent", given, 0, index, index
        if call[1] in ("open", "openat", "creat"):
            given.append(arguments(call[3] + call[4].split(" (")[0])[0])
        yield call[1], given, int(call[3]), start, index
