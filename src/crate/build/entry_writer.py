"""Writes the entries of a selection beneath the root of a layer, whatever the image has at their places.

Directories are found as the image's own programs would, links followed as far as the root; the last part of a path is
never followed. Small files go through memory: a read and a write cost less than what shares or skips holes.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from crate.build.copying import ARCHIVE, DEVICE, DIRECTORY, FIFO, FILE, LINK, SYMLINK
from crate.build.language.dockerfile_error import Fault
from crate.errors import HostError
from crate.ns.recorded_owner import record
from crate.ns.single_id import maps_one_id
from crate.runtime.paths import make_directory, open_in_root
from crate.storage.durable import write_all
from crate.storage.inflate import inflated
from crate.storage.tar.fields import show
from crate.storage.tar.reader import TarReader
from crate.storage.tree.copy import copy_content
from crate.storage.tree.writer import TreeWriter

if TYPE_CHECKING:
    from crate.build.copying import Entry, Selection
    from crate.build.sources.tree import Tree

_SMALL = 1 << 17
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


class EntryWriter:
    """Writes from one tree beneath `root_fd`. `owner`: whose the directories are that no entry tells of."""

    def __init__(self, tree: Tree, root_fd: int, *, rootless: bool, owner: tuple[int, int] | None = None) -> None:
        self._tree = tree
        self._root_fd = root_fd
        self._rootless = rootless
        self._owner = owner
        self._own = (os.geteuid(), os.getegid())
        self._records = rootless and maps_one_id()
        self._parent, self._parent_fd = "", -1
        self._source, self._source_fd = "", -1

    def write(self, selection: Selection) -> None:
        """Raises Fault for a place that cannot be written, ImageError for a bad archive, HostError."""
        umask = os.umask(0)
        try:
            os.close(self._make(selection.directory))
            late: list[Entry] = []
            for entry in selection.entries:
                self._write(entry)
                if entry.kind == DIRECTORY:
                    late.append(entry)
            for entry in reversed(late):  # what is made in a directory changes its time
                fd = open_in_root(self._root_fd, entry.path or ".", _DIRECTORY)
                os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
                os.close(fd)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HostError(
                    "cannot copy into the image: no space left", "free space, or give another --root"
                ) from None
            if error.errno == errno.EINVAL and self._owner:
                raise Fault(
                    "cannot give files to {}:{}: the ids are not mapped into the user namespace".format(*self._owner)
                ) from None
            raise
        finally:
            os.umask(umask)
            for fd in (self._parent_fd, self._source_fd):
                if fd >= 0:
                    os.close(fd)

    def _make(self, path: str) -> int:
        try:
            return make_directory(self._root_fd, path or ".", owner=self._owner)
        except NotADirectoryError:
            raise Fault(f"cannot copy to /{path}: there is a file in its way", path) from None
        except FileExistsError:
            raise Fault(f"cannot copy to /{path}: there is a file in its way", path) from None

    def _directory_of(self, path: str) -> int:
        """A descriptor of the directory that an entry goes to; that of the last one is kept."""
        parent = path.rpartition("/")[0]
        if self._parent_fd < 0 or parent != self._parent:
            if self._parent_fd >= 0:
                os.close(self._parent_fd)
                self._parent_fd = -1
            made = self._make(parent)
            self._parent, self._parent_fd = parent, made
        return self._parent_fd

    def _write(self, entry: Entry) -> None:
        if entry.kind == ARCHIVE:
            self._unpack(entry)
            return
        if entry.kind == DIRECTORY:
            self._make_directory(entry)
            return
        dir_fd, name = self._directory_of(entry.path), entry.path.rpartition("/")[2]
        for attempt in (1, 2):
            try:
                self._create(entry, dir_fd, name)
                return
            except FileExistsError:
                if attempt == 2:
                    raise
                if stat.S_ISDIR(os.lstat(name, dir_fd=dir_fd).st_mode):
                    raise Fault(f"cannot copy to /{entry.path}: there is a directory", entry.path) from None
                os.unlink(name, dir_fd=dir_fd)

    def _create(self, entry: Entry, dir_fd: int, name: str) -> None:
        if entry.kind == FILE:
            self._create_file(entry, dir_fd, name)
            return
        if entry.kind == LINK:
            other, _, other_name = entry.target.rpartition("/")
            other_fd = open_in_root(self._root_fd, other or ".", _DIRECTORY)
            try:
                os.link(other_name, name, src_dir_fd=other_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
            finally:
                os.close(other_fd)
            return
        if entry.kind == SYMLINK:
            os.symlink(entry.target, name, dir_fd=dir_fd)
        elif entry.kind == FIFO:
            os.mkfifo(name, stat.S_IMODE(entry.mode), dir_fd=dir_fd)
        elif entry.kind == DEVICE:
            try:
                os.mknod(name, entry.mode, os.makedev(*entry.device), dir_fd=dir_fd)
            except PermissionError:
                return  # an ordinary user makes none
        owner = self._own if self._records else (entry.uid, entry.gid)
        os.chown(name, *owner, dir_fd=dir_fd, follow_symlinks=False)
        times = (entry.mtime_ns, entry.mtime_ns)
        os.utime(name, ns=times, dir_fd=dir_fd, follow_symlinks=False)

    def _create_file(self, entry: Entry, dir_fd: int, name: str) -> None:
        source_fd = -1 if entry.data is not None else self._tree.open_file(entry.source)
        try:
            fd = os.open(name, _CREATE, 0o600, dir_fd=dir_fd)
            try:
                if entry.data is not None:
                    write_all(fd, entry.data)
                elif entry.size > _SMALL:
                    copy_content(source_fd, fd, entry.size)
                elif data := os.read(source_fd, _SMALL):
                    write_all(fd, data)
                self._settle(fd, entry)
                if entry.data is None:
                    self._check(source_fd, entry)
                    os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(fd)
        finally:
            if source_fd >= 0:
                os.close(source_fd)

    def _check(self, source_fd: int, entry: Entry) -> None:
        """The cache would keep other content under the digest of what was there before."""
        found = os.fstat(source_fd)
        if (found.st_size, found.st_mtime_ns) != (entry.size, entry.mtime_ns):
            name = show(os.fsencode(entry.source))
            raise HostError(f"{name} of {self._tree.label} changed while it was copied", "build again")

    def _settle(self, fd: int, entry: Entry) -> None:
        """Owner, mode and attributes of an open file or directory."""
        if not self._records and (entry.kind == DIRECTORY or (entry.uid, entry.gid) != self._own):
            os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, stat.S_IMODE(entry.mode))
        if self._records:
            try:
                record(fd, entry.uid, entry.gid, os.fstat(fd).st_mode)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EPERM):
                    raise
        for key, value in entry.xattrs.items():
            try:
                os.setxattr(fd, key, value)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL):
                    raise

    def _make_directory(self, entry: Entry) -> None:
        dir_fd, name = self._directory_of(entry.path), entry.path.rpartition("/")[2]
        try:
            os.mkdir(name, 0o755, dir_fd=dir_fd)
        except FileExistsError:
            pass
        try:
            fd = open_in_root(self._root_fd, entry.path, _DIRECTORY)
        except NotADirectoryError:
            raise Fault(f"cannot copy to /{entry.path}: there is a file in its way", entry.path) from None
        try:
            self._settle(fd, entry)
        finally:
            os.close(fd)

    def _unpack(self, entry: Entry) -> None:
        os.close(self._make(entry.path))
        target_fd = open_in_root(self._root_fd, entry.path or ".", _DIRECTORY)
        source_fd = self._tree.open_file(entry.source)
        try:
            # The owners are the archive's, whatever --chown says, unless there is but one.
            owner = self._own if self._records else None
            writer = TreeWriter(target_fd, whiteouts=False, rootless=self._rootless, owner=owner, records=self._records)
            writer.unpack(TarReader(inflated(source_fd)))
            self._check(source_fd, entry)
        finally:
            os.close(source_fd)
            os.close(target_fd)
