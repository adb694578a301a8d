"""Identical files of different layers stored once: their extents are shared, where the file system can (btrfs, xfs).

Two versions of an image mostly have the same files at the same paths. So a new layer's files are offered to the kernel
together with those of the same path and size in layers that were there: FIDEDUPERANGE compares the bytes itself, under
its locks, and shares what is equal; nothing is trusted, nothing hashed. Elsewhere a layer costs one fstatfs(2).
"""

from __future__ import annotations

import os
import stat
import struct
from fcntl import ioctl

from crate.linux import fs
from crate.storage.tree.walk import directories, open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_FIDEDUPERANGE = 0xC0189436  # linux/fs.h
_HEAD, _TARGET = struct.Struct("=QQHHI"), struct.Struct("=qQQiI")  # file_dedupe_range, file_dedupe_range_info
_STEP = 16 << 20  # what btrfs takes at most in one call
_WORTH = 16 << 10  # smaller files are not worth the calls; btrfs keeps the smallest in its tree anyway
_LAYERS_MAX = 32
_ABLE = frozenset((0x9123683E, 0x58465342))  # BTRFS_SUPER_MAGIC, XFS_SB_MAGIC: linux/magic.h, xfs_format.h


def can_share(path: str) -> bool:
    """Is this on a file system that can share extents between files?"""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return fs.fs_type(fd) in _ABLE
    finally:
        os.close(fd)


def share(tree: str, others: Sequence[str]) -> int:
    """Shares the files of a new layer with those of other layers, the nearest first; gives the bytes that were saved.

    All are trees that nobody changes. What the kernel refuses stays as it is.
    """
    saved = 0
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    root_fd = os.open(tree, flags)
    other_fds = []
    try:
        for other in others[:_LAYERS_MAX]:
            try:
                other_fds.append(os.open(other, flags))
            except FileNotFoundError:
                pass  # removed meanwhile
        for path, fd, entries in directories(root_fd):
            left = {name: found for name, found in entries if _is_worth(found)}
            for other_fd in other_fds:
                if left:
                    saved += _share_directory(fd, path, left, other_fd)
    finally:
        for fd in (root_fd, *other_fds):
            os.close(fd)
    return saved


def _is_worth(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size >= _WORTH


def _share_directory(fd: int, path: str, left: dict[str, os.stat_result], other_root_fd: int) -> int:
    """Takes the files that are shared as a whole out of `left`."""
    try:
        other_fd = fs.openat2(
            other_root_fd,
            path or ".",
            os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW,
            fs.RESOLVE_BENEATH | fs.RESOLVE_NO_SYMLINKS,
        )
    except OSError:
        return 0  # it has no such directory
    saved = 0
    try:
        for name, found in list(left.items()):
            try:
                other = os.lstat(name, dir_fd=other_fd)
            except OSError:
                continue
            if stat.S_ISREG(other.st_mode) and other.st_size == found.st_size and other.st_ino != found.st_ino:
                count = _share_file(other_fd, fd, name, found.st_size)
                saved += count
                if count == found.st_size:
                    del left[name]
    finally:
        os.close(other_fd)
    return saved


def _share_file(source_dir_fd: int, target_dir_fd: int, name: str, size: int) -> int:
    """Has one file of this name share the extents of the other; gives the bytes."""
    source_fd, target_fd = open_regular(source_dir_fd, name), open_regular(target_dir_fd, name)
    try:
        if source_fd < 0 or target_fd < 0:
            return 0
        done = 0
        while done < size:
            request = _HEAD.pack(done, min(_STEP, size - done), 1, 0, 0) + _TARGET.pack(target_fd, done, 0, 0, 0)
            answer = ioctl(source_fd, _FIDEDUPERANGE, request)
            _, _, shared, status, _ = _TARGET.unpack(answer[_HEAD.size :])
            if status or not shared:
                return done  # the bytes differ from here on, or the kernel had enough
            done += shared
        return done
    except OSError:
        return 0
    finally:
        for fd in (source_fd, target_fd):
            if fd >= 0:
                os.close(fd)
