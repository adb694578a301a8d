"""What the end of one container of a pod means for the others; called by monitors that bury, and by who heals."""

from __future__ import annotations

import _signal
import os

from crate import cgroup
from crate.engine.containers import kill_recorded
from crate.errors import CrateError
from crate.oci import json
from crate.storage import containers, pods
from crate.storage.durable import read_file
from crate.storage.roots import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from crate.storage.roots import Roots


def end_with_sandbox(roots: Roots, sandbox_id: str) -> None:
    """Kills the containers that share a sandbox which has ended, and waits for it.

    They would go on with an address and ports that are given to others now. Their own monitors bury them.
    """
    for record in _records(roots):
        if any(slot["container"] == sandbox_id for slot in (record.get("joins") or {}).values()):
            state = _state(roots, record["id"])
            if state:
                _thaw(state)
                kill_recorded(state)


def _thaw(state: dict[str, Any]) -> None:
    try:
        cgroup.from_record(state["cgroup"]).thaw()  # v1 lets a frozen process die only when it is thawed
    except (OSError, CrateError):
        pass


def end_with_last(roots: Roots, pod_id: str) -> None:
    """Ends the sandbox of a pod with --exit-policy=stop when no other container of the pod runs any more.

    One that was never started is going to be: as podman has it.
    """
    pod = pods.read(roots, pod_id)
    if not pod or pod["exit_policy"] != "stop":
        return
    sandbox = None
    for record in _records(roots):
        if record["options"].get("pod_id") == pod_id:
            state = _state(roots, record["id"])
            if record["options"].get("infra"):
                sandbox = state
            elif state or not os.access(f"{containers.paths(roots, record['id']).files}/exit.json", os.F_OK):
                return
    if sandbox:
        kill_recorded(sandbox, _signal.SIGTERM)


def _records(roots: Roots) -> Iterator[dict[str, Any]]:
    for container_id in containers.list_ids(roots):
        try:
            yield json.loads(read_file(containers.paths(roots, container_id).record))
        except (OSError, ValueError):
            continue  # removed meanwhile, or damaged: not ours to heal


def _state(roots: Roots, container_id: str) -> dict[str, Any] | None:
    """The state of a container that runs in this boot, as far as its monitor has written it."""
    try:
        state: dict[str, Any] = json.loads(read_file(containers.paths(roots, container_id).state))
    except (OSError, ValueError):
        return None
    return state if state["boot_id"] == boot_id() else None
