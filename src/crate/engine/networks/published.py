"""The ports of the host that lead to a container."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def published(engine: Engine, container: Container) -> list[dict[str, Any]]:
    """Its own, while it runs, or those of the pod whose network it is in, as podman has it."""
    state = container.state(engine)
    own = of_lease(state.get("lease") or {})
    slot = (container.record.get("joins") or {}).get("network")
    if own or not slot or not container.record["options"].get("pod_id"):
        return list(own)
    from crate.engine import containers

    sandbox = containers.load(engine, slot["container"])
    if sandbox is None or state["status"] not in ("running", "paused"):
        return []
    return of_lease(sandbox.state(engine).get("lease") or {})


def of_lease(lease: dict[str, Any]) -> list[dict[str, Any]]:
    """The ports of a lease; none while they are held, but no network of the container leads out."""
    return list(lease.get("ports") or ()) if lease.get("published") or lease.get("mode") != "bridge" else []
