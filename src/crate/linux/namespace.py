"""Namespaces: unshare(2), setns(2), their flags and files."""

from __future__ import annotations

from crate.linux.libc import check, function

CLONE_NEWTIME = 0x80
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

#: name in the OCI runtime-spec -> (flag, file in /proc/PID/ns)
KINDS = {
    "user": (CLONE_NEWUSER, "user"),
    "cgroup": (CLONE_NEWCGROUP, "cgroup"),
    "ipc": (CLONE_NEWIPC, "ipc"),
    "uts": (CLONE_NEWUTS, "uts"),
    "network": (CLONE_NEWNET, "net"),
    "pid": (CLONE_NEWPID, "pid"),
    "mount": (CLONE_NEWNS, "mnt"),
    "time": (CLONE_NEWTIME, "time"),
}

_unshare = function("unshare", "i")
_setns = function("setns", "ii")
_sethostname = function("sethostname", "PL")
_setdomainname = function("setdomainname", "PL")


def unshare(flags: int) -> None:
    """unshare(2). EINVAL for CLONE_NEWUSER in a process of several threads."""
    check(_unshare(flags), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """setns(2): with a namespace file, or with a pidfd and the flags of the namespaces to join (Linux 5.8)."""
    check(_setns(fd, flags), "setns")


def sethostname(name: str) -> None:
    """sethostname(2)."""
    raw = name.encode()
    check(_sethostname(raw, len(raw)), "sethostname", name)


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    raw = name.encode()
    check(_setdomainname(raw, len(raw)), "setdomainname", name)
