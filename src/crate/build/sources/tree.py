"""A tree that COPY, ADD and bind mounts take files from: a build context, a stage, an image.

Everything is reached beneath one descriptor: links are followed as if the tree's root were `/`, so none leads out, and
a file is opened only once it is known to be a regular one. What an ignore file leaves out is not there.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from crate.errors import ImageError
from crate.linux import fs
from crate.storage.tar.fields import show
from crate.storage.tree.walk import xattrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.build.sources.ignore import Matched, Patterns

_IN_ROOT = fs.RESOLVE_IN_ROOT | fs.RESOLVE_NO_MAGICLINKS
_BENEATH = fs.RESOLVE_BENEATH | fs.RESOLVE_NO_SYMLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_ABSENT = (*_GONE, errno.ENAMETOOLONG)


class Found:
    """One thing in a tree: `path` from the root, free of links, "" for the root; `status` not following a link."""

    __slots__ = ("name", "path", "status")

    def __init__(self, path: str, name: str, status: os.stat_result) -> None:
        self.path = path
        self.name = name
        self.status = status

    @property
    def is_directory(self) -> bool:
        """Is it one?"""
        return stat.S_ISDIR(self.status.st_mode)


class Tree:
    """A directory by its descriptor, which the caller keeps open and closes.

    `label` is how messages call it. `resets_owner`: whatever comes from it belongs to root, as for build contexts.
    `ignore` are the patterns of what is not there.
    """

    def __init__(self, root_fd: int, label: str, *, resets_owner: bool = False, ignore: Patterns | None = None) -> None:
        self.root_fd = root_fd
        self.label = label
        self.resets_owner = resets_owner
        self._ignore: Patterns | None = None
        if ignore is not None:
            self.ignore(ignore)
        self._last = ("", -1)  # the directory that was asked for last, and its descriptor

    def ignore(self, patterns: Patterns) -> None:
        """From now on nothing is there that these leave out."""
        self._ignore = patterns if patterns else None

    def find(self, path: str) -> Found | None:
        """What a path leads to, links followed also at its end; None where nothing is or it is left out."""
        for _ in range(16):
            try:
                fd = fs.openat2(self.root_fd, path.lstrip("/") or ".", fs.O_PATH, _IN_ROOT)
                break
            except OSError as error:
                if error.errno in _ABSENT:
                    return None
                if error.errno != errno.EAGAIN:
                    raise self._vanished(path, error) from None
        else:
            return None
        try:
            real = self._path_of(fd)
            if real is None:
                return None
            found = Found(real, real.rpartition("/")[2], os.fstat(fd))
        finally:
            os.close(fd)
        return found if self._is_there(found) else None

    def _is_there(self, found: Found) -> bool:
        """Is a thing not left out? A directory is there that is left out, but for something in it."""
        ignore = self._ignore
        if not ignore or not found.path or not ignore.leaves_out(found.path):
            return True
        return ignore.has_exceptions and found.is_directory and next(self.walk(found.path), None) is not None

    def like(self, root_fd: int) -> Tree:
        """Another tree with the same label and rules."""
        return Tree(root_fd, self.label, resets_owner=self.resets_owner, ignore=self._ignore)

    @property
    def has_ignored(self) -> bool:
        """May anything beneath the descriptor be left out?"""
        return self._ignore is not None

    def hides(self, path: str) -> bool:
        """Is something at a path that only the ignore file leaves out?"""
        if self._ignore is None:
            return False
        return Tree(self.root_fd, self.label).find(path) is not None

    def _path_of(self, fd: int) -> str | None:
        """Where an open thing lies beneath the root; None when it was moved away meanwhile."""
        root, here = (os.readlink(f"/proc/self/fd/{one}") for one in (self.root_fd, fd))
        if here == root:
            return ""
        base = root.rstrip("/") + "/"
        return here[len(base) :] if here.startswith(base) else None

    def entries(self, path: str) -> list[Found]:
        """What a directory holds, sorted by name, without what is left out; empty for what is no directory."""
        return [one for one in self._read_directory(path) if self._is_there(one)]

    def walk(self, start: str = "") -> Iterator[Found]:
        """All that lies beneath a directory, parents before what they hold, each directory sorted by name.

        A directory that is left out comes all the same where something in it is taken back.
        """
        ignore = self._ignore
        above: Matched | None = None
        if ignore and start:
            parts = start.split("/")
            for count in range(1, len(parts) + 1):
                _, above = ignore.match("/".join(parts[:count]), above)
        # A level each: what is still to come, what matched its directory, that directory if it was not told of yet.
        levels: list[tuple[Iterator[Found], Matched | None]] = [(iter(self._read_directory(start)), above)]
        untold: list[Found | None] = [None]
        while levels:
            one = next(levels[-1][0], None)
            if one is None:
                levels.pop()
                untold.pop()
                continue
            is_out, matched = ignore.match(one.path, levels[-1][1]) if ignore else (False, None)
            if not is_out:
                for number, directory in enumerate(untold):
                    if directory is not None:
                        untold[number] = None
                        yield directory
                yield one
            elif not (one.is_directory and ignore and ignore.has_exceptions):
                continue
            if one.is_directory:
                levels.append((iter(self._read_directory(one.path)), matched))
                untold.append(one if is_out else None)

    def _read_directory(self, path: str) -> list[Found]:
        """What a directory holds, sorted; empty when it is gone. Its descriptor is closed again: trees may be deep."""
        try:
            fd = self.open_directory(path)
        except OSError as error:
            if error.errno in _GONE:
                return []
            raise self._vanished(path, error) from None
        try:
            return _entries(fd, path)
        finally:
            os.close(fd)

    def open_directory(self, path: str) -> int:
        """A descriptor of a directory by its path free of links (`Found.path`). OSError when it is none."""
        return fs.openat2(self.root_fd, path or ".", _DIRECTORY, _BENEATH)

    def open_file(self, path: str) -> int:
        """A descriptor of a regular file by its path free of links. Raises ImageError when it is none any more."""
        try:
            path_fd = fs.openat2(self.root_fd, path, fs.O_PATH | os.O_NOFOLLOW, _BENEATH)
        except OSError as error:
            raise self._vanished(path, error) from None
        try:
            if not stat.S_ISREG(os.fstat(path_fd).st_mode):
                raise self._vanished(path, OSError(errno.ESTALE, "it is no regular file"))
            return os.open(f"/proc/self/fd/{path_fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._vanished(path, error) from None
        finally:
            os.close(path_fd)

    def read_link(self, path: str) -> str:
        """The target of a symbolic link by its path free of links."""
        directory, _, name = path.rpartition("/")
        dir_fd = self.open_directory(directory)
        try:
            return os.readlink(name, dir_fd=dir_fd)
        except OSError as error:
            raise self._vanished(path, error) from None
        finally:
            os.close(dir_fd)

    def xattrs(self, found: Found) -> dict[bytes, bytes]:
        """The extended attributes of a file or directory that travel with it."""
        directory, _, name = found.path.rpartition("/")
        if self._last[0] != directory or self._last[1] < 0:
            self.close()
            self._last = (directory, self.open_directory(directory))
        try:
            # Most files have none, and this is told without opening them.
            if not os.listxattr(f"/proc/self/fd/{self._last[1]}/{name}", follow_symlinks=False):
                return {}
        except OSError:
            return {}
        fd = self.open_directory(found.path) if found.is_directory else self.open_file(found.path)
        try:
            return xattrs(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Closes what is kept open for `xattrs`; not the root."""
        if self._last[1] >= 0:
            os.close(self._last[1])
        self._last = ("", -1)

    def _vanished(self, path: str, error: OSError) -> ImageError:
        reason = error.strerror or os.strerror(error.errno or 0)
        return ImageError(f"cannot read {show(os.fsencode(path))} of {self.label}: {reason}")


def _entries(fd: int, path: str) -> list[Found]:
    """What a directory holds but for sockets, which no image can hold."""
    prefix = f"{path}/" if path else ""
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISSOCK(status.st_mode):
                found.append(Found(prefix + entry.name, entry.name, status))
    found.sort(key=lambda one: one.name)
    return found
