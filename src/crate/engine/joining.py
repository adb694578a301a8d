"""What a start fills into the spec: the namespaces of other containers, which have a process only while they run."""

from __future__ import annotations

import os

from crate.errors import StateError
from crate.linux.process import pidfd_send_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

_FILES = {"network": "net", "mount": "mnt"}


def resolve(engine: Engine, container: Container) -> dict[str, Any]:
    """The container's spec, with a path for each namespace that it shares with another container.

    StateError when that one does not run. The paths are descriptors of this process, of which it is sure that they mean
    the other container: a process that got its number meanwhile would be one of the host.
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
        try:
            pidfd = other.pidfd(engine)
            if kind == "shm":
                slot["pid"], slot["pidfd"] = state["pid"], pidfd
                continue
            path = f"/proc/{state['pid']}/ns/{_FILES.get(kind, kind)}"
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            pidfd_send_signal(pidfd, 0)
            os.close(pidfd)
        except OSError:
            raise StateError(f"cannot share {kind} with container {other.name}: it has just ended") from None
        spec["linux"]["namespaces"][slot["index"]]["path"] = f"/proc/self/fd/{fd}"
    return spec


def borrow_mounts(container: Container, spec: dict[str, Any]) -> dict[int, int]:
    """The mounts that it shares with another container, after `resolve`: place in spec.mounts -> descriptor."""
    slot = container.record["joins"].get("shm")
    if not slot:
        return {}
    from crate.runtime.borrow import borrow

    fd = borrow(slot["pid"], "/dev/shm", spec["mounts"][slot["index"]])
    try:
        pidfd_send_signal(slot["pidfd"], 0)
    except OSError:
        raise StateError("cannot share /dev/shm with the other container: it has just ended") from None
    os.close(slot["pidfd"])
    return {slot["index"]: fd}
