"""The driver `vfs`, for hosts without overlay: a container's root filesystem is a copy, by reflinks where they exist.

containers/<id>/rootfs    the copy, complete since it has this name
"""

from __future__ import annotations

import os

from crate.errors import HostError, ImageError
from crate.linux import mount
from crate.ns.idmap import IdShift
from crate.storage.merge import flatten
from crate.storage.rootfs import clone_read_only, empty_layer
from crate.storage.trash import remove_tree
from crate.storage.tree.copy import copy_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.ns.idmap import Ids
    from crate.storage.roots import Roots


def mount_copy(roots: Roots, container_dir: str, layers: Sequence[str], ids: Ids | None = None) -> int:
    """As crate.storage.rootfs.mount_rootfs: a detached mount, here of the container's own copy."""
    rootfs = f"{container_dir}/rootfs"
    if not os.access(rootfs, os.F_OK):
        _copy(roots, container_dir, layers, ids)
    try:
        return mount.open_tree(mount.AT_FDCWD, rootfs, mount.OPEN_TREE_CLONE)
    except OSError as error:
        raise HostError(f"cannot mount the root filesystem of {container_dir}: {error.strerror}") from None


def mount_flat(roots: Roots, layers: Sequence[str]) -> int:
    """As crate.storage.rootfs.mount_layers."""
    return clone_read_only(_flat(roots, layers))


def _flat(roots: Roots, layers: Sequence[str]) -> str:
    try:
        return f"{roots.graphroot}/layers/{flatten(roots, layers) if layers else empty_layer(roots)}"
    except FileNotFoundError as error:
        raise ImageError(f"a layer of the image is missing: {error.filename}", "pull the image again") from None


def _copy(roots: Roots, container_dir: str, layers: Sequence[str], ids: Ids | None) -> None:
    remove_tree(container_dir, "rootfs.new")  # of a copy that was interrupted
    target = f"{container_dir}/rootfs.new"
    source = _flat(roots, layers)
    os.mkdir(target, 0o755)
    if layers:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        source_fd, target_fd = os.open(source, flags), os.open(target, flags)
        try:
            copy_tree(source_fd, target_fd, IdShift(ids) if ids else None)
        except OSError as error:
            raise HostError(
                f"cannot copy the image's files to {target}: {os.strerror(error.errno or 0)}", "free space"
            ) from None
        finally:
            os.close(source_fd)
            os.close(target_fd)
    os.rename(target, f"{container_dir}/rootfs")
