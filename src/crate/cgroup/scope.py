"""A scope of systemd's for an ordinary user who was logged in without a right to cgroups (session-N.scope).

The user's own systemd owns user@UID.service and hands parts of it out: StartTransientUnit with Delegate=yes moves this
process into a scope of its own there, in which it may make groups (org.freedesktop.systemd1(5)). The call is made by
busctl, which is where systemd is, and which the bus knows by the kernel's word and not by the ids of a user namespace.
"""

from __future__ import annotations

import os

from crate.cgroup.hierarchy import read
from crate.cgroup.make import V2_NAMES

_BUSCTL = "/usr/bin/busctl"
_SECONDS = 30  # a slow machine is no reason to go without


def offered(uid: int, top: str = "/sys/fs/cgroup") -> list[str]:
    """The controllers (by their names in v1) that a scope of this user would have; none without systemd."""
    if not _can_ask(uid):
        return []
    service = f"{top}/user.slice/user-{uid}.slice/user@{uid}.service"
    given = read(f"{service}/cgroup.controllers").split()
    return [name for name, v2_name in V2_NAMES.items() if v2_name in given]


def enter(uid: int) -> bool:
    """Moves this process into a new scope; False where there is nobody to ask, or who refuses."""
    if not _can_ask(uid):
        return False
    from subprocess import DEVNULL, SubprocessError, run

    name = f"crate-{os.getpid()}-{os.urandom(4).hex()}.scope"
    properties = [
        "PIDs",
        "au",
        "1",
        str(os.getpid()),
        "Delegate",
        "b",
        "true",
        "CollectMode",
        "s",
        "inactive-or-failed",
    ]
    words = [
        *(_BUSCTL, "--user", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"),
        *("org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail"),
        *("3", *properties, "0"),
    ]
    before = read("/proc/self/cgroup")
    environment = {
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{uid}/bus",
        "XDG_RUNTIME_DIR": f"/run/user/{uid}",
        "PATH": "/usr/bin:/bin",
    }
    try:
        done = run(words, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, timeout=_SECONDS, check=False)
    except (OSError, SubprocessError):
        return False
    if done.returncode:
        return False
    return _has_moved(before)


def _has_moved(before: str) -> bool:
    """The call answers with a job: the process is moved a moment later."""
    import time

    deadline = time.monotonic() + _SECONDS
    while read("/proc/self/cgroup") == before:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _can_ask(uid: int) -> bool:
    return os.access(_BUSCTL, os.X_OK) and os.access(f"/run/user/{uid}/bus", os.W_OK)
