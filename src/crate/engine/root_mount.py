"""The root file system of a container as a detached mount: its image's layers, or the directory of --rootfs."""

from __future__ import annotations

import os

from crate.errors import HostError
from crate.storage.rootfs import mount_rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.storage.roots import Roots


def mount_root(roots: Roots, record: dict[str, Any], directory: str) -> int:
    """A descriptor of it. `directory` holds the container's `upper` and `work`. Raises HostError, ImageError.

    A directory given by --rootfs is used as it is, what the container writes stays in it; with `:O` it is not touched.
    """
    if os.access(f"{directory}/merged", os.F_OK):
        from crate.engine.files.mounting import shared_mount

        fd = shared_mount(directory)
        if fd >= 0:
            return fd
    volatile = bool(record["remove"])
    path = record.get("rootfs")
    if not path:
        return mount_rootfs(roots, directory, record["layers"], volatile=volatile, ids=record.get("ids"))
    if record.get("rootfs_overlay"):
        from crate.storage.rootfs import mount_upon

        return mount_upon(roots, directory, path, volatile=volatile)
    from crate.linux import mount

    try:
        return mount.open_tree(mount.AT_FDCWD, path, mount.OPEN_TREE_CLONE | mount.AT_RECURSIVE)
    except OSError as error:
        raise HostError(f"cannot use rootfs {path}: {error.strerror}") from None
