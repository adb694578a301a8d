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
    own = (state.get("lease") or {}).get("ports") or []
    slot = (container.record.get("joins") or {}).get("network")
    if own or not slot or not container.record["options"].get("pod_id"):
        return list(own)
    from crate.engine import containers

    sandbox = containers.load(engine, slot["container"])
    if sandbox is None or state["status"] not in ("running", "paused"):
        return []
    return list((sandbox.state(engine).get("lease") or {}).get("ports") or [])
