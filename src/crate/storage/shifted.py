"""The layers of an image for a container with ids of its own, whose user namespace sees other owners than the disk has.

Where the kernel can (Linux 5.19, root, a file system that supports it) the lower layers are an id-mapped mount, and
nothing is copied. Elsewhere they are copied once with other owners: `layers/<chain id>/ids-<digest of the maps>`, which
goes with the layer. What the container writes has in both cases the owners that the caller's namespace sees.
"""

from __future__ import annotations

import errno
import os

from crate.linux import mount as m
from crate.linux import namespace
from crate.ns.idmap import IdShift, open_namespace
from crate.ns.lending import lend
from crate.oci import digest, json
from crate.storage import staging
from crate.storage.durable import sync_file_system
from crate.storage.merge import flatten
from crate.storage.rootfs import empty_layer, kernel
from crate.storage.trash import remove_tree
from crate.storage.tree.copy import copy_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crate.ns.idmap import Ids
    from crate.storage.roots import Roots

_WITHOUT = (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def with_mapped_layers(roots: Roots, ids: Ids, make: Callable[[], int]) -> int:
    """The mount that `make` gives while `layers` is an id-mapped mount; -1 where that cannot be. OSError of `make`.

    `make` runs in a child with a mount namespace of its own, in which the layers have their usual paths: so the one way
    in serves all ways to mount an overlay.
    """
    if roots.rootless or kernel() < (5, 19):
        return -1
    layers = f"{roots.graphroot}/layers"
    mapped_fd = m.open_tree(m.AT_FDCWD, layers, m.OPEN_TREE_CLONE)

    def find() -> int:
        namespace.unshare(namespace.CLONE_NEWNS)
        m.mount("", "/", None, m.MS_REC | m.MS_PRIVATE)
        m.move_mount(mapped_fd, "", m.AT_FDCWD, layers, m.MOVE_MOUNT_F_EMPTY_PATH)
        return make()

    try:
        return lend(find) if _map(mapped_fd, ids) else -1
    finally:
        os.close(mapped_fd)


def _map(mount_fd: int, ids: Ids) -> bool:
    """Makes a detached mount an id-mapped one; False where the kernel or the file system cannot."""
    userns_fd = open_namespace(ids["uids"], ids["gids"])
    try:
        m.mount_setattr(mount_fd, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_IDMAP, 0, 0, userns_fd)
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        return False
    finally:
        os.close(userns_fd)
    return True


def copied(roots: Roots, layers: Sequence[str], ids: Ids) -> str:
    """One layer in place of all of these, with the owners that the maps give; its path beneath `layers`."""
    if not layers:
        return empty_layer(roots)
    name = f"ids-{digest.of(json.canonical(ids).encode()).partition(':')[2][:16]}"
    path = f"{layers[-1]}/{name}"
    place = f"{roots.graphroot}/layers/{path}"
    if os.access(place, os.F_OK):
        return path
    source = f"{roots.graphroot}/layers/{layers[0]}/diff" if len(layers) == 1 else ""
    source = source or f"{roots.graphroot}/layers/{flatten(roots, layers)}"
    stage = staging.make(roots, f"ids-{os.urandom(8).hex()}")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    source_fd, target_fd = os.open(source, flags), os.open(stage, flags)
    try:
        copy_tree(source_fd, target_fd, IdShift(ids))
        sync_file_system(stage)
        try:
            os.rename(stage, place)
        except OSError:
            if not os.access(place, os.F_OK):  # another process was faster
                raise
    finally:
        os.close(source_fd)
        os.close(target_fd)
        remove_tree(os.path.dirname(stage), os.path.basename(stage))
    return path
