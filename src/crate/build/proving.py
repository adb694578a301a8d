"""`build --prove`: the same input twice, and nothing else the same.

The second time the stages begin in the opposite order, one after the other, at a later second; the context is a copy of
other files' owners, with the times of all that is later than the epoch moved. No cache is used. What differs then would
differ on another day or machine.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from crate.build.builder import build_target
from crate.build.records import replace
from crate.build.sources.tree import Tree
from crate.storage import layers, staging
from crate.storage.trash import remove_tree
from crate.storage.tree.copy import copy_tree
from crate.storage.tree.walk import directories, open_regular

if TYPE_CHECKING:
    from crate.build.display import Display
    from crate.build.request import Request
    from crate.build.sources.material import Material
    from crate.build.state import State
    from crate.settings import Settings
    from crate.storage.roots import Roots

_STRANGER = 54321
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PIECE = 1 << 20


def prove(
    roots: Roots, settings: Settings, request: Request, material: Material, display: Display
) -> tuple[Request, State, str]:
    """The request with its epoch, the target, and the first thing that differs between the two builds, or "".

    Without SOURCE_DATE_EPOCH the epoch is 0. The caller holds the lease of crate.storage.images.
    """
    request = replace(request, cache=False, epoch=request.epoch or 0)
    first = build_target(roots, settings, request, material, display).state
    time.sleep(1.1)  # archives know whole seconds
    stage = staging.make(roots, f"prove-{os.urandom(8).hex()}")
    try:
        trees = {
            name: _other(tree, f"{stage}/{number}", request)
            for number, (name, tree) in enumerate(material.trees.items())
        }
        other = replace(material, trees=trees)
        second = build_target(roots, settings, replace(request, jobs=1, backwards=True), other, display).state
    finally:
        remove_tree(os.path.dirname(stage), os.path.basename(stage))
    return request, first, _difference(roots, first, second)


def _other(tree: Tree, path: str, request: Request) -> Tree:
    """A copy of a tree as it would be on another machine."""
    os.mkdir(path, 0o755)
    copy_fd = os.open(path, _DIRECTORY)
    copy_tree(tree.root_fd, copy_fd)
    moved = time.time_ns() + 3_600_000_000_000
    for _, fd, entries in directories(copy_fd):
        for name, found in entries:
            try:
                os.chown(name, _STRANGER, _STRANGER, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=fd)  # chown(2) has taken the set-user-ID bit
            except OSError:
                pass  # an ordinary user without so many ids
            if found.st_mtime_ns > request.latest_ns:
                os.utime(name, ns=(moved, moved), dir_fd=fd, follow_symlinks=False)
    return tree.like(copy_fd)


def _difference(roots: Roots, first: State, second: State) -> str:
    for number, (one, other) in enumerate(zip(first.diff_ids, second.diff_ids, strict=False)):
        if one != other:
            steps = [entry for entry in first.history if not entry.get("empty_layer")]
            step = steps[number]["created_by"] if number < len(steps) else "?"
            return f"layer {number + 1} ({step}): {_first(roots, first.layers[number], second.layers[number])}"
    if len(first.diff_ids) != len(second.diff_ids):
        return "the number of layers"
    for name in ("config", "history", "author"):
        if getattr(first, name) != getattr(second, name):
            return f"the {name} of the image"
    return ""


def _first(roots: Roots, one: str, other: str) -> str:
    """The first path at which two layers differ, and in what."""
    found = [_entries(layers.diff_path(roots, chain)) for chain in (one, other)]
    for path in sorted(found[0].keys() | found[1].keys()):
        left, right = found[0].get(path), found[1].get(path)
        if left is None or right is None:
            return f"/{path}: it is in one of the two only"
        for name, value in left.items():
            if right[name] != value:
                return f"/{path}: {name} differs ({value} and {right[name]})"
    return "the order of its files"


def _entries(path: str) -> dict[str, dict[str, object]]:
    from crate.oci import digest as digests

    root_fd = os.open(path, _DIRECTORY)
    found: dict[str, dict[str, object]] = {}
    try:
        for here, fd, entries in directories(root_fd):
            for name, status in entries:
                facts: dict[str, object] = {
                    "mode": f"{status.st_mode:o}",
                    "owner": f"{status.st_uid}:{status.st_gid}",
                    "time": status.st_mtime_ns // 1_000_000_000,
                }
                if stat.S_ISLNK(status.st_mode):
                    facts["target"] = os.readlink(name, dir_fd=fd)
                elif stat.S_ISREG(status.st_mode):
                    facts["size"] = status.st_size
                    hasher = digests.hasher()
                    file_fd = open_regular(fd, name)
                    while data := os.read(file_fd, _PIECE):
                        hasher.update(data)
                    os.close(file_fd)
                    facts["content"] = hasher.hexdigest()[:12]
                found[f"{here}/{name}" if here else name] = facts
    finally:
        os.close(root_fd)
    return found
