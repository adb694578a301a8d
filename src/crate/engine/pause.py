"""Pausing and resuming: the freezer of the container's control group; docs/decisions/0080."""

from __future__ import annotations

import os

from crate import cgroup
from crate.engine.containers import PAUSED
from crate.errors import NotFoundError, StateError
from crate.storage import journal
from crate.storage.durable import RUN_FILE_MODE, write_file
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def pause(engine: Engine, container: Container) -> None:
    """Freezes every process of a running container. StateError in podman's words; HostError without a freezer."""
    try:
        with Lock(container.paths.directory):
            state = container.state(engine, fresh=True)
            if state["status"] == "paused":
                raise StateError(f'"{container.id}" is already paused: container state improper')
            if state["status"] != "running":
                raise StateError(f'"{state["status"]}" is not running, can\'t pause: container state improper')
            # First the mark, which says that the kernel is to be asked: killed here, the container is found running.
            write_file(None, _mark(container), "", durable=False, mode=RUN_FILE_MODE)
            try:
                cgroup.from_record(state["cgroup"]).freeze()
            except BaseException:
                os.unlink(_mark(container))
                raise
            journal.of_container(engine.roots, "pause", container.record)
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None


def unpause(engine: Engine, container: Container) -> None:
    """Lets a paused container go on. StateError in podman's words."""
    try:
        with Lock(container.paths.directory):
            state = container.state(engine, fresh=True)
            if state["status"] != "paused":
                raise StateError(f'"{container.id}" is not paused, can\'t unpause: container state improper')
            thaw(container, state)
            journal.of_container(engine.roots, "unpause", container.record)
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None


def thaw(container: Container, state: dict[str, Any]) -> None:
    """Lets its processes go on, whatever comes next: an end that was asked for must not wait for `unpause`."""
    cgroup.from_record(state["cgroup"]).thaw()
    try:
        os.unlink(_mark(container))
    except FileNotFoundError:
        pass


def _mark(container: Container) -> str:
    return f"{container.paths.run_directory}/{PAUSED}"
