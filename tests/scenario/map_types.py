"""The types of maps that a live MTA reads, and what is in a file of each, told by drac-mapread."""
import os
import struct
import subprocess

BUILD = os.environ.get("B", "build/out")
MAPREAD = os.path.abspath(os.path.join(BUILD, "maps", "drac-mapread"))
END = 0xffffffff

# type: (keys, suffix)
ALL = {
    "hash": ("postfix", ".db"),
    "btree": ("postfix", ".db"),
    "lmdb": ("postfix", ".lmdb"),
    "cdb": ("postfix", ".cdb"),
    "iplsearch": ("plain", ""),
    "lsearch": ("exim", ""),
    "relayhosts": ("plain", ""),
    "relayhostsusers": ("plain", ""),
}


def is_built(kind):
    """False if this build left the type out."""
    done = subprocess.run([MAPREAD, kind], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False)
    return done.returncode != 2


LIVE = {kind: how for kind, how in ALL.items() if is_built(kind)}


def rows(kind, path):
    """Keys and values of a file; ValueError if it cannot be read."""
    with open(path, "rb") as file:
        data = subprocess.run([MAPREAD, kind], stdin=file, capture_output=True, check=False).stdout
    found = {}
    while True:
        if len(data) < 8:
            raise ValueError(f"{path} ends without its end")
        key, value = struct.unpack_from("=II", data)
        if key == END:
            break
        found[data[8:8 + key].rstrip(b"\0").decode()] = data[8 + key:8 + key + value].rstrip(b"\0").decode()
        data = data[8 + key + value:]
    if value:
        raise ValueError(f"{path}: {os.strerror(value)}")
    return found


def config(directory, options="", kinds=None):
    """Lines of drac.conf: a map of each type, named for it."""
    return "".join(f'map {kind} {{ type = {kind}  keys = {LIVE[kind][0]}  path = "{directory}/{kind}" {options} }}\n'
                   for kind in kinds or LIVE)
