"""Digests of files, remembered by what the kernel says of them: an unchanged context is not read a second time.

A file is known by device, inode, size and the time of its last change (ctime, which no program can set). One that
changed less than two seconds before it was read is not remembered: it could change again within the same tick.
"""

from __future__ import annotations

import os
import time
from struct import Struct
from typing import TYPE_CHECKING

from crate.oci import digest as digests

if TYPE_CHECKING:
    from crate.build.sources.tree import Tree

_KEY = Struct("=QQQq")
_DIGEST_SIZE = 32
_RECORD = _KEY.size + _DIGEST_SIZE
_MAGIC = b"crate file digests 1\n"
_RACE_NS = 2_000_000_000
_PIECE = 1 << 20
_RECORDS_MAX = 1 << 20  # 64 MiB


class FileDigests:
    """The digests in the file `path` ("" keeps none); `save` writes what was new, atomically. For one thread."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._known: dict[bytes, bytes] = {}
        self._used: dict[bytes, bytes] = {}
        self._is_changed = False
        self._load()

    def _load(self) -> None:
        if not self._path:
            return
        try:
            with open(self._path, "rb") as file:
                content = file.read(len(_MAGIC) + _RECORDS_MAX * _RECORD)
        except OSError:
            return
        if not content.startswith(_MAGIC) or (len(content) - len(_MAGIC)) % _RECORD:
            return
        for at in range(len(_MAGIC), len(content), _RECORD):
            self._known[content[at : at + _KEY.size]] = content[at + _KEY.size : at + _RECORD]

    def of(self, tree: Tree, path: str, status: os.stat_result) -> bytes:
        """The SHA-256 (32 bytes) of a regular file's content."""
        key = _key(status)
        found = self._used.get(key) or self._known.get(key)
        if found is None:
            fd = tree.open_file(path)
            try:
                found, status = _read(fd)
            finally:
                os.close(fd)
            if time.time_ns() - status.st_ctime_ns < _RACE_NS:
                return found
            key = _key(status)
            self._is_changed = True
        self._used[key] = found
        return found

    def save(self) -> None:
        """Keeps what was used; a failure only costs time later."""
        if not self._path or not self._is_changed:
            return
        # What was used goes last, and the oldest records are dropped first.
        kept = {**{key: value for key, value in self._known.items() if key not in self._used}, **self._used}
        records = list(kept.items())[-_RECORDS_MAX:]
        temporary = f"{self._path}.{os.getpid()}"
        try:
            with open(temporary, "wb") as file:
                file.write(_MAGIC + b"".join(key + value for key, value in records))
            os.rename(temporary, self._path)
        except OSError:
            try:
                os.unlink(temporary)
            except OSError:
                pass


def _key(status: os.stat_result) -> bytes:
    return _KEY.pack(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)


def _read(fd: int) -> tuple[bytes, os.stat_result]:
    """The digest, and the status as it was before the reading: a change meanwhile shows in a later ctime."""
    status = os.fstat(fd)
    hasher = digests.hasher()
    while data := os.read(fd, _PIECE):
        hasher.update(data)
    result: bytes = hasher.digest()
    return result, status
