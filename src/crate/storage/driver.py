"""The choice of the storage driver: overlay where the kernel and the file system of the store can, else others."""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.storage import staging
from crate.storage.roots import write_format
from crate.storage.trash import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.roots import Roots

DRIVERS = ("overlay", "fuse-overlayfs", "vfs")


def choose(roots: Roots, wanted: str = "") -> str:
    """The driver of this store: `wanted` (the setting) if given, else the one chosen before, else what a probe finds.

    The choice is kept in the store. Layers have one form for both drivers, so a later change harms no container.
    Raises UsageError for an unknown name.
    """
    if wanted and wanted not in DRIVERS:
        raise UsageError(f"unknown storage driver {wanted}", f"one of: {', '.join(DRIVERS)}")
    driver = wanted or roots.driver or _probed(roots)
    if driver != roots.driver:
        write_format(roots.graphroot, driver)
        roots.driver = driver
    return driver


def _probed(roots: Roots) -> str:
    """The first that works here: the kernel's overlay, for an ordinary user fuse-overlayfs, copies."""
    if not overlay_fault(roots):
        return "overlay"
    if roots.rootless:
        from crate.storage import fuse_overlay

        if not fuse_overlay.fault(roots):
            return "fuse-overlayfs"
    return "vfs"


def overlay_fault(roots: Roots) -> str:
    """Why overlay does not work on the file system of the store, or "": it is mounted and written to, once."""
    from crate.storage.rootfs import mount_one_string

    label = os.urandom(4).hex()
    stage = staging.make(roots, label)
    stage_fd = os.open(stage, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    short = f"/proc/self/fd/{stage_fd}"
    try:
        for name in ("lower", "lower/d", "upper", "work"):
            os.mkdir(f"{stage}/{name}", 0o755)
        options = [("upperdir", f"{short}/upper"), ("workdir", f"{short}/work")]
        if roots.rootless:
            options.append(("userxattr", ""))
        fd = mount_one_string(f"{short}/lower", options)
        try:
            # Replacing a lower directory takes a whiteout and an opaque directory: all that the upper must be able to.
            os.rmdir("d", dir_fd=fd)
            os.mkdir("d", dir_fd=fd)
        finally:
            os.close(fd)
    except OSError as error:
        return str(error.strerror)
    finally:
        os.close(stage_fd)
        remove_tree(os.path.dirname(stage), os.path.basename(stage))
    return ""
