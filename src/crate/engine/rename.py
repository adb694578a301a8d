"""Giving a container another name."""

from __future__ import annotations

from crate.errors import NotFoundError, StateError, UsageError
from crate.storage import containers as store
from crate.storage import journal
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def rename(engine: Engine, container: Container, name: str) -> None:
    """Renames it, running or not. UsageError for what is no name or is its own; NameInUseError.

    The record says which name is the container's: a link of the index that says otherwise is what a killed process
    left, and whoever wants that name takes it over.
    """
    name = name.removeprefix("/")
    store.check_name(name)
    try:
        with Lock(container.paths.directory):
            record = store.read_record(engine.roots, container.id)
            if record is None:
                raise FileNotFoundError
            if container.state(engine, fresh=True)["status"] == "removing":
                raise StateError(f"cannot rename container {container.name}: it is being removed")
            if name == record["name"]:
                raise UsageError(f"container {container.id[:12]} has the name {name} already")
            store.rename(engine.roots, container.paths, record, name)
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None
    container.record, container.name = record, name
    journal.of_container(engine.roots, "rename", record)
