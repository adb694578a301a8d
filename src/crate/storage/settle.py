"""Completes an unpacked layer with what only the layers below know.

A tar may name `usr/bin/tool` without `usr/bin`: the directory made for it must look as it did below, or overlay would
show its own owner, mode and time. It may go through a symbolic link of a lower layer (`lib -> usr/lib`): then it means
the link's target. It may hold a hard link to a file of a lower layer: that file is then brought up. And it may remove
what is not there: overlay would list the name of such a whiteout, so it goes.

Layers are unpacked side by side, each without its parents; this happens when they are published, from the bottom up.
"""

from __future__ import annotations

import os
import stat

from crate.errors import ImageError
from crate.linux.fs import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from crate.storage.beneath import Directories
from crate.storage.tar.fields import show
from crate.storage.tree.copy import copy_attributes, copy_node, is_opaque, is_whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.storage.tree.writer import Unpacked

_LINKS_MAX = 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


def settle(diff: str, unpacked: Unpacked, parents: Sequence[str]) -> None:
    """Completes the tree `diff`; `parents` are the trees of the layers below, the nearest first.

    Raises ImageError for a hard link to a file that no layer has.
    """
    if not unpacked.needs_settling:
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    fds = [os.open(path, flags) for path in (diff, *parents)]
    try:
        work = _Settling(fds[0], fds[1:])
        try:
            for path in sorted(unpacked.made):
                work.settle_directory(path)
            for target, name in unpacked.links:
                work.bring_up(target, name)
            for path in unpacked.whiteouts:
                work.check_whiteout(path)
        finally:
            work.close()
    except OSError as error:
        raise ImageError(f"cannot complete the layer: {os.strerror(error.errno or 0)}: {error.filename}") from None
    except RecursionError:
        raise ImageError("cannot complete the layer: its directories are too deep") from None
    finally:
        for fd in fds:
            os.close(fd)


