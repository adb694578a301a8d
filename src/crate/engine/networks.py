"""The verbs on networks that exist so far: list, find, inspect."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.net import store
from crate.oci import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine

#: what is there without a record, as in docker: name and driver
_BUILTIN = {"host": "host", "none": "null"}


def listing(engine: Engine) -> list[dict[str, Any]]:
    """The records of all networks by name; `builtin` marks those that cannot be removed."""
    default = str(engine.settings.get("network.bridge"))
    names = {*store.names(engine.roots), *_BUILTIN}
    if not engine.roots.rootless:
        names.add(default)
    return [_record(engine, name) for name in sorted(names)]


def _record(engine: Engine, name: str) -> dict[str, Any]:
    default = str(engine.settings.get("network.bridge"))
    if name in _BUILTIN:
        return {"name": name, "id": _identifier(name), "driver": _BUILTIN[name], "builtin": True}
    try:
        record: dict[str, Any] = {**store.load(engine.roots, name)}
    except NotFoundError:
        if name != default or engine.roots.rootless:
            raise
        from crate.net import default_network

        record = {**default_network.ensure(engine.roots, engine.settings)}
    return {**record, "ipv6": record["ipv6_enabled"], "builtin": name == default}


def _identifier(name: str) -> str:
    return digest.of(name.encode()).partition(":")[2]


def name_of(engine: Engine, text: str) -> str:
    """The name of the network that a container asks for by name, id, or the beginning of an id."""
    try:
        return store.load(engine.roots, text)["name"]
    except NotFoundError:
        return str(find(engine, text)["name"])


def find(engine: Engine, text: str) -> dict[str, Any]:
    """The network of this name, or id, or whose id begins so. NotFoundError; UsageError for several."""
    if text == "bridge":
        text = str(engine.settings.get("network.bridge"))
    every = listing(engine)
    found = [record for record in every if record["name"] == text]
    found = found or [record for record in every if text and record["id"].startswith(text)]
    if not found:
        raise NotFoundError(f"no such network: {text}", "`crate network ls` shows the networks")
    if len(found) > 1:
        raise UsageError(f"more than one network id begins with {text}", "give more of the id, or the name")
    return found[0]


def inspect(engine: Engine, text: str) -> dict[str, Any]:
    """What docker tells of a network, with podman's further fields."""
    record = find(engine, text)
    subnets = record.get("subnets") or []
    found = {
        "Name": record["name"],
        "Id": record["id"],
        "Created": record.get("created", "0001-01-01T00:00:00Z"),
        "Scope": "local",
        "Driver": record["driver"],
        "EnableIPv4": True,
        "EnableIPv6": bool(record.get("ipv6_enabled")),
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": subnet["subnet"], "Gateway": subnet["gateway"]} for subnet in subnets],
        },
        "Internal": bool(record.get("internal")),
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": _containers(engine, record),
        "Options": record.get("options") or {},
        "Labels": record.get("labels") or {},
    }
    if subnets:
        for key in ("network_interface", "subnets", "ipv6_enabled", "dns_enabled", "ipam_options"):
            found[key] = record[key]
    return found


def _containers(engine: Engine, network: dict[str, Any]) -> dict[str, Any]:
    """The endpoints of the containers that run in it."""
    from crate.engine import containers

    found = {}
    for container in containers.listing(engine):
        state = container.state(engine)
        lease = state.get("lease") or {}
        if state["status"] not in ("running", "paused"):
            continue
        here = [one for one in lease.get("endpoints") or () if one["network"] == network["name"]]
        if not here and network["name"] != lease.get("mode"):
            continue
        endpoint = here[0] if here else {}
        found[container.id] = {
            "Name": container.name,
            "EndpointID": endpoint.get("host_interface", ""),
            "MacAddress": endpoint.get("mac", ""),
            "IPv4Address": f"{endpoint['address']}/{endpoint['prefix']}" if endpoint.get("address") else "",
            "IPv6Address": f"{endpoint['address6']}/{endpoint['prefix6']}" if endpoint.get("address6") else "",
        }
    return found
