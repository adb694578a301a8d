"""Directories of RUN --mount=type=cache: they outlive the build, and builds at the same time share them by rule.

shared    everybody at once        private   who comes while it is taken gets another one        locked   in turns
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crate.build.state import key_of
from crate.linux.fs import O_PATH
from crate.runtime.mounts import MountOptions, apply_attributes, bind_clone
from crate.runtime.paths import open_in_root
from crate.storage import build_cache
from crate.storage.trash import remove_tree
from crate.storage.tree_copy import copy_tree

if TYPE_CHECKING:
    from contextlib import ExitStack

    from crate.build.mounts import Mount
    from crate.build.session import Session
    from crate.build.trees import Trees

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def take_cache(session: Session, trees: Trees, mount: Mount, name: str, stack: ExitStack) -> int:
    """A detached mount of the directory; its lock is released with `stack`."""
    origin = trees.source(mount.origin) if mount.origin else None
    identity = trees.identity(origin) if origin else ""
    sharing = mount.sharing or "shared"
    number = 0
    while True:
        key = key_of("cache", name, mount.origin, identity, mount.source, number)[:32]
        facts = {"id": name, "sharing": sharing}
        taken = build_cache.open_mount(
            session.roots, key, facts, exclusive=sharing != "shared", wait=sharing != "private"
        )
        if taken:
            break
        number += 1
    directory, lock = taken
    stack.callback(lock.release)
    if not os.access(f"{directory}/data", os.F_OK):
        _make(trees, mount, directory)
    fd = os.open(f"{directory}/data", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made = bind_clone(fd, recursive=False)
    finally:
        os.close(fd)
    if mount.read_only:
        apply_attributes(made, MountOptions(["ro"]), False)
    return made


def _make(trees: Trees, mount: Mount, directory: str) -> None:
    """`data`, empty or with what `from` has, by one rename: two that share it may both come here."""
    new = f"{directory}/new.{os.getpid()}"
    remove_tree(directory, f"new.{os.getpid()}")
    os.mkdir(new, 0o755)
    target_fd = os.open(new, _DIRECTORY)
    try:
        if mount.origin:
            tree = trees.tree(trees.source(mount.origin))
            try:
                source_fd = open_in_root(tree.root_fd, mount.source or ".", _DIRECTORY)
            except OSError:
                source_fd = -1  # the image has no such directory: an empty one
            if source_fd >= 0:
                copy_tree(source_fd, target_fd)
                os.close(source_fd)
        os.fchown(target_fd, mount.uid or 0, mount.gid or 0)
        os.fchmod(target_fd, 0o755 if mount.mode is None else mount.mode)
    finally:
        os.close(target_fd)
    try:
        os.rename(new, f"{directory}/data")
    except OSError:
        remove_tree(directory, f"new.{os.getpid()}")
