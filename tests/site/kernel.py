"""System calls that Python 3.11 lacks: mount, renameat2, setns, unshare."""

import ctypes
import errno
import os

MNT_DETACH = 0x2
CLONE_NEWNET = 0x40000000
MS_RDONLY = 0x1
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
AT_FDCWD = -100
RENAME_EXCHANGE = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _bytes(text):
    return None if text is None else os.fsencode(text)


def mount(source, target, kind=None, flags=0, options=None):
    """mount(2) by system call: mount(8) would resolve the /proc/self/fd/N that we rely on."""
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(options))
    _check(result, f"mount {source} on {target}")


def bind(source, target):
    """Show the file or directory `source`, with what is mounted below it, at `target` too."""
    mount(source, target, flags=MS_BIND | MS_REC)


def unmount(target):
    """Take away what is mounted there, also if it is in use."""
    _check(_libc.umount2(_bytes(target), MNT_DETACH), f"umount {target}")


def exchange(one, other):
    """Swaps two names at once; false if one of them is not there."""
    result = _libc.renameat2(AT_FDCWD, _bytes(one), AT_FDCWD, _bytes(other), RENAME_EXCHANGE)
    if result != 0 and ctypes.get_errno() == errno.ENOENT:
        return False
    _check(result, f"exchange {one} and {other}")
    return True


def join_network(namespace):
    """Move the calling thread into the network namespace of the open file `namespace`."""
    _check(_libc.setns(namespace, CLONE_NEWNET), "setns")


def new_network():
    """Give the calling thread a network namespace of its own."""
    _check(_libc.unshare(CLONE_NEWNET), "unshare")
