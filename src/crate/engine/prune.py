"""Removing what nobody uses: containers that do not run, and images, volumes and networks without a container.

Each function takes what its caller chose by filters, and gives (what was removed, bytes that went with it). What cannot
be removed, since somebody has begun to use it meanwhile, stays.
"""

from __future__ import annotations

from crate.errors import CrateError
from crate.storage import journal, layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.image.remove import Removal, Users


def idle_containers(engine: Engine) -> list[Container]:
    """Those that do not run and are not about to; the sandboxes of pods stay with these."""
    from crate.engine import containers

    found = []
    for container in containers.listing(engine):
        status, launcher = container.state(engine)["status"], container.record.get("launcher")
        starts = status == "created" and launcher and containers.is_alive(*launcher)
        if (
            status in ("created", "initialized", "exited")
            and not starts
            and not container.record["options"].get("infra")
        ):
            found.append(container)
    return found


def _tell(engine: Engine, kind: str, freed: int) -> None:
    journal.record(engine.roots, kind, "prune", attributes={"reclaimed": str(freed)})


def containers(engine: Engine, chosen: Iterable[Container]) -> tuple[list[str], int]:
    """Removes containers; gives ids. Others depend on one that stays, unless they were removed before it."""
    from crate.engine import remove
    from crate.engine.usage import sizes

    removed, freed = [], 0
    waiting = list(chosen)
    while waiting:
        blocked = []
        for container in waiting:
            size = sizes.tree_bytes(container.paths.upper)
            try:
                remove.remove(engine, container)
            except CrateError:
                blocked.append(container)
            else:
                removed.append(container.id)
                freed += size
        if len(blocked) == len(waiting):
            break
        waiting = blocked
    _tell(engine, "container", freed)
    return removed, freed


def images(engine: Engine, chosen: Iterable[str], users: Users) -> tuple[list[Removal], int]:
    """Removes images by id, those that no container uses; gives what became of each."""
    from crate.image import remove

    roots = engine.roots
    before = {chain: layers.size(roots, [chain]) for chain in layers.list_ids(roots)}
    removals, _ = remove.remove_all(roots, users, passes=list(chosen))
    left = set(layers.list_ids(roots))
    freed = sum(size for chain, size in before.items() if chain not in left)
    _tell(engine, "image", freed)
    return removals, freed


def unused_volumes(engine: Engine) -> list[dict[str, Any]]:
    """The records of volumes that no container mounts."""
    from crate.engine import containers, volumes

    used = {mount["name"] for one in containers.listing(engine) for mount in one.record.get("mounts") or ()}
    return [record for record in volumes.listing(engine) if record["name"] not in used]


def volumes(engine: Engine, chosen: Iterable[dict[str, Any]]) -> tuple[list[str], int]:
    """Removes volumes by their records; gives names."""
    from crate.engine import volumes as verbs
    from crate.engine.usage import sizes

    removed, freed = [], 0
    for record in chosen:
        size = sizes.tree_bytes(record["mountpoint"])
        try:
            removed.append(verbs.remove(engine, record["name"]))
        except CrateError:
            continue
        freed += size
    _tell(engine, "volume", freed)
    return removed, freed


def unused_networks(engine: Engine) -> list[dict[str, Any]]:
    """The records of networks that were made and no container is connected to."""
    from crate.engine.networks import verbs as networks

    used = networks.used(engine)
    return [record for record in networks.listing(engine) if not record["builtin"] and record["name"] not in used]


def networks(engine: Engine, chosen: Iterable[dict[str, Any]]) -> list[str]:
    """Removes networks by their records; gives names."""
    from crate.engine.networks import verbs

    removed = []
    for record in chosen:
        try:
            removed.append(verbs.remove(engine, record["name"]))
        except CrateError:
            continue
    _tell(engine, "network", 0)
    return removed
