"""The second wall of a container: Landlock rules derived from its mounts (docs/decisions/0210-landlock.md).

Loaded by the parent, before init is born, for containers that ask for it. A rule grants rights on everything beneath a
directory, and nothing takes them back: so a writable directory with a read-only directory mounted somewhere beneath
it gets no rule of its own; what is in it gets one each.
"""

from __future__ import annotations

import errno
import os
import stat

from crate.errors import HostError
from crate.linux import landlock as ll
from crate.linux.fs import O_PATH, RESOLVE_NO_SYMLINKS, openat2
from crate.linux.mountinfo import unescape
from crate.runtime.sync import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ANNOTATION = "crate.landlock"
# The first in which files may move from one directory to another (Linux 5.19).
_ABI = 2
# Their files are the kernel's: names come and go, so no list of them can be made. Their mounts say what is read-only,
# and no process behind the wall can change a mount.
_KERNEL = ("proc", "sysfs", "cgroup", "cgroup2")
_READ = ll.EXECUTE | ll.READ_FILE | ll.READ_DIR
# No devices are made; what --device lists is there.
_NO_DEVICES = ~(ll.MAKE_CHAR | ll.MAKE_BLOCK | ll.IOCTL_DEV)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES)
_AT_FDCWD = -100


class Wall:
    """The rules for one process: what it looks at before it closes its descriptors, and the act."""

    __slots__ = ("_abi", "_mounts", "_proc_fd", "_ruleset_fd", "_scoped")

    def __init__(self, spec: dict[str, Any]) -> None:
        kinds = {entry["type"] for entry in (spec.get("linux") or {}).get("namespaces") or ()}
        self._abi = ll.landlock_abi()
        # In namespaces of its own there is nobody else to reach, and those who `exec` brings have a wall of their own.
        self._scoped = 0 if "pid" in kinds else ll.SCOPE_SIGNAL
        self._scoped |= 0 if "network" in kinds else ll.SCOPE_ABSTRACT_UNIX_SOCKET
        self._mounts: dict[str, bool] = {}
        self._proc_fd = self._ruleset_fd = -1

    def open_proc(self) -> None:
        """In the host's mount namespace: the /proc that no container has made."""
        self._proc_fd = os.open("/proc", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def read_mounts(self) -> None:
        """Within the container's root: its mounts, from the host's /proc."""
        fd = os.open("self/mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc_fd)
        os.close(self._proc_fd)
        with open(fd, "rb") as file:
            self._mounts = read_only_by_path(file.read())

    def restrict(self) -> None:
        """Restricts this process and those to come; it has CAP_SYS_ADMIN, so setuid programs go on working."""
        try:
            handled = ll.rights(self._abi)
            self._ruleset_fd = ll.landlock_create_ruleset(self._abi, handled, self._scoped)
            self._allow("/", _READ)
            self._visit("/", self._mounts.get("/", False))
            self._allow("/dev", ll.IOCTL_DEV)
            ll.landlock_restrict_self(self._ruleset_fd)
            os.close(self._ruleset_fd)
        except OSError as error:
            hint = "landlock must be in the kernel and in its parameter lsm="
            raise SetupError("cannot restrict the container by landlock", error, hint=hint) from None

    def _visit(self, path: str, read_only: bool) -> None:
        """Grants what the mounts at and beneath `path` say."""
        prefix = path.rstrip("/") + "/"
        beneath = {point: value for point, value in self._mounts.items() if point.startswith(prefix) and point != path}
        if not read_only and not any(beneath.values()):
            self._allow(path, ll.rights(self._abi) & _NO_DEVICES)
            return
        if read_only:
            for point, value in beneath.items():
                if not value:
                    self._visit(point, False)
            return
        for name in self._names(path):
            child = prefix + name
            if child in self._mounts or any(point.startswith(child + "/") for point in beneath):
                self._visit(child, self._mounts.get(child, False))
            else:
                self._allow(child, ll.rights(self._abi) & _NO_DEVICES)

    def _names(self, path: str) -> list[str]:
        try:
            fd = openat2(_AT_FDCWD, path, os.O_RDONLY | os.O_DIRECTORY, RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno in _GONE:
                return []
            raise
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def _allow(self, path: str, allowed: int) -> None:
        """One rule. Links are not followed: what a container swaps meanwhile leads nowhere."""
        try:
            fd = openat2(_AT_FDCWD, path, O_PATH, RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno in _GONE:
                return
            raise
        try:
            allowed &= ll.rights(self._abi)
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                allowed &= ll.ACCESS_FILE
            if allowed:
                ll.landlock_add_rule(self._ruleset_fd, allowed, fd)
        finally:
            os.close(fd)


def require(asked_by: str) -> None:
    """HostError where the kernel has no such wall; `asked_by`: the option or annotation that wants it."""
    if ll.landlock_abi() < _ABI:
        raise HostError(
            f"cannot use {asked_by}: this kernel has no landlock, or an old one",
            "Linux 5.19 or later, with landlock in its parameter lsm=",
        )


def wall_of(spec: dict[str, Any]) -> Wall | None:
    """The wall that a container asks for, or None. HostError: a bundle may have the annotation from elsewhere."""
    if (spec.get("annotations") or {}).get(ANNOTATION) != "1":
        return None
    require(f"the annotation {ANNOTATION}")
    return Wall(spec)


def read_only_by_path(mountinfo: bytes) -> dict[str, bool]:
    """Mount point -> whether it is a read-only directory, of proc_pid_mountinfo(5); those of the kernel's file systems,
    and what is mounted beneath them, are left out."""
    found: dict[str, bool] = {}
    kernel: list[str] = []
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(b" - ")
        words, after = fields.split(b" "), rest.split(b" ")
        point = unescape(os.fsdecode(words[4]))
        if os.fsdecode(after[0]) in _KERNEL:
            kernel.append(point + "/")
            found.pop(point, None)
        elif not point.startswith(tuple(kernel)):
            options = (words[5] + b"," + after[2]).split(b",")
            found[point] = b"ro" in options and os.path.isdir(point)
    return found
