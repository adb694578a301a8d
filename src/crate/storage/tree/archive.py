"""Trees as tar streams, written as they are read; with the whiteouts of layers where the tree is one."""

from __future__ import annotations

import os
import stat

from crate.errors import ImageError
from crate.ns.recorded_owner import RAW_NAME, parse
from crate.ns.single_id import maps_one_id
from crate.storage.tar import writer as tar_writer
from crate.storage.tar.fields import show
from crate.storage.tree.copy import is_opaque, is_whiteout
from crate.storage.tree.walk import directories, link_target, open_regular, xattrs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.ns.idmap import IdShift

_CHUNK = 1 << 20
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"  # image-spec layer.md, "Whiteouts"
_MADE_UP_MAX = 16 << 20  # of a file whose size the kernel does not tell (/proc)


class TreeArchive:
    """One archive: `write` takes its bytes. Add trees and files, then `finish`."""

    def __init__(
        self,
        write: Callable[[bytes | memoryview], object],
        *,
        mounts: bool = False,
        whiteouts: bool = False,
        shift: IdShift | None = None,
    ) -> None:
        """`mounts`: as in crate.storage.tree.walk. `whiteouts`: overlay's marks become those of image layers; a name
        that looks like one raises ImageError then. `shift` gives the entries other owners. Where there is a single id
        files have those that are recorded (crate.ns.recorded_owner)."""
        self._shift = shift
        self._reads_records = maps_one_id()
        self._write = write
        self._whiteouts = whiteouts
        self._mounts = mounts
        self._pending: list[bytes] = []
        self._size = 0
        self._links: dict[tuple[int, int], tuple[bytes, tuple[int, int] | None]] = {}  # first name, its owner
        self.entries = 0  # so far
        self.file_bytes = 0  # of regular files so far

    def add_tree(self, root_fd: int, path: str, name: str, *, itself: bool = False) -> None:
        """The directory `path` beneath `root_fd` with all in it, as `name` and beneath it.

        "" has an entry, `./`, for its owner and mode only where `itself` says so.
        """
        for here, fd, entries in directories(root_fd, path, mounts=self._mounts):
            within = here[len(path) :].strip("/")
            shown = "/".join(part for part in (name, within) if part)
            if shown or itself:
                self._check_name(shown)
                attributes = xattrs(fd)
                owner = self._take_record(attributes)
                self._put(self._header(os.fsencode(shown or "."), os.fstat(fd), xattrs=attributes, owner=owner))
                self.entries += 1
                if self._whiteouts and is_opaque(fd):
                    self._put(tar_writer.plain_file(os.fsencode(f"{shown}/{_OPAQUE}")))
            for entry, found in entries:
                if not stat.S_ISDIR(found.st_mode):
                    self.add_file(fd, entry, found, f"{shown}/{entry}" if shown else entry)

    def add_file(self, dir_fd: int, entry: str, found: os.stat_result, name: str) -> None:
        """What is no directory, as `name`. Sockets are left out, and what is gone by now."""
        raw = os.fsencode(name)
        if stat.S_ISSOCK(found.st_mode):
            return
        if self._whiteouts and is_whiteout(found):
            directory, slash, base = name.rpartition("/")
            self._put(tar_writer.plain_file(os.fsencode(f"{directory}{slash}{_WHITEOUT}{base}")))
            return
        self._check_name(name)
        self.entries += 1
        if found.st_nlink > 1:
            key = (found.st_dev, found.st_ino)
            first = self._links.get(key)
            if first:
                self._put(self._header(raw, found, target=first[0], is_link=True, owner=first[1]))
                return
            self._links[key] = raw, None
        if stat.S_ISREG(found.st_mode):
            fd = open_regular(dir_fd, entry)
            if fd < 0:
                self._links.pop((found.st_dev, found.st_ino), None)
                return
            try:
                owner = self.add_open(fd, raw)
            finally:
                os.close(fd)
            if owner and found.st_nlink > 1:
                self._links[found.st_dev, found.st_ino] = raw, owner
            return
        target = b""
        if stat.S_ISLNK(found.st_mode):
            leads = link_target(dir_fd, entry)
            if leads is None:
                return
            target = os.fsencode(leads)
        self._put(self._header(raw, found, target=target))

    def _check_name(self, name: str) -> None:
        """A layer can hold no such file: whoever unpacks it would remove another one instead."""
        if self._whiteouts and name[name.rfind("/") + 1 :].startswith(_WHITEOUT):
            shown = show(os.fsencode(name))
            raise ImageError(f"cannot put /{shown} into a layer: a name that begins with .wh. stands for a removal")

    def add_open(self, fd: int, name: bytes) -> tuple[int, int] | None:
        """A regular file that is open; gives the owner that is recorded of it. As many bytes as it has now: it may
        grow, or shrink, meanwhile."""
        found = os.fstat(fd)
        if not found.st_size and os.fstatvfs(fd).f_blocks == 0:
            self._add_made_up(fd, name, found)
            return None
        attributes = xattrs(fd)
        owner = self._take_record(attributes)
        self._put(self._header(name, found, xattrs=attributes, owner=owner))
        self.file_bytes += found.st_size
        self._put_body(fd, found.st_size)
        return owner

    def _take_record(self, attributes: dict[bytes, bytes]) -> tuple[int, int] | None:
        """Takes the recorded owner out of a file's attributes."""
        value = attributes.pop(RAW_NAME, None) if self._reads_records else None
        return None if value is None else parse(value)

    def _header(self, name: bytes, found: os.stat_result, **more: Any) -> bytes:
        if self._shift:
            more["owner"] = self._shift.owner(found.st_uid, found.st_gid)
            attributes = more.get("xattrs")
            if attributes and b"security.capability" in attributes:
                attributes[b"security.capability"] = self._shift.capability(attributes[b"security.capability"])
        return tar_writer.header(name, found, **more)

    def _put_body(self, fd: int, size: int) -> None:
        left = size
        while left:
            piece = os.read(fd, min(_CHUNK, left)) or bytes(min(_CHUNK, left))
            self._put(piece)
            left -= len(piece)
        self._put(tar_writer.padding(size))

    def add_bytes(self, name: str, body: bytes) -> None:
        """A file of root's that is only in memory."""
        self._put(tar_writer.plain_file(os.fsencode(name), len(body), 0o644))
        self._put(body + tar_writer.padding(len(body)))

    def add_plain(self, name: str, fd: int) -> None:
        """A file as root's, without its time and attributes: of equal files come equal archives."""
        size = os.fstat(fd).st_size
        self._put(tar_writer.plain_file(os.fsencode(name), size, 0o644))
        self._put_body(fd, size)

    def _add_made_up(self, fd: int, name: bytes, found: os.stat_result) -> None:
        body = b""
        while len(body) < _MADE_UP_MAX and (piece := os.read(fd, _CHUNK)):
            body += piece
        self._put(self._header(name, found, size=len(body)))
        self._put(body + tar_writer.padding(len(body)))

    def finish(self) -> None:
        """Writes the end of the archive, and what was held back."""
        self._put(tar_writer.END)
        self._flush()

    def _put(self, data: bytes) -> None:
        """Small pieces together: a system call for each would cost more than copying them."""
        if len(data) >= _CHUNK // 2:
            self._flush()
            self._write(data)
            return
        self._pending.append(data)
        self._size += len(data)
        if self._size >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._write(b"".join(self._pending))
            self._pending, self._size = [], 0
