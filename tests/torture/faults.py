"""Which faults each system call is given: KILL at every one, and of the errors below those that its
manual page lists.

Source: section 2 of the Linux manual pages 6.03 (Debian 12's manpages-dev), ERRORS of the page named.
Left out, as the page gives them to another use of the call than the one that is made: clone's ENOSPC
and unshare's (namespaces), futex's ENOMEM (priority inheritance), timerfd_settime's EMFILE and ENOMEM
(timerfd_create), open's ENOSPC and EDQUOT without O_CREAT, fcntl's EMFILE but of F_DUPFD.
"""

import errno

KILL = "KILL"
ERRORS = ("ENOSPC", "EIO", "EINTR", "EMFILE", "ENOMEM", "EDQUOT")

_PAGES = {  # page: its errors among ERRORS, the calls (as tests/torture/tracer.c names them)
    "access": ("EIO ENOMEM", "access faccessat faccessat2"),
    "open": ("EINTR EMFILE ENOMEM", "open openat"),
    "open, O_CREAT": ("ENOSPC EINTR EMFILE ENOMEM EDQUOT", "openat:create"),
    "read": ("EIO EINTR", "read readv pread64 preadv"),
    "pipe(7), read": ("EINTR", "read:pipe readv:pipe"),
    "inotify(7)": ("EINTR", "read:inotify"),
    "write": ("ENOSPC EIO EINTR EDQUOT", "write writev pwrite64 pwritev"),
    "pipe(7), write": ("EINTR", "write:pipe writev:pipe"),
    "fsync": ("ENOSPC EIO EINTR EDQUOT", "fsync fdatasync"),
    "close": ("ENOSPC EIO EINTR EDQUOT", "close"),
    "rename": ("ENOSPC ENOMEM EDQUOT", "rename renameat renameat2"),
    "unlink": ("EIO ENOMEM", "unlink unlinkat"),
    "epoll_wait": ("EINTR", "epoll_wait epoll_pwait"),
    "epoll_ctl": ("ENOSPC ENOMEM", "epoll_ctl"),
    "epoll_create": ("EMFILE ENOMEM", "epoll_create epoll_create1"),
    "mmap": ("ENOMEM", "mmap munmap"),
    "mprotect": ("ENOMEM", "mprotect"),
    "madvise": ("EIO ENOMEM", "madvise"),
    "mremap": ("ENOMEM", "mremap"),
    "msync": ("EIO ENOMEM", "msync"),
    "clone": ("ENOMEM", "clone clone3 fork vfork"),
    "unshare": ("ENOMEM", "unshare"),
    "execve": ("EIO EMFILE ENOMEM", "execve"),
    "wait": ("EINTR", "wait4 waitid"),
    "futex": ("EINTR", "futex:wait"),
    "fcntl": ("EINTR", "fcntl:wait fcntl:lock"),
    "fcntl, F_DUPFD": ("EMFILE", "fcntl:dup"),
    "accept": ("EINTR EMFILE ENOMEM", "accept accept4"),
    "send": ("EINTR ENOMEM", "sendto sendmsg sendmmsg write:socket writev:socket"),
    "recv": ("EINTR ENOMEM", "recvfrom recvmsg recvmmsg read:socket readv:socket"),
    "copy_file_range": ("ENOSPC EIO ENOMEM", "copy_file_range"),
    "stat": ("ENOMEM", "stat lstat fstat newfstatat statx"),
    "chmod": ("EIO ENOMEM", "chmod fchmod fchmodat"),
    "chown": ("EIO ENOMEM", "chown fchown fchownat"),
    "truncate": ("EIO EINTR", "truncate ftruncate"),
    "fallocate": ("ENOSPC EIO EINTR", "fallocate"),
    "flock": ("EINTR", "flock"),
    "socket": ("EMFILE ENOMEM", "socket"),
    "bind": ("ENOMEM", "bind"),
    "connect": ("EINTR", "connect"),
    "timerfd_create": ("EMFILE ENOMEM", "timerfd_create"),
    "timer_create": ("ENOMEM", "timer_create"),
    "eventfd": ("EMFILE ENOMEM", "eventfd2"),
    "inotify_init": ("EMFILE ENOMEM", "inotify_init1"),
    "inotify_add_watch": ("ENOSPC ENOMEM", "inotify_add_watch"),
    "signalfd": ("EMFILE ENOMEM", "signalfd4"),
    "pipe": ("EMFILE", "pipe2"),
    "pidfd_open": ("EMFILE ENOMEM", "pidfd_open"),
    "mkdir": ("ENOSPC ENOMEM EDQUOT", "mkdir mkdirat"),
    "link": ("ENOSPC EIO ENOMEM EDQUOT", "link linkat"),
    "readlink": ("EIO ENOMEM", "readlink readlinkat"),
    "statfs": ("EIO EINTR ENOMEM", "statfs fstatfs"),
    "getrandom": ("EINTR", "getrandom"),
    "dup": ("EINTR EMFILE", "dup2 dup3"),
    "dup, dup": ("EMFILE", "dup"),
    "close_range": ("EMFILE ENOMEM", "close_range"),
    "poll": ("EINTR ENOMEM", "poll ppoll"),
    "nanosleep": ("EINTR", "nanosleep clock_nanosleep"),
}

# Pages that list none of them, or calls that are not documented as a call.
_NONE = set("""
    alarm arch_prctl brk clock_gettime exit exit_group fcntl futex:wake getcwd getdents64 getegid geteuid getgid
    getpeername getpid getsockname getppid getsockopt gettid getuid inotify_rm_watch ioctl kill listen lseek prctl prlimit64 read:anon
    readv:anon restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait
    sched_getaffinity sched_yield set_robust_list set_tid_address setsid setsockopt shutdown sigaltstack
    tgkill timer_delete timer_settime timerfd_settime umask uname utimensat write:anon writev:anon
    write:none writev:none read:none getrusage sysinfo mincore
""".split())

_OF_CALL = {call: errors.split() for errors, calls in _PAGES.values() for call in calls.split()}


def of_call(call):
    """The errors that call is given."""
    if call not in _OF_CALL and call not in _NONE:
        raise KeyError(f"tests/torture/faults.py does not know {call}: what does its manual page list?")
    return _OF_CALL.get(call, [])


LASTING = "+"  # behind the name of an error: this call and all that follow of its name and thread

# What nobody can go on without. EINTR does not last.
_NEVER_LASTING = {"accept4", "epoll_wait", "clone", "clone3", "futex:wait"}


def lasting_of_call(call):
    """The errors that may last."""
    return [] if call in _NEVER_LASTING else [error + LASTING for error in of_call(call) if error != "EINTR"]


def argument(fault):
    """As the tracer wants it."""
    if fault == KILL:
        return fault
    name, lasts, _ = fault.partition(LASTING)
    return str(getattr(errno, name)) + lasts
