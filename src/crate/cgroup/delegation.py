"""Who may use which part of the v2 tree: enabling controllers, and the subtree that an ordinary user was given.

The rules are in the kernel's Documentation/admin-guide/cgroup-v2.rst: controllers are handed down level by level
through cgroup.subtree_control; a group that hands any down holds no processes itself; who moves a process needs write
permission in the nearest group above both places.
"""

from __future__ import annotations

import errno
import os

from crate.cgroup.hierarchy import Hierarchy, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


CALLER = "/crate/caller"


def in_user_namespace(uid_map: str = "/proc/self/uid_map") -> bool:
    """Whether the ids of this process are others on the host (user_namespaces(7)), or it is not root at all."""
    return read(uid_map).split() != ["0", "0", "4294967295"] or os.geteuid() != 0


def levels(top: str, directory: str) -> list[str]:
    """The directories from `top` down to the parent of `directory`."""
    found = [top]
    for part in directory.removeprefix(top).strip("/").split("/")[:-1]:
        found.append(f"{found[-1]}/{part}")
    return found


def enable(top: str, directory: str, controllers: Collection[str]) -> None:
    """Hands the controllers down from `top` to `directory`, as far as the kernel lets us; what is missing afterwards
    can be seen in the cgroup.controllers of `directory`."""
    offered = read(top + "/cgroup.controllers").split()
    wanted = [name for name in controllers if name in offered]
    for level in levels(top, directory) if wanted else ():
        held = read(level + "/cgroup.subtree_control").split()
        new = [name for name in wanted if name not in held]
        if new and not _hand_down(level, new):
            # Refused as a whole when one of them is: the others may still be had.
            for name in new:
                _hand_down(level, [name])


def _hand_down(level: str, controllers: list[str]) -> bool:
    for _ in range(2):
        try:
            fd = os.open(level + "/cgroup.subtree_control", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, " ".join(f"+{name}" for name in controllers).encode())
            finally:
                os.close(fd)
            return True
        except OSError as error:
            if error.errno != errno.EBUSY or not _step_aside(level):
                return False
    return False


def _step_aside(level: str) -> bool:
    """Moves this process into a group beneath `level` if it is alone in it: the way out of the rule that a group with
    controllers to hand down holds no processes. Others' processes are not ours to move."""
    if read(level + "/cgroup.procs").split() != [str(os.getpid())]:
        return False
    try:
        os.makedirs(level + CALLER, exist_ok=True)
        fd = os.open(f"{level}{CALLER}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


def upwards(hierarchy: Hierarchy) -> Iterator[str]:
    """The v2 group of this process and the groups above it, as long as this user may make groups and move into them."""
    assert hierarchy.unified is not None
    directory, top = hierarchy.own_directory(""), hierarchy.unified[0]
    for place in (CALLER, "/crate/monitor") if directory else ():  # where an earlier group of ours put this process
        directory = str(directory).removesuffix(place)
    while directory is not None and directory.startswith(top):
        if not os.access(directory, os.W_OK | os.X_OK) or not os.access(directory + "/cgroup.procs", os.W_OK):
            return
        yield directory
        if directory == top:
            return
        directory = os.path.dirname(directory)


def handed_down(directory: str) -> list[str]:
    """The controllers that a group made beneath `directory` has or can be given by us."""
    held = read(directory + "/cgroup.subtree_control").split()
    if not os.access(directory + "/cgroup.subtree_control", os.W_OK):
        return held
    if read(directory + "/cgroup.procs").split() not in ([], [str(os.getpid())]):
        return held
    return read(directory + "/cgroup.controllers").split()


def base_directory(hierarchy: Hierarchy, wanted: Collection[str]) -> str | None:
    """Where an ordinary user's groups go; None: nothing was delegated to this user.

    Of the writable groups at and above its own: those that offer most of the wanted controllers, of these one that
    systemd marks as delegated (it will not touch what is beneath, and stops what else it made there), the nearest.
    """
    best, best_score = None, (-1, False)
    for directory in upwards(hierarchy):
        score = (len(set(wanted).intersection(handed_down(directory))), _is_marked(directory))
        if score > best_score:
            best, best_score = directory, score
    return best


def _is_marked(directory: str) -> bool:
    try:
        return os.getxattr(directory, "user.delegate") == b"1"
    except OSError:
        return False


def delegated_controllers(hierarchy: Hierarchy) -> list[str]:
    """The v2 controllers that groups of this process can have: those of the host for root, else the delegated."""
    if hierarchy.unified is None:
        return []
    if os.access(hierarchy.unified[0], os.W_OK):
        return hierarchy.v2_controllers()
    base = base_directory(hierarchy, hierarchy.v2_controllers())
    return handed_down(base) if base else []
