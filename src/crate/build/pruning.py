"""Removing what the cache of builds keeps, what was used least recently first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from crate.build.records import dataclass, field
from crate.errors import StateError
from crate.storage import build_cache, image_record, images, layers
from crate.storage.changes import usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crate.storage.roots import Roots


@dataclass
class Item:
    """A step, or a directory of RUN --mount=type=cache. `size`: bytes; `shared`: an image has its layer, too."""

    id: str
    text: str
    size: int
    last_used: float
    shared: bool
    directory: str = ""
    keys: list[str] = field(default_factory=list)


def listing(roots: Roots) -> list[Item]:
    """All that is kept, what was used last at the end. Steps that changed no file go with the layer they stand on."""
    stood_on = {layer for record in image_record.list_all(roots) for layer in record["layers"]}
    found: dict[str, Item] = {}
    records = build_cache.list_all(roots)
    used = build_cache.last_uses(records)
    for record in records:
        layer = record["layer"]
        item = found.get(layer)
        if item is None:
            size = record["size"] if layer not in stood_on else 0
            item = found[layer] = Item(layer or "-", record["text"], size, used[layer], layer in stood_on)
        item.keys.append(record["key"])
    items = list(found.values())
    for directory, facts, last_used in build_cache.mounts(roots):
        name = directory.rpartition("/")[2]
        items.append(Item(name, f"mount {facts['id']}", usage(directory)[0], last_used, False, directory))
    return sorted(items, key=lambda item: item.last_used)


def prune(
    roots: Roots,
    used_layers: Callable[[], Iterable[str]],
    *,
    everything: bool = False,
    keep_bytes: int = 0,
    until: float | None = None,
) -> tuple[list[Item], int]:
    """Removes items; gives them, and the bytes that went. `used_layers`: chain ids that containers stand on.

    `everything`: also what images share, and directories of mounts; `keep_bytes`: as much as may stay, of what was
    used last; `until`: only what was not used since then (seconds since the epoch).
    """
    items = [item for item in listing(roots) if everything or (not item.shared and not item.directory)]
    total = sum(item.size for item in items)
    removed: list[Item] = []
    for item in items:
        if keep_bytes and total <= keep_bytes:
            break
        if until is not None and item.last_used > until:
            continue
        if item.directory and not _remove_directory(roots, item.directory):
            continue
        for key in item.keys:
            build_cache.remove(roots, key)
        removed.append(item)
        total -= item.size
    before = {chain: layers.size(roots, [chain]) for chain in layers.list_ids(roots)}
    images.collect(roots, used_layers)
    left = set(layers.list_ids(roots))
    freed = sum(size for chain, size in before.items() if chain not in left)
    return removed, freed + sum(item.size for item in removed if item.directory)


def _remove_directory(roots: Roots, directory: str) -> bool:
    """False while a build uses it."""
    try:
        build_cache.remove_mount(roots, directory)
    except StateError:
        return False
    return True


def summary(roots: Roots) -> dict[str, Any]:
    """The row of `system df`."""
    items = [item for item in listing(roots) if item.id != "-"]
    size = sum(item.size for item in items)
    recent = time.time() - 3600
    return {
        "type": "Build Cache",
        "total": len(items),
        "active": sum(item.last_used > recent for item in items),
        "size": size,
        "reclaimable": size,
    }
