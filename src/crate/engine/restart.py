"""Stopping a container and starting it again; one that does not run is only started."""

from __future__ import annotations

import os

from crate.engine.monitor.aftermath import KEPT
from crate.engine.start import start
from crate.engine.stop import ask as ask_to_stop
from crate.engine.stop import stop
from crate.linux.process import start_time
from crate.storage import containers as store
from crate.storage import journal
from crate.storage.durable import RUN_FILE_MODE, write_file
from crate.storage.roots import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def restart(
    engine: Engine,
    container: Container,
    timeout: int | None = None,
    signal: str | None = None,
    asked_at: float | None = None,
) -> None:
    """Stops and starts it, with the arguments of `stop`; its log goes on."""
    if asked_at is None:
        _keep(engine, container)
    stop(engine, container, timeout, signal, asked_at)
    container.state(engine, fresh=True)
    start(engine, container)
    journal.of_container(engine.roots, "restart", container.record)
    if container.record["remove"]:
        try:
            os.unlink(f"{container.paths.run_directory}/{KEPT}")
        except FileNotFoundError:
            pass  # it has ended again, and removed itself


def ask(engine: Engine, container: Container, timeout: int | None = None, signal: str | None = None) -> float | None:
    """Only sends the stop signal: as `stop.ask`."""
    _keep(engine, container)
    return ask_to_stop(engine, container, timeout, signal)


def _keep(engine: Engine, container: Container) -> None:
    """Has a --rm container survive its stop. As its launcher is this process, it goes should this one be killed."""
    if container.record["remove"] and container.state(engine)["status"] in ("running", "paused"):
        container.record["launcher"] = [os.getpid(), start_time(os.getpid()), boot_id()]
        store.write_record(container.paths, container.record)
        write_file(None, f"{container.paths.run_directory}/{KEPT}", "", durable=False, mode=RUN_FILE_MODE)
