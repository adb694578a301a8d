"""What a container changed in its image's files, and how many bytes a tree has."""

from __future__ import annotations

import os
import stat

from crate.linux.fs import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from crate.storage.rootfs import mount_layers
from crate.storage.tree_copy import is_opaque, is_whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crate.storage.roots import Roots

ADDED, CHANGED, DELETED = "A", "C", "D"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


def changes(roots: Roots, container_dir: str, layers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(kind, path) of each change, as `docker diff` counts them, parents before children: `("C", "/etc")`."""
    lower_fd = mount_layers(roots, layers)
    try:
        copy = f"{container_dir}/rootfs"
        whole = os.access(copy, os.F_OK)  # vfs keeps the whole tree, overlay what differs
        upper_fd = os.open(copy if whole else f"{container_dir}/upper", _DIRECTORY | os.O_CLOEXEC)
        try:
            yield from _compare(upper_fd, lower_fd, whole)
        finally:
            os.close(upper_fd)
    finally:
        os.close(lower_fd)


def usage(path: str) -> tuple[int, int]:
    """Bytes of the files beneath `path`, each inode once, and how many inodes. What vanishes meanwhile is skipped."""
    root_fd = os.open(path, _DIRECTORY | os.O_CLOEXEC)
    size = 0
    seen: set[tuple[int, int]] = set()
    count = 1
    pending = [""]
    try:
        while pending:
            here = pending.pop()
            entries = _list(root_fd, here)
            for name, found in entries.items():
                if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                    if (found.st_dev, found.st_ino) in seen:
                        continue
                    seen.add((found.st_dev, found.st_ino))
                count += 1
                if stat.S_ISDIR(found.st_mode):
                    pending.append(f"{here}/{name}" if here else name)
                elif stat.S_ISREG(found.st_mode):
                    size += found.st_size
    finally:
        os.close(root_fd)
    return size, count


def _compare(upper_fd: int, lower_fd: int, whole: bool) -> Iterator[tuple[str, str]]:
    pending = [("", whole)]
    while pending:
        here, complete = pending.pop()
        upper, lower = _list(upper_fd, here), _list(lower_fd, here)
        inner = []
        for name in sorted(upper.keys() | lower.keys()):
            path = f"{here}/{name}" if here else name
            above, below = upper.get(name), lower.get(name)
            if above is None or is_whiteout(above):
                if below is not None and (above is not None or complete):
                    yield DELETED, f"/{path}"
                continue
            is_directory = stat.S_ISDIR(above.st_mode)
            if below is None:
                yield ADDED, f"/{path}"
            elif not whole or _differ(above, below):
                yield CHANGED, f"/{path}"
            if is_directory:
                inner.append((path, complete or below is None or _is_opaque(upper_fd, path)))
        pending += reversed(inner)


def _differ(above: os.stat_result, below: os.stat_result) -> bool:
    fields = ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_rdev")
    if any(getattr(above, field) != getattr(below, field) for field in fields):
        return True
    return stat.S_ISREG(above.st_mode) and above.st_size != below.st_size


def _list(root_fd: int, path: str) -> dict[str, os.stat_result]:
    """The entries of a directory with what lstat(2) tells; nothing where none is."""
    found = {}
    try:
        fd = openat2(root_fd, path or ".", _DIRECTORY, _BENEATH)
    except OSError:
        return {}
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found[entry.name] = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    pass
    finally:
        os.close(fd)
    return found


def _is_opaque(root_fd: int, path: str) -> bool:
    fd = openat2(root_fd, path, _DIRECTORY, _BENEATH)
    try:
        return is_opaque(fd)
    finally:
        os.close(fd)
