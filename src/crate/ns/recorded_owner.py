"""Whose a file is meant to be, where nobody but root can own one: an attribute beside it (decision 200).

Its name and form are those of containers/storage and fuse-overlayfs: `33:44:0644:file`, `0:42:2775:dir`. Here the two
ids count alone: the mode is the file's own, which may have changed since.
"""

from __future__ import annotations

import os
import stat

from crate.ns.single_id import maps_one_id

NAME = "user.containers.override_stat"
RAW_NAME = NAME.encode()
_ID_MAX = (1 << 32) - 2
_TEXT_MAX = 64


def text_of(uid: int, gid: int, mode: int) -> bytes:
    """The attribute's value for a regular file or directory of this st_mode."""
    kind = "dir" if stat.S_ISDIR(mode) else "file"
    return f"{uid}:{gid}:{stat.S_IMODE(mode):04o}:{kind}".encode()


def parse(value: bytes) -> tuple[int, int] | None:
    """The uid and gid that a value tells; None where it tells none: containers write such attributes as they like."""
    words = value.split(b":", 2)
    if len(value) > _TEXT_MAX or len(words) < 3 or not (words[0].isdigit() and words[1].isdigit()):
        return None
    owner = int(words[0]), int(words[1])
    return owner if max(owner) <= _ID_MAX else None


def recorded(file: int | str) -> tuple[int, int] | None:
    """What is recorded of a file: its descriptor, or a path that leads to no symbolic link."""
    try:
        return parse(os.getxattr(file, NAME))
    except OSError:
        return None


def record(file: int | str, uid: int, gid: int, mode: int) -> None:
    """Records the owner of a regular file or directory; for root's own nothing is kept. OSError."""
    if (uid, gid) != (0, 0):
        os.setxattr(file, NAME, text_of(uid, gid, mode))
        return
    try:
        os.removexattr(file, NAME)
    except OSError:
        pass  # there was none, or the file system has no attributes


def give(fd: int, uid: int, gid: int) -> None:
    """fchown(2) of a regular file or directory; where there is a single id, the record of it. OSError."""
    if not maps_one_id():
        os.fchown(fd, uid, gid)
        return
    os.fchown(fd, 0, 0)
    try:
        record(fd, uid, gid, os.fstat(fd).st_mode)
    except OSError:
        pass  # a file system without attributes: root's, then
