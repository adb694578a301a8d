"""Waiting for the end of a container, through its monitor, which answers when the exit record is there."""

from __future__ import annotations

import os
import select
import time

from crate.engine.monitor import wire
from crate.errors import NotFoundError, StateError, UsageError
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


#: podman's names of states, and docker's conditions -> what `_met` looks for
_CONDITIONS = {
    "configured": "created", "created": "created", "initialized": "created", "running": "running", "paused": "paused",
    "stopped": "exited", "exited": "exited", "stopping": "exited", "not-running": "exited", "next-exit": "next-exit",
    "removing": "removed", "removed": "removed", "healthy": "healthy", "unhealthy": "unhealthy",
}  # fmt: skip
POLL_SECONDS = 0.1


def wait(engine: Engine, container: Container, conditions: list[str], interval_seconds: float = POLL_SECONDS) -> int:
    """The exit status, once one of the conditions is met; -1 where it says nothing of an end. None given: the end.

    The end of a running container is told by its monitor, other changes are looked for every so often. UsageError for
    an unknown condition; StateError for one that cannot be met any more; NotFoundError.
    """
    for name in conditions:
        if name.lower() not in _CONDITIONS:
            raise UsageError(f'unknown container state "{name}": invalid argument', f"one of {', '.join(_CONDITIONS)}")
    wanted = {_CONDITIONS[name.lower()] for name in conditions} or {"exited"}
    before = container.state(engine, fresh=True)
    last = int(before["exit_code"]) if before["status"] == "exited" else -1
    while True:
        if not os.access(container.paths.record, os.F_OK):
            if "removed" in wanted:
                return last
            raise NotFoundError(f"no such container: {container.name}")
        state = container.state(engine, fresh=True)
        status = state["status"]
        if status == "exited":
            last = int(state["exit_code"])
            if "exited" in wanted or ("next-exit" in wanted and state["finished_at"] != before["finished_at"]):
                return last
        elif status in wanted:
            return -1
        if wanted & {"healthy", "unhealthy"}:
            if not container.record["health"]:
                raise StateError(f"container {container.name} has no health check")
            if status == "running" and health(state) in wanted:
                return -1
        if status == "running" and wanted <= {"exited", "next-exit", "removed"}:
            ended = await_end(container)
            if ended:
                last = int(ended["exit_code"])
                if "removed" not in wanted:
                    return last
        time.sleep(interval_seconds)


def health(state: dict[str, Any]) -> str:
    """healthy, unhealthy, starting, or "" where nobody looks."""
    known = state.get("health") or ""
    return str(known.get("Status") or "") if isinstance(known, dict) else str(known)


def await_end(container: Container, timeout_seconds: float | None = None) -> dict[str, Any] | None:
    """The exit record of a running container when it ends; None at the timeout, or when its monitor was not there."""
    try:
        socket = wire.connect(container.paths.attach_socket)
    except OSError:
        _await_monitor(container, timeout_seconds)
        return None
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    try:
        socket.send(wire.HELLO + b"{}")
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not poll.poll(left):
                return None
            packet = wire.receive(socket)
            if not packet:
                return None
            if packet[:1] == wire.ENDED:
                return json.loads(packet[1:])  # type: ignore[no-any-return]
    except OSError:
        return None
    finally:
        socket.close()


def _await_monitor(container: Container, timeout_seconds: float | None) -> None:
    """The end of the monitor, of one whose socket is gone while it runs: by whoever cleaned /run (recovery/lost.py)."""
    import os

    from crate.linux import process
    from crate.storage.durable import read_file

    try:
        state = json.loads(read_file(container.paths.state))
        pidfd = process.pidfd_open(state["monitor_pid"])
    except (OSError, ValueError):
        return
    try:
        if process.start_time(state["monitor_pid"]) == state["monitor_start"]:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(None if timeout_seconds is None else timeout_seconds * 1000)
    finally:
        os.close(pidfd)
