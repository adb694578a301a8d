"""The verbs on volumes: create, list, inspect, remove; and which containers use one."""

from __future__ import annotations

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.storage import volumes as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.storage.volumes import VolumeRecord

#: what mount(8) is told: `-o type=tmpfs -o device=tmpfs -o o=size=100m`
_OPTIONS = ("type", "device", "o", "size", "uid", "gid", "copy", "nocopy", "noquota", "inodes")


def create(engine: Engine, options: dict[str, Any]) -> str:
    """The name of the volume: as in docker it may be there already, unless this one is wanted otherwise. UsageError."""
    if options.get("driver") not in (None, "", "local"):
        raise UsageError(f"no such volume driver: {options['driver']}", "local is the only one")
    labels = dict(_pair(text, "label") for text in options.get("label") or ())
    given = dict(_pair(text, "opt") for text in options.get("opt") or ())
    for name in given:
        if name not in _OPTIONS:
            raise UsageError(f"invalid option {name!r} of the volume driver local", f"one of {', '.join(_OPTIONS)}")
    name = options.get("volume") or ""
    try:
        return store.create(engine.roots, name, labels=labels, options=given)["name"]
    except NameInUseError:
        there = store.read(engine.roots, name)
        if (there["labels"], there["options"]) == (labels, given) or not (labels or given) or options.get("ignore"):
            return name
        raise


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or (option == "opt" and not equals and name not in ("copy", "nocopy", "noquota")):
        raise UsageError(f'invalid argument "{text}" for "--{option}" flag: must be formatted as key=value')
    return name, value


def listing(engine: Engine) -> list[dict[str, Any]]:
    """The records of all volumes by name, each with its `mountpoint`."""
    return [_complete(engine, record) for record in store.list_all(engine.roots)]


def find(engine: Engine, text: str) -> dict[str, Any]:
    """The volume of this name, or of the only name that begins so. NotFoundError; UsageError for several."""
    try:
        return _complete(engine, store.read(engine.roots, text))
    except NotFoundError:
        near = [record for record in store.list_all(engine.roots) if record["name"].startswith(text)] if text else []
        if len(near) > 1:
            raise UsageError(f"more than one volume begins with {text}", "give more of its name") from None
        if near:
            return _complete(engine, near[0])
        raise NotFoundError(f'no volume with name "{text}" found: no such volume') from None


def _complete(engine: Engine, record: VolumeRecord) -> dict[str, Any]:
    return {**record, "mountpoint": store.data_path(engine.roots, record["name"])}


def inspect(engine: Engine, text: str) -> dict[str, Any]:
    """What docker and podman tell of a volume."""
    record = find(engine, text)
    options = record["options"]
    found = {
        "Name": record["name"],
        "Driver": record["driver"],
        "Mountpoint": record["mountpoint"],
        "CreatedAt": record["created"],
        "Labels": record["labels"],
        "Scope": "local",
        "Options": options,
        "MountCount": len([user for user in users(engine, record["name"]) if _runs(engine, user)]),
    }
    if record["anonymous"]:
        found["Anonymous"] = True
    return found


def _runs(engine: Engine, container: Container) -> bool:
    return container.state(engine)["status"] in ("running", "paused")


def users(engine: Engine, name: str) -> list[Container]:
    """The containers that mount the volume."""
    from crate.engine import containers

    return [
        container
        for container in containers.listing(engine)
        if any(mount["name"] == name for mount in container.record.get("mounts") or ())
    ]


def remove(engine: Engine, text: str, *, force: bool = False, timeout: int | None = None) -> str:
    """Removes it and gives its name; with `force` the containers that use it too. NotFoundError, StateError."""
    from crate.storage import trash

    name = find(engine, text)["name"]
    using = users(engine, name)
    if using and not force:
        ids = ", ".join(container.id for container in using)
        text = f"volume {name} is being used by the following container(s): {ids}: volume is being used"
        raise StateError(text)
    for container in using:
        from crate.engine.remove import remove as remove_container

        remove_container(engine, container, force=True, timeout=10 if timeout is None else timeout)
    store.remove(engine.roots, name)
    trash.empty(engine.roots)
    return str(name)
