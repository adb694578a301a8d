"""Directories beneath a root, found and made by descriptors: names from an archive cannot lead outside."""

from __future__ import annotations

import errno
import os

from crate.errors import ImageError
from crate.linux.fs import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from crate.storage.tar.fields import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_OPEN = os.O_RDONLY | os.O_DIRECTORY
_OPEN_ONE = _OPEN | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS_MAX = 40  # as the kernel's own limit
_CACHED_MAX = 64


def clean(name: bytes) -> bytes:
    """A member's name as a path beneath the root, without leading and double slashes and dots; b"" is the root itself.

    Raises ImageError when `..` leads above the root.
    """
    path = name.strip(b"/")
    if path.startswith(b"./"):
        path = path[2:]
    if b"/." not in path and b"//" not in path and not path.startswith(b"."):
        return path
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            if not parts:
                raise ImageError(f"cannot unpack {show(name)}: the name leads out of the root directory")
            parts.pop()
        elif part and part != b".":
            parts.append(part)
    return b"/".join(parts)


class Directories:
    """The directories of one tree: each is opened once while it is in use, and made when no entry announced it.

    Symbolic links within the tree are followed as if its root were `/`. `made` holds the paths (free of links) of the
    directories that had to be made: nothing is known of their owner, mode and time. `replace` may make room, and a
    directory, where something else is in the way; it says whether it did.
    """

    def __init__(self, root_fd: int, replace: Callable[[int, bytes], bool] | None = None) -> None:
        self.root_fd = root_fd
        self._replace = replace
        self.made: set[bytes] = set()
        self._open: dict[bytes, int] = {}

    def fd(self, path: bytes) -> int:
        """A descriptor of a directory by its clean path; open until `forget`, or until 64 others were asked for."""
        if not path:
            return self.root_fd
        fd = self._open.get(path)
        if fd is not None:
            return fd
        try:
            fd = openat2(self.root_fd, path, _OPEN, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO):
                raise
            fd = self._make(path)
        self.keep(path, fd)
        return fd

    def keep(self, path: bytes, fd: int) -> None:
        """Takes over the descriptor of a directory just made: entries beneath it will follow."""
        known = self._open.pop(path, None)
        if known is not None:
            os.close(known)
        elif len(self._open) >= _CACHED_MAX:
            os.close(self._open.pop(next(iter(self._open))))
        self._open[path] = fd

    def existing(self, path: bytes) -> int | None:
        """A descriptor, the caller's to close, of a directory that is there and is no link; None where none is."""
        try:
            return openat2(self.root_fd, path or b".", _OPEN | os.O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        except OSError:
            return None

    def place(self, dir_fd: int) -> bytes:
        """Where a directory lies beneath the root, free of links, with a slash at its end; b"" for the root."""
        root, here = (os.readlink(b"/proc/self/fd/%d" % fd) for fd in (self.root_fd, dir_fd))
        return (here[len(root) :].strip(b"/") + b"/").lstrip(b"/")

    def forget(self) -> None:
        """Closes what is open: to be called when a directory or a symbolic link was replaced, and at the end."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def _make(self, path: bytes) -> int:
        """Opens the directory step by step, making what is missing, and links' missing targets too."""
        todo = path.split(b"/")[::-1]
        at: list[bytes] = []
        links = 0
        fd = os.dup(self.root_fd)
        try:
            while todo:
                part = todo.pop()
                if part in (b"", b"."):
                    continue
                if part == b"..":
                    at = at[:-1]
                    following = openat2(self.root_fd, b"/".join(at) or b".", _OPEN, RESOLVE_IN_ROOT)
                else:
                    try:
                        following = self._open_one(fd, part, at)
                    except NotADirectoryError:
                        links += 1
                        target = _link_target(fd, part, path, links)
                        todo += target.split(b"/")[::-1]
                        if not target.startswith(b"/"):
                            continue
                        at = []
                        following = os.dup(self.root_fd)
                    else:
                        at.append(part)
                os.close(fd)
                fd = following
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _open_one(self, dir_fd: int, name: bytes, at: list[bytes]) -> int:
        try:
            return os.open(name, _OPEN_ONE, dir_fd=dir_fd)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=dir_fd)
            self.made.add(b"/".join([*at, name]))
            return os.open(name, _OPEN_ONE, dir_fd=dir_fd)
        except NotADirectoryError:
            if self._replace and self._replace(dir_fd, name):
                return os.open(name, _OPEN_ONE, dir_fd=dir_fd)
            raise


def _link_target(dir_fd: int, name: bytes, path: bytes, links: int) -> bytes:
    try:
        target = os.readlink(name, dir_fd=dir_fd)
    except OSError:
        raise ImageError(f"cannot unpack into {show(path)}: {show(name)} is not a directory") from None
    if links > _LINKS_MAX:
        raise ImageError(f"cannot unpack into {show(path)}: too many symbolic links")
    return target
