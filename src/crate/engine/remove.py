"""Removing a container: what others see of it at once, the rest from the trash."""

from __future__ import annotations

import os

from crate.engine import stop as stopping
from crate.engine.containers import DEPENDENTS
from crate.engine.recovery.sweeping import sweep
from crate.errors import StateError
from crate.storage import containers as store
from crate.storage import journal
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


#: podman's exit status of `rm` for a container that runs
RUNS = 2
_ALIVE = ("running", "paused", "restarting")


def dependents(engine: Engine, container: Container) -> list[Container]:
    """The containers that share its namespaces or took over its volumes, the last of such a chain first."""
    directory = f"{container.paths.directory}/{DEPENDENTS}"
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    from crate.engine import containers

    found: list[Container] = []
    for name in names:
        other = containers.load(engine, name) if store.exists(engine.roots, name) else None
        if other:
            found += [one for one in dependents(engine, other) if one.id not in {known.id for known in found}]
            found.append(other)
    return found


def remove(
    engine: Engine,
    container: Container,
    *,
    force: bool = False,
    volumes: bool = False,
    timeout: int | None = None,
    with_pod: bool = False,
) -> None:
    """Removes it; with `force` a running one is killed first (after `timeout` seconds of asking).

    `with_pod`: its pod is being removed; without that the sandbox of one is kept.
    StateError when it runs or others depend on it, in podman's words.
    """
    if container.record["options"].get("infra") and not with_pod:
        from crate.engine.pods.pod import refuse_sandbox

        refuse_sandbox(container, "removed")
    status = container.state(engine)["status"]
    if status in _ALIVE and not force:
        raise StateError(
            f"cannot remove container {container.id} as it is {status} - running or paused containers cannot be "
            "removed without force: container state improper",
            exit_status=RUNS,
        )
    depending = dependents(engine, container)
    if depending:
        ids = ", ".join(other.id for other in depending)
        raise StateError(
            f"container {container.id} has dependent containers which must be removed before it: {ids}", "rm --depend"
        )
    if status in _ALIVE:
        stopping.stop(engine, container, timeout or 0)
    try:
        with Lock(container.paths.directory):
            status = container.state(engine, fresh=True)["status"]
            if status in _ALIVE:
                raise StateError(f"cannot remove container {container.name}: it was started again")
            if container.record.get("anonymous_volumes") and (volumes or container.record["remove"]):
                from crate.storage.volumes import remove_each

                remove_each(engine.roots, container.record["anonymous_volumes"])  # first: its record alone names them
            store.release(engine.roots, container.id, container.name)
            journal.of_container(engine.roots, "remove", container.record)
    except FileNotFoundError:
        pass  # a --rm container that has removed itself
    sweep(engine.roots, str(engine.settings.get("containers.cgroup_parent") or "/crate"))
