"""The driver `fuse-overlayfs`, for ordinary users on kernels or file systems that let them mount no overlay.

The program serves the same layers and upper directories as the kernel's overlay, with whiteouts of the same form. It is
a process for each root file system: it is started by whoever mounts one, and ends when the last mount of it is gone.
"""

from __future__ import annotations

import os

from crate.errors import HostError
from crate.linux import mount
from crate.storage import staging
from crate.storage.trash import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.storage.roots import Roots

_DIRECTORIES = ("/usr/bin", "/bin", "/usr/local/bin")
_DEVICE = "/dev/fuse"
_SECONDS = 30


def fault(roots: Roots) -> str:
    """Why it cannot be used, or "": a file system is mounted and written to, once."""
    if not program():
        return "no program fuse-overlayfs"
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} cannot be opened"
    stage = staging.make(roots, f"fuse-{os.urandom(4).hex()}")
    try:
        for name in ("lower", "lower/d", "upper", "work"):
            os.mkdir(f"{stage}/{name}", 0o755)
        fd = mount_fuse(["lower"], stage, stage)
        try:
            os.rmdir("d", dir_fd=fd)
            os.mkdir("d", dir_fd=fd)
        finally:
            os.close(fd)
    except HostError as error:
        return error.message
    except OSError as error:
        return str(error.strerror)
    finally:
        remove_tree(os.path.dirname(stage), os.path.basename(stage))
    return ""


def program() -> str:
    """The path of fuse-overlayfs; "" for none."""
    return next(
        (f"{place}/fuse-overlayfs" for place in _DIRECTORIES if os.access(f"{place}/fuse-overlayfs", os.X_OK)), ""
    )


def mount_fuse(lowers: Sequence[str], layers: str, container_dir: str) -> int:
    """A descriptor of the root file system, a detached mount. HostError.

    `lowers`: names without separators beneath the directory `layers`, top one first.
    """
    from subprocess import DEVNULL, PIPE, TimeoutExpired, run

    path = program()
    if not path:
        raise HostError("cannot mount the container's files: no program fuse-overlayfs", "apt install fuse-overlayfs")
    if ":" in container_dir:  # it takes the upper directory, too, for a list
        raise HostError(
            f"cannot mount the container's files: fuse-overlayfs allows no colon in {container_dir}",
            "give another --root, or --storage-driver vfs",
        )
    merged = f"{container_dir}/merged-fuse"
    try:
        os.mkdir(merged, 0o700)
    except FileExistsError:
        pass
    # Commas and backslashes mean something in the options: no path of the host's is in them.
    place_fd = os.open(container_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    place = f"/proc/self/fd/{place_fd}"
    options = f"lowerdir={':'.join(lowers)},upperdir={place}/upper,workdir={place}/work"
    try:
        done = run(
            [path, "-o", options, merged],
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, timeout=_SECONDS, check=False, start_new_session=True,
            cwd=layers, pass_fds=[place_fd],
        )  # fmt: skip
    except (OSError, TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no answer in {_SECONDS} seconds"
        raise HostError(f"cannot mount the container's files: fuse-overlayfs: {reason}") from None
    finally:
        os.close(place_fd)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise HostError(
            f"cannot mount the container's files: fuse-overlayfs: {lines[-1]}",
            f"{_DEVICE} must be there for this user; or --storage-driver vfs; see crate doctor",
        )
    try:
        return mount.open_tree(mount.AT_FDCWD, merged, mount.OPEN_TREE_CLONE)
    finally:
        mount.umount2(merged, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
