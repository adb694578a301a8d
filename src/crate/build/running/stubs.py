"""What a step's root gets only to mount upon it, and how it goes again, so that no layer has it."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crate.linux.fs import O_PATH, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from crate.runtime.paths import open_in_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Stubs:
    """The files and directories that are made in a root only to mount upon: what is missing of these paths now."""

    def __init__(self, root_fd: int, destinations: Sequence[str]) -> None:
        self._missing: list[str] = []
        self._parents: dict[str, os.stat_result] = {}  # directories that are there, in which something is missing
        for destination in sorted(destinations):
            self._look(root_fd, [part for part in destination.split("/") if part not in ("", ".")])

    def _look(self, root_fd: int, parts: list[str]) -> None:
        for count in range(len(parts), 0, -1):
            try:
                fd = open_in_root(root_fd, "/".join(parts[: count - 1]) or ".", O_PATH | os.O_DIRECTORY)
            except OSError:
                continue
            try:
                os.lstat(parts[count - 1], dir_fd=fd)
            except FileNotFoundError:
                # As the kernel has the path, without symbolic links: that is where the stub will be.
                here = os.readlink(f"/proc/self/fd/{fd}").strip("/")
                self._parents.setdefault(here, os.fstat(fd))
                for end in range(count, len(parts) + 1):
                    path = "/".join([*([here] if here else []), *parts[count - 1 : end]])
                    if path not in self._missing:
                        self._missing.append(path)
            except OSError:
                pass
            finally:
                os.close(fd)
            return

    def remove(self, tree_fd: int, *, whole: bool) -> None:
        """Removes those that are still empty from an upper directory, or a whole tree, and puts their parents right."""
        for path in sorted(self._missing, key=len, reverse=True):
            parent, _, name = path.rpartition("/")
            with _within(tree_fd, parent) as fd:
                _remove_empty(fd, name)
        for path, before in self._parents.items():
            parent, _, name = path.rpartition("/")
            if whole:
                with _within(tree_fd, path) as fd:
                    os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
            elif path:
                with _within(tree_fd, parent) as fd:
                    _remove_same(fd, name, before)


@contextmanager
def _within(tree_fd: int, path: str) -> Iterator[int]:
    """The descriptor of a directory; what cannot be done in it is left: the step has put something there."""
    try:
        fd = openat2(tree_fd, path or ".", os.O_RDONLY | os.O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError:
        fd = os.open("/proc/self/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # nothing can be done there
    try:
        yield fd
    except OSError:
        pass
    finally:
        os.close(fd)


def _remove_empty(dir_fd: int, name: str) -> None:
    found = os.lstat(name, dir_fd=dir_fd)
    if stat.S_ISDIR(found.st_mode):
        os.rmdir(name, dir_fd=dir_fd)
    elif stat.S_ISREG(found.st_mode) and not found.st_size:
        os.unlink(name, dir_fd=dir_fd)


def _remove_same(dir_fd: int, name: str, before: os.stat_result) -> None:
    """Removes a directory's copy in the upper directory, when all that was changed in it were stubs."""
    found = os.lstat(name, dir_fd=dir_fd)
    if (found.st_mode, found.st_uid, found.st_gid) == (before.st_mode, before.st_uid, before.st_gid):
        os.rmdir(name, dir_fd=dir_fd)
