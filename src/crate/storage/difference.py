"""What a whole tree has of its own, as the layer that makes it of the tree below."""

from __future__ import annotations

import os
import stat

from crate.linux.fs import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from crate.storage.changes import ADDED, DELETED, tree_changes
from crate.storage.tree.copy import copy_attributes, copy_node

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


def write_difference(tree_fd: int, lower_fd: int, target: str) -> None:
    """Fills the directory `target` with what differs in a tree from a lower one, with whiteouts for what is gone.

    A file of several names is as many files in it.
    """
    target_fd = os.open(target, _DIRECTORY | os.O_CLOEXEC)
    try:
        visited: dict[str, None] = {"": None}
        for kind, path in tree_changes(tree_fd, lower_fd):
            _write(tree_fd, lower_fd, target_fd, kind, path.strip("/"), visited)
        for path in reversed(visited):
            source, made = _open(tree_fd, path), _open(target_fd, path)
            copy_attributes(source, made)
            os.close(source)
            os.close(made)
    finally:
        os.close(target_fd)


def _write(tree_fd: int, lower_fd: int, target_fd: int, kind: str, path: str, visited: dict[str, None]) -> None:
    parent, _, name = path.rpartition("/")
    _make(target_fd, parent, visited)
    parent_fd = _open(target_fd, parent)
    try:
        if kind == DELETED:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent_fd)
            return
        source_fd = _open(tree_fd, parent)
        try:
            found = os.lstat(name, dir_fd=source_fd)
            if not stat.S_ISDIR(found.st_mode):
                copy_node(source_fd, name, parent_fd, name, found)
                return
        finally:
            os.close(source_fd)
    finally:
        os.close(parent_fd)
    _make(target_fd, path, visited)
    if kind != ADDED and not _is_directory(lower_fd, path):
        _hide(target_fd, path)


def _hide(target_fd: int, path: str) -> None:
    """A directory in the place of a file: opaque, as overlay itself would make it."""
    fd = _open(target_fd, path)
    try:
        for name in ("trusted.overlay.opaque", "user.overlay.opaque"):
            try:
                os.setxattr(fd, name, b"y")
            except OSError:
                pass  # the one of the two that is not ours
    finally:
        os.close(fd)


def _make(target_fd: int, path: str, visited: dict[str, None]) -> None:
    if path in visited:
        return
    parent, _, name = path.rpartition("/")
    _make(target_fd, parent, visited)
    fd = _open(target_fd, parent)
    try:
        os.mkdir(name, 0o700, dir_fd=fd)
    finally:
        os.close(fd)
    visited[path] = None


def _open(root_fd: int, path: str) -> int:
    return openat2(root_fd, path or ".", _DIRECTORY, _BENEATH)


def _is_directory(root_fd: int, path: str) -> bool:
    try:
        os.close(_open(root_fd, path))
    except OSError:
        return False
    return True
