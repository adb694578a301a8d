"""After a boot: which containers their policies want to run, and in which order they are started."""

from __future__ import annotations

from crate.engine import containers
from crate.engine.inspect.container import dependencies
from crate.engine.monitor.restarting import stopped_by_user
from crate.engine.start import start
from crate.errors import CrateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def wanted(engine: Engine) -> list[Container]:
    """Those that ran once and do not now, and whose policy is `always`, or `unless-stopped` and no user stopped them.

    What a container depends on comes before it; otherwise the oldest is the first.
    """
    every = sorted(containers.listing(engine), key=lambda one: int(one.record["created"]))
    return _in_order([one for one in every if _is_wanted(engine, one)])


def _is_wanted(engine: Engine, container: Container) -> bool:
    policy = container.record["restart"]["name"]
    if policy != "always" and not (policy == "unless-stopped" and not stopped_by_user(container)):
        return False
    return bool(container.state(engine)["status"] == "exited")


def _in_order(chosen: list[Container]) -> list[Container]:
    waiting = {container.id: container for container in chosen}
    ordered: list[Container] = []

    def take(container: Container) -> None:
        if waiting.pop(container.id, None) is None:
            return  # it was its turn already, or it is: a circle has no right order
        for needed in dependencies(container.record):
            if needed in waiting:
                take(waiting[needed])
        ordered.append(container)

    for container in chosen:
        take(container)
    return ordered


def start_wanted(
    engine: Engine, started: Callable[[Container], object], failed: Callable[[CrateError], object]
) -> bool:
    """Starts them all; tells of each what came of it. False when one could not be started."""
    fine = True
    for container in wanted(engine):
        try:
            start(engine, container)
            started(container)
        except CrateError as error:
            fine = False
            failed(error)
    return fine
