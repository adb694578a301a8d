"""Ranges of subordinate ids that containers have to themselves: leased without overlap, free with the container.

<graphroot>/ids/<kind><first>-<count>.<container id>    an empty file; kind: u (users), g (groups)

A lease counts while its container is there or being made; who looks for a range removes the others. So nothing has to
be done at a container's end, and a killed process leaves nothing behind.
"""

from __future__ import annotations

import os

from crate.errors import HostError
from crate.storage import staging
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.storage.roots import Roots


def lease(roots: Roots, container_id: str, wanted: Sequence[tuple[str, Sequence[tuple[int, int]], int]]) -> list[int]:
    """The first ids of new leases, one for each of `wanted`: (kind, ranges to choose from as (first, count), count).

    HostError when a range has no room.
    """
    with Lock(_directory(roots)):
        held = _held(roots)
        found = []
        for kind, pool, count in wanted:
            first = _gap(pool, sorted(held.get(kind, [])), count)
            if first < 0:
                raise HostError(
                    f"cannot find {count} free {'user' if kind == 'u' else 'group'} ids for the container",
                    "remove containers that have some (--userns auto), ask for fewer (auto:size=), or give more in "
                    f"/etc/sub{kind}id",
                )
            found.append(first)
            _note(roots, kind, first, count, container_id)
        return found


def note(roots: Roots, container_id: str, kind: str, first: int, count: int) -> None:
    """Keeps a range that somebody chose out of the leases of others."""
    with Lock(_directory(roots)):
        _note(roots, kind, first, count, container_id)


def _note(roots: Roots, kind: str, first: int, count: int, container_id: str) -> None:
    path = f"{_directory(roots)}/{kind}{first}-{count}.{container_id}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _directory(roots: Roots) -> str:
    path = f"{roots.graphroot}/ids"
    if not os.access(path, os.F_OK):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
    return path


def _held(roots: Roots) -> dict[str, list[tuple[int, int]]]:
    """The ranges in force by their kind: (first, count)."""
    held: dict[str, list[tuple[int, int]]] = {}
    directory = _directory(roots)
    for name in os.listdir(directory):
        numbers, _, container_id = name.partition(".")
        first, _, count = numbers[1:].partition("-")
        place = f"{roots.graphroot}/containers/{container_id}"
        # Looked for a second time: it may have moved from the staging to its place between the first two looks.
        if os.access(place, os.F_OK) or staging.is_staged(roots, container_id) or os.access(place, os.F_OK):
            held.setdefault(numbers[0], []).append((int(first), int(count)))
        else:
            os.unlink(f"{directory}/{name}")
    return held


def _gap(pool: Sequence[tuple[int, int]], held: list[tuple[int, int]], count: int) -> int:
    """The lowest id of `pool` at which `count` ids are free; -1 for none."""
    for start, size in pool:
        first = start
        for other, others in held:
            if first + count <= other:
                break
            first = max(first, other + others)
        if first + count <= start + size:
            return first
    return -1