class _Settling:
    def __init__(self, diff_fd: int, parent_fds: list[int]) -> None:
        self._diff_fd = diff_fd
        self._parent_fds = parent_fds
        self._directories = Directories(diff_fd)
        self._moved: list[tuple[bytes, bytes]] = []

    def close(self) -> None:
        self._directories.forget()

    def settle_directory(self, path: bytes) -> None:
        """Gives a directory that no entry announced the attributes it has below, or the place that a link says."""
        path = self._moved_to(path)
        found = self._lookup(path)
        if found is None:
            return
        dir_fd, name = found
        try:
            kind = os.lstat(name, dir_fd=dir_fd).st_mode
            if stat.S_ISDIR(kind):
                source_fd = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
                target_fd = self._open(path)
                try:
                    if target_fd >= 0:
                        copy_attributes(source_fd, target_fd)
                finally:
                    os.close(source_fd)
                    if target_fd >= 0:
                        os.close(target_fd)
            elif stat.S_ISLNK(kind):
                self._move(path, _resolve(path, os.readlink(name, dir_fd=dir_fd)))
        finally:
            os.close(dir_fd)

    def _move(self, path: bytes, target: bytes, links: int = 0) -> None:
        """Moves what lies in a directory to where a link of the same name below leads."""
        if links > _LINKS_MAX or target == path or (target + b"/").startswith(path + b"/"):
            raise ImageError(f"cannot unpack into {show(path)}: too many symbolic links")
        parts = target.split(b"/") if target else []
        for count in range(1, len(parts) + 1):
            step = b"/".join(parts[:count])
            found = self._lookup(step)
            if found is None:
                continue
            dir_fd, name = found
            try:
                if stat.S_ISLNK(os.lstat(name, dir_fd=dir_fd).st_mode):
                    onward = _resolve(step, os.readlink(name, dir_fd=dir_fd))
                    self._move(path, b"/".join([onward, *parts[count:]]).strip(b"/"), links + 1)
                    return
            finally:
                os.close(dir_fd)
        source_fd = self._open(path)
        if source_fd < 0:
            return  # moved with a directory above it
        try:
            self._directories.fd(target)
            for made in sorted(self._directories.made):
                self.settle_directory(made)
            self._directories.made.clear()
            self._merge(source_fd, self._directories.fd(target))
        finally:
            os.close(source_fd)
        directory, _, base = path.rpartition(b"/")
        os.rmdir(base, dir_fd=self._directories.fd(directory))
        self._directories.forget()
        self._moved.append((path, target))

    def _merge(self, source_fd: int, target_fd: int) -> None:
        for name in os.listdir(source_fd):
            try:
                os.rename(name, name, src_dir_fd=source_fd, dst_dir_fd=target_fd)
            except OSError:  # both have a directory of this name, or one has a directory where the other has a file
                inner_source = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=source_fd)
                try:
                    inner_target = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=target_fd)
                    try:
                        self._merge(inner_source, inner_target)
                    finally:
                        os.close(inner_target)
                finally:
                    os.close(inner_source)
                os.rmdir(name, dir_fd=source_fd)

    def bring_up(self, target: bytes, name: bytes) -> None:
        """Copies a file of a lower layer into this one, and links it under the name that the tar gave it."""
        target_directory, _, target_base = target.rpartition(b"/")
        directory, _, base = name.rpartition(b"/")
        to_fd = os.dup(self._directories.fd(target_directory))
        try:
            if not _is_there(to_fd, target_base):
                found = self._lookup(target)
                if found is None:
                    raise ImageError(f"cannot unpack {show(name)}: its hard link target {show(target)} is missing")
                dir_fd, found_name = found
                try:
                    kind = os.lstat(found_name, dir_fd=dir_fd)
                    if stat.S_ISDIR(kind.st_mode):
                        raise ImageError(f"cannot unpack {show(name)}: a hard link to a directory")
                    copy_node(dir_fd, os.fsdecode(found_name), to_fd, os.fsdecode(target_base), kind)
                finally:
                    os.close(dir_fd)
            at_fd = self._directories.fd(directory)
            if not _is_there(at_fd, base):
                os.link(target_base, base, src_dir_fd=to_fd, dst_dir_fd=at_fd, follow_symlinks=False)
        finally:
            os.close(to_fd)

    def check_whiteout(self, path: bytes) -> None:
        """Removes a whiteout that hides nothing, and one in a directory that is not joined with those below."""
        path = self._moved_to(path)
        directory, _, base = path.rpartition(b"/")
        dir_fd = self._open(directory)
        if dir_fd < 0:
            return
        try:
            if _is_there(dir_fd, base) and is_whiteout(os.lstat(base, dir_fd=dir_fd)) and not self._hides(path):
                before = os.fstat(dir_fd)
                os.unlink(base, dir_fd=dir_fd)
                os.utime(dir_fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        finally:
            os.close(dir_fd)

    def _hides(self, path: bytes) -> bool:
        parts = path.split(b"/")
        for count in range(1, len(parts)):
            fd = self._open(b"/".join(parts[:count]))
            try:
                if is_opaque(fd):
                    return False
            finally:
                os.close(fd)
        found = self._lookup(path)
        if found is None:
            return False
        os.close(found[0])
        return True

    def _moved_to(self, path: bytes) -> bytes:
        for before, after in self._moved:
            if path.startswith(before + b"/"):
                path = (after + path[len(before) :]).strip(b"/")
        return path

    def _lookup(self, path: bytes) -> tuple[int, bytes] | None:
        """Where the layers below have `path`: a descriptor (the caller's) of its directory, and its name there."""
        parts = path.split(b"/") if path else []
        for layer_fd in self._parent_fds:
            try:
                found = _lookup_in(layer_fd, parts)
            except _Hidden:
                return None
            if found:
                return found
        return None

    def _open(self, path: bytes) -> int:
        """A descriptor of a directory of this layer, -1 where it has none."""
        try:
            return openat2(self._diff_fd, path or b".", _DIRECTORY, _BENEATH)
        except OSError:
            return -1


class _Hidden(Exception):
    """A layer has the name no more, so what lower layers have does not count."""


def _lookup_in(layer_fd: int, parts: list[bytes]) -> tuple[int, bytes] | None:
    """As `_lookup`, in one layer; raises `_Hidden` where lower layers are not to be asked."""
    fd = os.dup(layer_fd)
    try:
        opaque = False
        for part in parts[:-1]:
            found = _find(fd, part, opaque)
            if found is None:
                os.close(fd)
                return None
            if not stat.S_ISDIR(found.st_mode):
                raise _Hidden
            following = os.open(part, _DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = following
            opaque = opaque or is_opaque(fd)
        name = parts[-1] if parts else b"."
        if _find(fd, name, opaque) is None:
            os.close(fd)
            return None
        return fd, name
    except BaseException:
        os.close(fd)
        raise


def _find(dir_fd: int, name: bytes, opaque: bool) -> os.stat_result | None:
    try:
        found = os.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        if opaque:
            raise _Hidden from None
        return None
    if is_whiteout(found):
        raise _Hidden
    return found


def _resolve(path: bytes, target: bytes) -> bytes:
    """The path that a symbolic link at `path` leads to, beneath the root and by its letters."""
    parts = [] if target.startswith(b"/") else path.split(b"/")[:-1]
    for part in target.split(b"/"):
        if part == b"..":
            parts = parts[:-1]
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _is_there(dir_fd: int, name: bytes) -> bool:
    try:
        os.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True
