"""A user namespace that exists only for its id maps, as mount_setattr(2) MOUNT_ATTR_IDMAP wants one."""

from __future__ import annotations

import _signal
import os
import time
from itertools import pairwise

from crate.errors import HostError
from crate.linux import namespace
from crate.linux.process import clone, fork_child

_NOBODY = 65534  # /proc/sys/fs/overflowuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypedDict

    class IdMapping(TypedDict):
        """One line of a map: LinuxIDMapping of the runtime-spec."""

        containerID: int
        hostID: int
        size: int

    class Ids(TypedDict):
        """The maps of a container, as seen from the namespace that crate runs in."""

        uids: list[IdMapping]
        gids: list[IdMapping]


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
        lines = "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in _split(mappings, name))
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


def _split(mappings: list[IdMapping], name: str) -> list[IdMapping]:
    """The same map in pieces of which each lies in one line of our own, as the kernel wants it (user_namespaces(7))."""
    edges = [
        end for own in _read_map(f"/proc/self/{name}") for end in (own["containerID"], own["containerID"] + own["size"])
    ]
    found: list[IdMapping] = []
    for one in mappings:
        cuts = sorted(edge - one["hostID"] for edge in edges if 0 < edge - one["hostID"] < one["size"])
        for start, end in pairwise([0, *cuts, one["size"]]):
            if end > start:
                found.append(
                    {"containerID": one["containerID"] + start, "hostID": one["hostID"] + start, "size": end - start}
                )
    return found


def maps_of(path: str) -> tuple[list[IdMapping], list[IdMapping]]:
    """The maps of the user namespace with this file, as seen from here. HostError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"cannot open the user namespace {path}: {error.strerror}") from None
    told, tell = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        try:
            namespace.setns(fd, namespace.CLONE_NEWUSER)
            os.write(tell, b"1")
            time.sleep(60)  # the parent kills it long before
        finally:
            os._exit(0)

    pid = fork_child(child)
    os.close(tell)
    try:
        if not os.read(told, 1):
            raise HostError(
                f"cannot enter the user namespace {path}", "it must be a namespace of containers of this user"
            )
        return _read_map(f"/proc/{pid}/uid_map"), _read_map(f"/proc/{pid}/gid_map")
    finally:
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(told)
        os.close(fd)


def _read_map(path: str) -> list[IdMapping]:
    with open(path, encoding="ascii") as file:
        lines = [[int(word) for word in line.split()] for line in file]
    return [{"containerID": line[0], "hostID": line[1], "size": line[2]} for line in lines]


def outside_id(mappings: list[IdMapping], number: int) -> int:
    """What an id that is meant inside of the namespace is outside of it; -1 for one that is not mapped."""
    for one in mappings:
        if 0 <= number - one["containerID"] < one["size"]:
            return one["hostID"] + number - one["containerID"]
    return -1


class IdShift:
    """Other owners for files that are copied or archived: those that the maps give, or with `back` those before.

    What is not mapped becomes nobody's.
    """

    __slots__ = ("_back", "_gids", "_uids", "root")

    def __init__(self, ids: Ids, back: bool = False) -> None:
        self._uids = [_ends(one, back) for one in ids["uids"]]
        self._gids = [_ends(one, back) for one in ids["gids"]]
        self._back = back
        #: what root of the container is outside, for file capabilities
        self.root = max(0, outside_id(ids["uids"], 0))

    def owner(self, uid: int, gid: int) -> tuple[int, int]:
        """The new owner and group."""
        return _moved(self._uids, uid), _moved(self._gids, gid)

    def capability(self, value: bytes) -> bytes:
        """`security.capability` of a file (capabilities(7), `struct vfs_ns_cap_data`) for the namespace's root; as
        the file of an image has it with `back`."""
        words = value[4:20]
        if len(value) < 20 or value[3] not in (2, 3):
            return value
        if self._back:
            return bytes([value[0], 0, 0, 2]) + words
        return bytes([value[0], 0, 0, 3]) + words + self.root.to_bytes(4, "little")


def _ends(one: IdMapping, back: bool) -> tuple[int, int, int]:
    ends = (one["containerID"], one["hostID"])
    return (ends[1], ends[0], one["size"]) if back else (*ends, one["size"])


def _moved(ranges: list[tuple[int, int, int]], number: int) -> int:
    for start, target, size in ranges:
        if 0 <= number - start < size:
            return target + number - start
    return _NOBODY
