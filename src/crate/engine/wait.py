"""Waiting for the end of a container, through its monitor, which answers when the exit record is there."""

from __future__ import annotations

import select
import time

from crate.engine import wire
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def wait(engine: Engine, container: Container, conditions: list[str]) -> int:
    """The exit status, once the container has ended (one that was never started: once it has been and ended)."""
    wanted = set(conditions) & {"created", "running", "paused"}
    while True:
        state = container.state(engine, fresh=True)
        if state["status"] in wanted:
            return -1
        if state["status"] == "exited":
            return int(state["exit_code"])
        if state["status"] == "created" or wanted:
            time.sleep(0.05)
            continue
        ended = await_end(container)
        if ended:
            return int(ended["exit_code"])


def await_end(container: Container, timeout_seconds: float | None = None) -> dict[str, Any] | None:
    """The exit record of a running container when it ends; None at the timeout, or when its monitor was not there."""
    try:
        socket = wire.connect(container.paths.attach_socket)
    except OSError:
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
