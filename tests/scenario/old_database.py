"""Databases as DRAC leaves them: every spelling of an address and of a deadline."""
import os
import struct
import subprocess
import time

BUILD = os.environ.get("B", "build/out")
OLDDB = os.path.abspath(os.path.join(BUILD, "tests", "olddb", "olddb"))
KINDS = ("btree", "hash")


def written(path, rows, kind="btree", page_size=512):
    """A database of these rows, pairs of octets; its path."""
    data = b"".join(struct.pack("=II", len(key), len(value)) + key + value for key, value in rows)
    subprocess.run([OLDDB, kind, str(page_size), path], input=data, check=True)
    return path


def is_built():
    """False if this build has no Berkeley DB."""
    return os.path.exists(OLDDB)


def deadline(seconds):
    """So many seconds from now, as DRAC writes it."""
    return b"%d" % (time.time() + seconds)


def address(number):
    """One of 131,072, of both families."""
    if number % 4 == 3:
        return f"2001:db8:1::{number // 65536:x}:{number % 65536:x}"
    return f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"


def variant(number, text, left):
    """A row in one of the spellings there have been: NUL or none, a prefix length or none."""
    whole = "/128" if ":" in text else "/32"
    nul = b"\0" * (number // 2 % 2)
    return text.encode() + (whole.encode() if number % 2 else b"") + nul, deadline(left) + nul
