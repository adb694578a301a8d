"""What a start fills into the spec: the namespaces of other containers, which have a process only while they run."""

from __future__ import annotations

from crate.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

_FILES = {"network": "net", "mount": "mnt"}


def resolve(engine: Engine, container: Container) -> dict[str, Any]:
    """The container's spec, with a path for each namespace that it shares with another container.

    StateError when that one does not run.
    """
    spec = container.spec()
    for kind, slot in (container.record.get("joins") or {}).items():
        from crate.engine import containers

        other = containers.find(engine, slot["container"])
        state = other.state(engine)
        if state["status"] not in ("running", "paused"):
            raise StateError(
                f"cannot share {kind} with container {other.name}: it is not running", f"crate start {other.name}"
            )
        if kind == "shm":
            slot["pid"] = state["pid"]
        else:
            spec["linux"]["namespaces"][slot["index"]]["path"] = f"/proc/{state['pid']}/ns/{_FILES.get(kind, kind)}"
    return spec


def borrow_mounts(container: Container, spec: dict[str, Any]) -> dict[int, int]:
    """The mounts that it shares with another container, after `resolve`: place in spec.mounts -> descriptor."""
    slot = container.record["joins"].get("shm")
    if not slot:
        return {}
    from crate.runtime.borrow import borrow

    return {slot["index"]: borrow(slot["pid"], "/dev/shm", spec["mounts"][slot["index"]])}
