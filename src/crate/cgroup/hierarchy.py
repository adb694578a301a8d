"""Where the kernel has each cgroup controller: v1 mounts, the v2 mount, both (hybrid), or none.

The proc files are parameters, so that a recorded machine can be looked at in a test.
"""

from __future__ import annotations

import os

from crate.linux.mountinfo import unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    Mount = tuple[str, str]  # the mount point, and the path of the cgroup that is found there

V1_CONTROLLERS = frozenset(
    ("cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "hugetlb")
    + ("net_cls", "net_prio", "perf_event", "rdma", "misc", "name=systemd")
)
"""Words among the super options of a v1 mount that name a controller (`name=systemd` has none: it only tracks)."""


class Hierarchy:
    """The cgroup mounts of a process and its own place in each.

    `v1`: controller → (mount point, root of the mount). `unified`: the same of the v2 mount, or None.
    `own`: controller → path of the process's cgroup as /proc/self/cgroup shows it; the v2 one under "".
    """

    __slots__ = ("own", "unified", "v1")

    def __init__(self, v1: dict[str, Mount], unified: Mount | None, own: dict[str, str]) -> None:
        self.v1 = v1
        self.unified = unified
        self.own = own

    @property
    def version(self) -> str:
        """One of "1", "2", "hybrid" (v1 controllers and a v2 mount beside them), "none"."""
        if self.v1:
            return "hybrid" if self.unified else "1"
        return "2" if self.unified else "none"

    def own_directory(self, controller: str) -> str | None:
        """The directory of this process's cgroup for a v1 controller, or in v2 for "". None: not beneath the mount."""
        mount = self.v1.get(controller) if controller else self.unified
        path = self.own.get(controller)
        if mount is None or path is None:
            return None
        point, root = mount[0], mount[1]
        # In a container without a cgroup namespace the mount shows /docker/ID, and the path begins with it too.
        if root != "/":
            if path != root and not path.startswith(root + "/"):
                return None
            path = path[len(root) :]
        return (point + path).rstrip("/")

    def v2_controllers(self) -> list[str]:
        """The controllers that the v2 mount offers, as its top says."""
        if self.unified is None:
            return []
        return read(self.unified[0] + "/cgroup.controllers").split()


def read(path: str) -> str:
    """The text of a kernel file, without the newline at its end; "" if there is none to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        pieces = []
        while piece := os.read(fd, 65536):
            pieces.append(piece)
    except OSError:  # the cgroup went while it was read: ENODEV
        return ""
    finally:
        os.close(fd)
    return b"".join(pieces).decode("utf-8", "surrogateescape").rstrip("\n")


def discover(mountinfo: str = "/proc/self/mountinfo", cgroup: str = "/proc/self/cgroup") -> Hierarchy:
    """What is mounted, from proc_pid_mountinfo(5) and cgroups(7): 0.1 ms. A machine without any is no error here."""
    v1: dict[str, Mount] = {}
    unified: Mount | None = None
    for line in read(mountinfo).split("\n"):
        if " - cgroup" not in line:
            continue
        fields, _, tail = line.partition(" - ")
        words = fields.split(" ")
        mount = (unescape(words[4]), unescape(words[3]))
        kind, _, options = tail.split(" ", 2)
        # The first mount of a hierarchy counts: later ones are copies, such as the /sys of somebody's chroot.
        if kind == "cgroup2":
            unified = unified or mount
        elif kind == "cgroup":
            for word in options.split(","):
                if word in V1_CONTROLLERS:
                    v1.setdefault(word, mount)
    own = {}
    for line in read(cgroup).split("\n"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        for name in names.split(","):
            own[name] = path
    return Hierarchy(v1, unified, own)
