"""Entries added to the container's own /etc/passwd and /etc/group, written beneath its root."""

from __future__ import annotations

import os
import stat

from crate.linux.fs import O_PATH
from crate.runtime.paths import open_in_root
from crate.runtime.user import names

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


def add_account(root_fd: int, entry: str, owner: tuple[int, int]) -> None:
    """Adds a line as in passwd(5), unless its id or name is there; then its group too, by the user's name.

    `owner` is root of the container, for a file that is missing. Nothing is added where the image has no /etc, or a
    thing that is no file in its place.
    """
    name, _, uid, gid = entry.split(":")[:4]
    known = names(root_fd, "etc/passwd")
    if int(uid) not in known and name not in known.values():
        _append(root_fd, "passwd", entry, owner)
    groups = names(root_fd, "etc/group")
    if int(gid) not in groups and name not in groups.values():
        _append(root_fd, "group", f"{name}:x:{gid}:", owner)


def _append(root_fd: int, file: str, line: str, owner: tuple[int, int]) -> None:
    try:
        path_fd = open_in_root(root_fd, f"etc/{file}", O_PATH)
    except FileNotFoundError:
        path_fd = _create(root_fd, file, owner)
    except OSError:
        return
    if path_fd < 0:
        return
    try:
        if not stat.S_ISREG(os.fstat(path_fd).st_mode):
            return
        fd = os.open(f"/proc/self/fd/{path_fd}", _FLAGS)
        try:
            size = os.fstat(fd).st_size
            whole = not size or os.pread(fd, 1, size - 1) == b"\n"
            os.write(fd, f"{'' if whole else chr(10)}{line}\n".encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)
    finally:
        os.close(path_fd)


def _create(root_fd: int, file: str, owner: tuple[int, int]) -> int:
    try:
        etc_fd = open_in_root(root_fd, "etc", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return -1
    try:
        fd = os.open(file, _FLAGS | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=etc_fd)
        os.fchown(fd, *owner)
        os.fchmod(fd, 0o644)
        return fd
    except OSError:
        return -1
    finally:
        os.close(etc_fd)
