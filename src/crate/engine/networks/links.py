"""Links of containers (--link): looked up when one is made, resolved anew at each of its starts."""

from __future__ import annotations

from crate.engine import containers
from crate.errors import CrateError, NotFoundError, StateError, UsageError
from crate.plan.links import variables
from crate.storage import containers as store
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def resolve(engine: Engine, record: dict[str, Any]) -> None:
    """Puts the other containers' ids into a new record. NotFoundError."""
    for link in record["links"]:
        link["container"] = containers.find(engine, link["container"]).id


def at_start(
    engine: Engine, container: Container, lease: Any, spec: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the spec, the record) with the variables and the lines of /etc/hosts of the container's links.

    What the container was given by --env goes before. StateError for another container that does not run, or is on none
    of its networks.
    """
    record = container.record
    hosts, added = list(record["files"]["hosts"] or ()), []
    for link in record["links"]:
        other = _running(engine, container, link)
        address = _address(engine, container, other, lease)
        hosts.append(f"{';'.join(dict.fromkeys((link['alias'], other.id[:12], other.name)))}:{address}")
        environment = other.spec()["process"].get("env") or ()
        added += variables(container.name, link["alias"], address, other.record["exposed_ports"], environment)
    process = spec["process"]
    own = {entry.partition("=")[0] for entry in process["env"]}
    env = [*(entry for entry in added if entry.partition("=")[0] not in own), *process["env"]]
    files = record["files"]
    if files["hosts"] is not None:
        files = {**files, "hosts": hosts}
    return {**spec, "process": {**process, "env": env}}, {**record, "files": files}


def _running(engine: Engine, container: Container, link: dict[str, str]) -> Container:
    try:
        other = containers.find(engine, link["container"])
    except NotFoundError:
        raise StateError(
            f"cannot link to {link['alias']}: its container is gone",
            f"crate rm --link {container.name}/{link['alias']}",
        ) from None
    if other.state(engine)["status"] not in ("running", "paused"):
        raise StateError(
            f"cannot link to a non running container: {other.name} AS {container.name}/{link['alias']}",
            f"crate start {other.name}",
        )
    return other


def _address(engine: Engine, container: Container, other: Container, lease: Any) -> str:
    own = [endpoint["network"] for endpoint in lease["endpoints"]]
    theirs = {endpoint["network"]: endpoint for endpoint in other.state(engine)["lease"]["endpoints"]}
    for name in own:
        endpoint = theirs.get(name) if name else None
        if endpoint and (endpoint["address"] or endpoint["address6"]):
            return str(endpoint["address"] or endpoint["address6"])
    raise StateError(
        f"cannot link {container.name} to {other.name}: they share no network",
        f"crate network connect {own[0]} {other.name}" if own and own[0] else None,
    )


def shown(engine: Engine, record: dict[str, Any]) -> list[str] | None:
    """As docker's HostConfig.Links has them: `/db:/web/alias`; None for none."""
    found = []
    for link in record.get("links") or ():
        try:
            name = containers.find(engine, link["container"]).name
        except CrateError:
            name = link["container"]
        found.append(f"/{name}:/{record['name']}/{link['alias']}")
    return found or None


def remove(engine: Engine, text: str) -> None:
    """Removes the link `CONTAINER/ALIAS`, for the next start. UsageError, NotFoundError."""
    name, slash, alias = text.removeprefix("/").partition("/")
    if not slash or not alias:
        raise UsageError(f"cannot remove link {text}: it is not the name of one", "write it as CONTAINER/ALIAS")
    container = containers.find(engine, name)
    try:
        with Lock(container.paths.directory):
            record = store.read_record(engine.roots, container.id)
            links = (record or {}).get("links") or []
            kept = [link for link in links if link["alias"] != alias]
            if record is None or len(kept) == len(links):
                raise NotFoundError(f"no such link: {container.name}/{alias}", f"crate inspect {container.name}")
            record["links"] = kept
            store.write_record(container.paths, record, container.paths.files != container.paths.run_directory)
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None
