"""Asking a container to end, and killing it when it does not."""

from __future__ import annotations

import time

from crate.engine.kill import end_for_good, send
from crate.engine.wait import await_end
from crate.errors import StateError
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def stop(
    engine: Engine,
    container: Container,
    timeout: int | None = None,
    signal: str | None = None,
    asked_at: float | None = None,
) -> None:
    """Sends its stop signal, and SIGKILL after `timeout` seconds (None: the container's own, -1: never).

    A container that does not run is left alone. `asked_at`: when `ask` sent the signal already (time.monotonic()).
    """
    if container.state(engine)["status"] not in ("running", "paused", "restarting") or end_for_good(engine, container):
        return
    _end(engine, container, _seconds(container, timeout), signal, asked_at)
    journal.of_container(engine.roots, "stop", container.record)


def _end(engine: Engine, container: Container, seconds: float, signal: str | None, asked_at: float | None) -> None:
    try:
        if seconds:
            if asked_at is None:
                _ask(engine, container, signal)
            elif seconds > 0:
                seconds = max(0.0, seconds - (time.monotonic() - asked_at))
            if await_end(container, None if seconds < 0 else seconds):
                return
        if container.state(engine, fresh=True)["status"] in ("running", "paused"):
            send(engine, container, "KILL")
            await_end(container)
    except StateError:
        await_end(container)  # another one ended it, which is what was wanted; its monitor may still have to record it
    container.state(engine, fresh=True)


def ask(engine: Engine, container: Container, timeout: int | None = None, signal: str | None = None) -> float | None:
    """Only sends the stop signal, so that several containers end side by side; gives when, None where it did not."""
    if not _seconds(container, timeout) or container.state(engine)["status"] not in ("running", "paused"):
        return None
    end_for_good(engine, container)
    try:
        _ask(engine, container, signal)
    except StateError:
        return None
    return time.monotonic()


def _ask(engine: Engine, container: Container, signal: str | None) -> None:
    send(engine, container, signal or str(container.record["stop_signal"]))
    state = container.state(engine)
    if signal and state["status"] == "paused":
        from crate.engine.pause import thaw

        thaw(container, state)


def _seconds(container: Container, timeout: int | None) -> float:
    seconds = container.record.get("stop_timeout") if timeout is None else timeout
    return 10.0 if seconds is None else float(seconds)
