"""Walking trees of strangers by descriptors: directory by directory, files opened only when they are regular ones.

What a running container renames or replaces meanwhile is passed over or seen anew; nothing leads out of the tree.
"""

from __future__ import annotations

import errno
import os
import stat

from crate.linux import fs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BENEATH = fs.RESOLVE_BENEATH | fs.RESOLVE_NO_SYMLINKS
#: what the kernel makes up as it is asked: no files of anybody
_KERNEL = (
    *(fs.PROC_SUPER_MAGIC, fs.SYSFS_MAGIC, fs.CGROUP_SUPER_MAGIC, fs.CGROUP2_SUPER_MAGIC, fs.DEVPTS_SUPER_MAGIC),
    0x19800202,  # mqueue: MQUEUE_MAGIC of ipc/mqueue.c
)
#: what opening a directory says when its name is gone by now, or means something else
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)
#: as the reader of layers takes them (crate.storage.tree.writer)
_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_OVERLAY_XATTR = "user.overlay."


def directories(
    root_fd: int, start: str = "", *, mounts: bool = False
) -> Iterator[tuple[str, int, list[tuple[str, os.stat_result]]]]:
    """(path, descriptor, entries by name) of `start` and of each directory beneath it, parents first.

    The descriptor is open until the next one is asked for. `mounts`: those that are mounted in the tree too, except
    the kernel's own file systems; else they appear as empty directories.
    """
    flags = _BENEATH if mounts else _BENEATH | fs.RESOLVE_NO_XDEV
    pending = [(start, -1)]
    while pending:
        path, parent = pending.pop()
        try:
            fd = fs.openat2(root_fd, path or ".", _DIRECTORY, flags)
        except OSError as error:
            if error.errno in GONE and path != start:
                continue
            raise
        try:
            device = os.fstat(fd).st_dev
            if parent not in (-1, device) and fs.fs_type(fd) in _KERNEL:
                continue
            entries = _entries(fd)
            yield path, fd, entries
        finally:
            os.close(fd)
        inner = [f"{path}/{name}" if path else name for name, found in entries if stat.S_ISDIR(found.st_mode)]
        pending += [(one, device) for one in reversed(inner)]


def _entries(fd: int) -> list[tuple[str, os.stat_result]]:
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                found.append((entry.name, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                pass
    return sorted(found)


def open_regular(dir_fd: int, name: str) -> int:
    """A descriptor for reading a regular file; -1 where there is none (any more).

    Looked at before it is opened: opening alone makes some devices and FIFOs do things, and a container may put one
    there at any moment.
    """
    try:
        path_fd = os.open(name, fs.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except FileNotFoundError:
        return -1
    try:
        if not stat.S_ISREG(os.fstat(path_fd).st_mode):
            return -1
        return os.open(f"/proc/self/fd/{path_fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(path_fd)


def link_target(dir_fd: int, name: str) -> str | None:
    """Where a symbolic link leads; None where there is none (any more)."""
    try:
        return os.readlink(name, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):
            raise
    return None


def is_mount_point(dir_fd: int, name: str | bytes) -> bool:
    """Is something mounted there? To be asked before a name is removed: the kernel refuses that only where it is
    mounted in this process's own namespace, and takes the mounts of all others away with the name."""
    try:
        os.close(fs.openat2(dir_fd, name, fs.O_PATH | os.O_NOFOLLOW, fs.RESOLVE_BENEATH | fs.RESOLVE_NO_XDEV))
    except OSError as error:
        return error.errno == errno.EXDEV
    return False


def xattrs(fd: int) -> dict[bytes, bytes]:
    """The extended attributes of an open file or directory that travel with it."""
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    kept = {}
    for name in names:
        if name.startswith(_XATTRS) and not name.startswith(_OVERLAY_XATTR):
            try:
                kept[os.fsencode(name)] = os.getxattr(fd, name)
            except OSError:
                pass  # removed meanwhile
    return kept
