"""Which files ADD unpacks: tar archives, plain or compressed by gzip, bzip2, xz or zstd, told by their content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crate.errors import HostError, ImageError
from crate.storage.inflate import Inflater
from crate.storage.tar.fields import number, signed_sum

if TYPE_CHECKING:
    from crate.build.sources.tree import Tree

_HEAD = 64 << 10  # of a compressed file: bzip2 gives nothing before a whole block of up to 900 KB
_HEAD_MAX = 1 << 20
_BLOCK = 512
_MAGICS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


def is_archive(tree: Tree, path: str) -> bool:
    """Is a regular file of a tree an archive that can be unpacked?"""
    fd = tree.open_file(path)
    try:
        return is_archive_fd(fd)
    finally:
        os.close(fd)


def is_archive_fd(fd: int) -> bool:
    """The same for a file that is open; its position does not move."""
    head = os.pread(fd, _HEAD, 0)
    if not head.startswith(_MAGICS):
        return _is_tar(head[:_BLOCK])
    plain: list[bytes] = []
    try:
        inflater = Inflater(plain.append)
        at = 0
        while sum(map(len, plain)) < _BLOCK and at < _HEAD_MAX:
            piece = os.pread(fd, _HEAD, at)
            if not piece:
                break
            inflater.write(piece)
            at += len(piece)
    except (ImageError, HostError):
        return False
    return _is_tar(b"".join(plain)[:_BLOCK])


def is_archive_head(head: bytes) -> bool:
    """Do the first bytes of a stream (512 or more, unless it is shorter) say that it is an archive, or compressed?"""
    return head.startswith(_MAGICS) or _is_tar(head[:_BLOCK])


def _is_tar(block: bytes) -> bool:
    """Is a block a tar header with a right checksum?"""
    if len(block) < _BLOCK or not any(block):
        return False  # a file of zeros may be an empty archive, but there is nothing to unpack
    field = block[148:156]
    try:
        given = number(field)
    except ImageError:
        return False
    return given in (sum(block) - sum(field) + 8 * ord(" "), signed_sum(block))
