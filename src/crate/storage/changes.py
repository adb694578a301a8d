"""What a container changed in its image's files, and how many bytes a tree has."""

from __future__ import annotations

import os
import stat

from crate.linux.fs import O_PATH, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from crate.ns.recorded_owner import recorded
from crate.ns.single_id import maps_one_id
from crate.storage.rootfs import mount_layers
from crate.storage.tree.copy import is_opaque, is_whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from crate.storage.roots import Roots

ADDED, CHANGED, DELETED = "A", "C", "D"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
# fuse-overlayfs says so that a directory is opaque, besides the attribute.
_OPAQUE_FILE = ".wh..wh..opq"


def changes(
    roots: Roots, container_dir: str, layers: Sequence[str], own: Collection[str] = ()
) -> list[tuple[str, str]]:
    """(kind, path) of each change, sorted by path, as `docker diff` has them: `("C", "/etc")`.

    `own`: paths that the engine makes to mount upon; neither they count, nor that a directory came to have them.
    """
    copy = f"{container_dir}/rootfs"
    whole = os.access(copy, os.F_OK)  # vfs keeps the whole tree, overlay what differs
    upper_fd = os.open(copy if whole else f"{container_dir}/upper", _DIRECTORY | os.O_CLOEXEC)
    return _between(roots, upper_fd, layers, whole, own)


def layer_changes(roots: Roots, layers: Sequence[str]) -> list[tuple[str, str]]:
    """What the topmost of these layers changes in those below it."""
    if not layers:
        return []
    upper_fd = os.open(f"{roots.graphroot}/layers/{layers[-1]}/diff", _DIRECTORY | os.O_CLOEXEC)
    return _between(roots, upper_fd, layers[:-1], False, ())


def tree_changes(tree_fd: int, base_fd: int) -> list[tuple[str, str]]:
    """What differs in a whole tree from another whole one."""
    return _sorted(_compare(tree_fd, base_fd, True), ())


def _between(
    roots: Roots, upper_fd: int, layers: Sequence[str], whole: bool, own: Collection[str]
) -> list[tuple[str, str]]:
    try:
        lower_fd = mount_layers(roots, layers)
        try:
            return _sorted(_compare(upper_fd, lower_fd, whole), own)
        finally:
            os.close(lower_fd)
    finally:
        os.close(upper_fd)


def _sorted(changes: Iterable[tuple[str, str, bool]], own: Collection[str]) -> list[tuple[str, str]]:
    found = list(changes)
    kept = {path: kind for kind, path, _ in found if path not in own or kind == DELETED}
    # From below: of a directory that only came to have such a path nothing is left to tell.
    for kind, path, touched in sorted(found, key=lambda change: change[1], reverse=True):
        beneath = f"{path}/"
        is_way = kind == CHANGED and touched and any(one.startswith(beneath) for one in own)
        if is_way and not any(other.startswith(beneath) for other in kept):
            kept.pop(path, None)
    return [(kind, path) for path, kind in sorted(kept.items(), key=lambda item: item[0].split("/"))]


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


def _compare(upper_fd: int, lower_fd: int, whole: bool) -> Iterator[tuple[str, str, bool]]:
    """(kind, path, whether it is a directory of the same owner and mode as before)."""
    pending = [("", whole)]
    recording = whole and maps_one_id()
    while pending:
        here, complete = pending.pop()
        upper, lower = _list(upper_fd, here), _list(lower_fd, here)
        upper.pop(_OPAQUE_FILE, None)
        inner = []
        for name in sorted(upper.keys() | lower.keys()):
            path = f"{here}/{name}" if here else name
            above, below = upper.get(name), lower.get(name)
            if above is None or is_whiteout(above):
                if below is not None and (above is not None or complete):
                    yield DELETED, f"/{path}", False
                continue
            is_directory = stat.S_ISDIR(above.st_mode)
            if below is None:
                yield ADDED, f"/{path}", False
            elif (
                not whole
                or _differ(above, below)
                or (recording and _recorded(upper_fd, path) != _recorded(lower_fd, path))
            ):
                yield CHANGED, f"/{path}", is_directory and _same_access(above, below)
            if is_directory:
                inner.append((path, complete or below is None or _is_opaque(upper_fd, path)))
        pending += reversed(inner)


def _same_access(above: os.stat_result, below: os.stat_result) -> bool:
    return all(getattr(above, field) == getattr(below, field) for field in ("st_mode", "st_uid", "st_gid"))


def _differ(above: os.stat_result, below: os.stat_result) -> bool:
    fields = ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_rdev")
    if any(getattr(above, field) != getattr(below, field) for field in fields):
        return True
    return stat.S_ISREG(above.st_mode) and above.st_size != below.st_size


def _recorded(root_fd: int, path: str) -> tuple[int, int] | None:
    """The owner that a file or directory is meant to have (crate.ns.recorded_owner)."""
    fd = openat2(root_fd, path, O_PATH | os.O_NOFOLLOW, _BENEATH)
    try:
        return None if stat.S_ISLNK(os.fstat(fd).st_mode) else recorded(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


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
