"""The files of a container as it sees them, as a detached tree of mounts that nobody else can change or walk into.

Paths in it are found by `open_in_root`; no symbolic link leads out, and no mount made or taken away meanwhile matters.
"""

from __future__ import annotations

import os

from crate.errors import HostError, StateError
from crate.linux import mount as m
from crate.linux import namespace
from crate.linux.process import PR_SET_DUMPABLE, prctl
from crate.ns.lending import lend
from crate.runtime.mounts import attach, mount_entry
from crate.runtime.sync import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def of_process(init_pidfd: int, user_namespace: str, *, mounts: bool) -> int:
    """The tree of a running container; `mounts`: with all that is mounted in it, else its root file system alone.

    `user_namespace` is its file in /proc where the container has one of its own, else "".
    Raises StateError when the container has ended, HostError.
    """

    def find() -> int:
        if user_namespace:
            namespace.setns(os.open(user_namespace, os.O_RDONLY | os.O_CLOEXEC), namespace.CLONE_NEWUSER)
            prctl(PR_SET_DUMPABLE, 0)  # a new user namespace makes a process dumpable again
        namespace.setns(init_pidfd, namespace.CLONE_NEWNS)
        return m.open_tree(m.AT_FDCWD, "/", m.OPEN_TREE_CLONE | (m.AT_RECURSIVE if mounts else 0))

    try:
        return lend(find)
    except ProcessLookupError:
        raise StateError("the container has just ended") from None
    except OSError as error:
        raise HostError(f"cannot look into the container: {error.strerror}") from None


def composed(root_mount_fd: int, place: str, entries: Sequence[dict[str, Any]]) -> int:
    """The tree of a container that does not run: its root with the binds `entries` of its spec. HostError.

    `place` is a directory to mount upon, in a mount namespace that nobody sees. Missing mount points are made, as at a
    start. `root_mount_fd` stays the caller's.
    """

    def find() -> int:
        namespace.unshare(namespace.CLONE_NEWNS)
        m.mount("", "/", None, m.MS_REC | m.MS_PRIVATE)
        place_fd = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        attach(root_mount_fd, place_fd)
        try:
            for entry in entries:
                mount_entry(root_mount_fd, entry)
        except SetupError as error:
            number = error.error.errno if error.error else 0
            raise OSError(number, f"{error.operation}: {os.strerror(number or 0)}") from None
        return m.open_tree(root_mount_fd, "", m.OPEN_TREE_CLONE | m.AT_EMPTY_PATH | m.AT_RECURSIVE)

    try:
        return lend(find)
    except OSError as error:
        raise HostError(f"cannot put together the container's files: {error.strerror}") from None
