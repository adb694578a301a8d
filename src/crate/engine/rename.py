"""Giving a container another name."""

from __future__ import annotations

from crate.errors import NotFoundError, StateError, UsageError
from crate.storage import containers as store
from crate.storage import journal
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
            container.record, container.name = record, name
            _tell_networks(container, container.state(engine))
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None
    journal.of_container(engine.roots, "rename", record)


def _tell_networks(container: Container, state: dict[str, Any]) -> None:
    """The others on its networks find it by its new name."""
    for endpoint in (state.get("lease") or {}).get("endpoints") or ():
        from crate.net.endpoint import note_name

        note_name(endpoint, container.id, container.name)
