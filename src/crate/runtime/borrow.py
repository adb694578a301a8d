"""A mount of another container, for one that shares it: bind mounts do not reach across mount namespaces (EINVAL)."""

from __future__ import annotations

import os

from crate.errors import HostError
from crate.linux import mount as m
from crate.linux import namespace
from crate.ns.lending import lend
from crate.runtime.mounts import MountOptions, apply_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def borrow(pid: int, path: str, entry: dict[str, Any]) -> int:
    """A detached copy of the mount at `path` as the process `pid` sees it, with the options of the spec's mount."""

    def find() -> int:
        namespace.setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), namespace.CLONE_NEWNS)
        return m.open_tree(m.AT_FDCWD, path, m.OPEN_TREE_CLONE | m.AT_SYMLINK_NOFOLLOW)

    try:
        fd = lend(find)
    except OSError as error:
        raise HostError(f"cannot share {path} of the other container: {error.strerror}") from None
    apply_attributes(fd, MountOptions(entry.get("options") or []), False)
    return fd
