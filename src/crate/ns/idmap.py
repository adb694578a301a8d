"""A user namespace that exists only for its id maps, as mount_setattr(2) MOUNT_ATTR_IDMAP wants one."""

from __future__ import annotations

import _signal
import os
import time

from crate.errors import HostError
from crate.linux import namespace
from crate.linux.process import clone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypedDict

    class IdMapping(TypedDict):
        """One line of a map: LinuxIDMapping of the runtime-spec."""

        containerID: int
        hostID: int
        size: int


def open_namespace(uid_mappings: list[IdMapping], gid_mappings: list[IdMapping]) -> int:
    """A descriptor of a new user namespace with these maps; no process stays in it."""

    def child() -> NoReturn:
        time.sleep(60)  # the parent kills it long before
        os._exit(0)

    try:
        pid, pidfd = clone(namespace.CLONE_NEWUSER, child)
    except OSError as error:
        raise HostError(f"cannot make a user namespace for an id map: {error.strerror}") from None
    try:
        write_maps(pid, uid_mappings, gid_mappings)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)


def write_maps(pid: int, uid_mappings: list[IdMapping], gid_mappings: list[IdMapping]) -> None:
    """Writes uid_map and gid_map of a process in a new user namespace (user_namespaces(7)). HostError."""
    for name, mappings in (("uid_map", uid_mappings), ("gid_map", gid_mappings)):
        lines = "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings)
        try:
            fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, lines.encode())
            finally:
                os.close(fd)
        except OSError as error:
            raise HostError(
                f"cannot write the {name} of the user namespace: {error.strerror}",
                "the ranges must not overlap, and must be this user's (/etc/subuid, /etc/subgid)",
            ) from None
