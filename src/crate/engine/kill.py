"""Sending a signal to a container's main process."""

from __future__ import annotations

import os
from _signal import SIGKILL

from crate.errors import StateError, UsageError
from crate.linux.process import pidfd_send_signal
from crate.linux.signals import parse_signal
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def kill(engine: Engine, container: Container, signal: str) -> None:
    """Sends it (a name or a number), as a user's wish. StateError when the container does not run."""
    if signal_number(signal) in (SIGKILL, container.record["stop_signal"]) and end_for_good(engine, container):
        return
    send(engine, container, signal)
    journal.of_container(engine.roots, "kill", container.record, signal=signal_number(signal))


def end_for_good(engine: Engine, container: Container) -> bool:
    """A user ends it, so its restart policy is over; True when it only waited for a restart, and has ended now."""
    record = container.record
    if record["restart"]["name"] == "no" and record.get("health_on_failure") != "restart":
        return False
    from crate.engine.monitor import restarting

    return restarting.end_for_good(engine, container)


def send(engine: Engine, container: Container, signal: str) -> None:
    """Sends it. StateError when the container does not run.

    A paused container goes on when the signal is one that is to end it; any other waits for `unpause`: as docker.
    """
    number = signal_number(signal)
    try:
        state = container.state(engine)
        if state["status"] not in ("running", "paused"):
            raise ProcessLookupError
        pidfd = container.pidfd(engine)
        try:
            pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
        if state["status"] == "paused" and number in (SIGKILL, container.record["stop_signal"]):
            from crate.engine.pause import thaw

            thaw(container, state)
    except ProcessLookupError:
        status = container.state(engine, fresh=True)["status"]
        raise StateError(f"cannot kill container {container.name}: it is not running ({status})") from None


def signal_number(text: str) -> int:
    """The number of a signal: `9`, `KILL`, `SIGKILL`, `RTMIN+3` in any case. UsageError."""
    number = parse_signal(text)
    if number is None:
        raise UsageError(f"invalid signal: {text}", "a name as TERM or SIGTERM, or a number from 1 to 64")
    return number
