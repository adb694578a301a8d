"""Directories of RUN --mount=type=cache: they outlive the build, and builds at the same time share them by rule.

shared    everybody at once        private   who comes while it is taken gets another one        locked   in turns
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crate.build.state import key_of
from crate.linux.fs import O_PATH
from crate.ns.single_id import owner_here
from crate.runtime.mounts import MountOptions, apply_attributes, bind_clone
from crate.runtime.paths import open_in_root
from crate.storage import build_cache
from crate.storage.trash import remove_tree
from crate.storage.tree.copy import copy_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from crate.build.running.mounts import Mount
    from crate.build.session import Session
    from crate.build.sources.trees import Trees

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def take_caches(session: Session, trees: Trees, wanted: Sequence[tuple[Mount, str]], stack: ExitStack) -> list[int]:
    """A detached mount for each (mount, name of its cache); the locks are released with `stack`.

    They are taken in one order by everybody, so that no two RUN wait for each other, and one that a RUN wants twice is
    taken once, by the strictest of its rules.
    """
    groups: dict[str, list[int]] = {}
    for at, (mount, name) in enumerate(wanted):
        groups.setdefault(_key(trees, mount, name, 0), []).append(at)
    made = [-1] * len(wanted)
    for key in sorted(groups):
        members = [wanted[at] for at in groups[key]]
        rules = {mount.sharing or "shared" for mount, _ in members}
        sharing = next(rule for rule in ("private", "locked", "shared") if rule in rules)
        directory = _take(session, trees, *members[0], sharing, stack)
        for at in groups[key]:
            made[at] = _mounted(directory, wanted[at][0].read_only)
    return made


def _key(trees: Trees, mount: Mount, name: str, number: int) -> str:
    identity = trees.identity(trees.source(mount.origin)) if mount.origin else ""
    return key_of("cache", name, mount.origin, identity, mount.source, number)[:32]


def _take(session: Session, trees: Trees, mount: Mount, name: str, sharing: str, stack: ExitStack) -> str:
    """The directory of a cache, which is there now and locked."""
    number = 0
    while True:
        key, facts = _key(trees, mount, name, number), {"id": name, "sharing": sharing}
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
    return directory


def _mounted(directory: str, read_only: bool) -> int:
    fd = os.open(f"{directory}/data", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made = bind_clone(fd, recursive=False)
    finally:
        os.close(fd)
    if read_only:
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
        os.fchown(target_fd, *owner_here(mount.uid or 0, mount.gid or 0))
        os.fchmod(target_fd, 0o755 if mount.mode is None else mount.mode)
    finally:
        os.close(target_fd)
    try:
        os.rename(new, f"{directory}/data")
    except OSError:
        remove_tree(directory, f"new.{os.getpid()}")
