"""The verbs on networks: create, list, find, inspect, update, remove."""

from __future__ import annotations

import os

from crate.errors import NotFoundError, StateError, UsageError
from crate.net import sandbox, store
from crate.net.drivers import cni
from crate.oci import digest
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

#: what docker and podman call the default network
_DEFAULT = ("bridge", "podman")
#: what is there without a record, as in docker: name and driver
_BUILTIN = {"host": "host", "none": "null"}


def listing(engine: Engine) -> list[dict[str, Any]]:
    """The records of all networks by name; `builtin` marks those that cannot be removed."""
    default = str(engine.settings.get("network.default"))
    names = {*store.names(engine.roots), *_BUILTIN}
    if not engine.roots.rootless:
        names.add(default)
        names.update(cni.names(engine.settings))
    return [_record(engine, name) for name in sorted(names)]


def _record(engine: Engine, name: str) -> dict[str, Any]:
    default = str(engine.settings.get("network.default"))
    if name in _BUILTIN:
        return {"name": name, "id": _identifier(name), "driver": _BUILTIN[name], "builtin": True}
    try:
        record: dict[str, Any] = {**store.load(engine.roots, name)}
    except NotFoundError:
        if engine.roots.rootless:
            raise
        record = {**sandbox.find_network(engine.roots, engine.settings, name)}
    builtin = name == default or record["created"] == store.NEVER
    return {**record, "ipv6": record["ipv6_enabled"], "builtin": builtin}


def _identifier(name: str) -> str:
    return digest.of(name.encode()).partition(":")[2]


def name_of(engine: Engine, text: str) -> str:
    """The name of the network that a container asks for by name, id, or the beginning of an id.

    NotFoundError; UsageError for host and none, which are modes of a container and no networks.
    """
    try:
        return store.load(engine.roots, text)["name"]
    except NotFoundError:
        name = str(find(engine, text)["name"])
    if name in _BUILTIN:
        raise UsageError(f"cannot use {name} as a network: it is a network mode", f"crate run --network {name}")
    return name


def find(engine: Engine, text: str) -> dict[str, Any]:
    """The network of this name, or id, or whose id begins so. NotFoundError; UsageError for several."""
    every = listing(engine)
    if text in (*_DEFAULT, engine.settings.get("network.bridge")) and not any(
        record["name"] == text for record in every
    ):
        text = str(engine.settings.get("network.default"))
    found = [record for record in every if record["name"] == text]
    found = found or [record for record in every if text and record["id"].startswith(text)]
    if not found:
        raise NotFoundError(f"no such network: {text}", "`crate network ls` shows the networks")
    if len(found) > 1:
        raise UsageError(f"more than one network id begins with {text}", "give more of the id, or the name")
    return found[0]


def create(engine: Engine, options: dict[str, Any]) -> str:
    """The name of the new network, or with `ignore` of the one that is there. UsageError, NameInUseError, HostError."""
    from crate.net import definition

    if options.get("ignore") and options.get("name") in store.names(engine.roots):
        return str(options["name"])
    network = definition.create(engine.roots, engine.settings, options)
    journal.record(engine.roots, "network", "create", network["id"], network["name"])
    return network["name"]


def update(engine: Engine, text: str, add: list[str], drop: list[str]) -> str:
    """Changes the DNS servers of a network; gives its name."""
    from crate.net import definition

    return definition.update_servers(engine.roots, name_of(engine, text), add, drop)["name"]


def remove(engine: Engine, text: str, *, force: bool = False, timeout: int | None = None) -> str:
    """Removes a network, with `force` the containers that use it before; gives its name.

    NotFoundError; UsageError for one that is always there; StateError while a container uses it.
    """
    from crate.net import removal

    record = find(engine, text)
    name = str(record["name"])
    if record["builtin"] and (record.get("options") or {}).get("config"):
        raise UsageError(f"cannot remove network {name}: it is a file", f"remove {record['options']['config']}")
    if record["builtin"]:
        raise UsageError(f"default network {name} cannot be removed")
    _settle(engine, name)
    for container in users(engine, name):
        if not force:
            raise StateError(
                f'"{name}" has associated containers with it: network is being used',
                "use -f to remove the containers, too",
            )
        from crate.engine import remove as removing

        removing.remove(engine, container, force=True, timeout=timeout)
    lock_fd = store.lock(engine.roots)
    try:
        network = store.load(engine.roots, name)
        others = [store.load(engine.roots, other) for other in store.names(engine.roots) if other != name]
        removal.remove(engine.roots, engine.settings, network, others, here=sandbox.enter_home(engine.roots))
    finally:
        os.close(lock_fd)
    journal.record(engine.roots, "network", "remove", network["id"], name)
    return name


def _settle(engine: Engine, name: str = "") -> None:
    """Brings to an end what killed commands began with a network, or all networks, of containers that run."""
    from crate.engine import containers
    from crate.engine.networks import connecting

    for container in containers.listing(engine):
        connecting.settle(engine, container, name)


def users(engine: Engine, name: str) -> list[Container]:
    """The containers that are connected to a network, or will be when they start."""
    from crate.engine import containers
    from crate.engine.networks import attachments

    return [one for one in containers.listing(engine) if name in attachments.names(one.record["network"])]


def used(engine: Engine) -> set[str]:
    """The names of the networks that containers are connected to, or will be when they start."""
    from crate.engine import containers
    from crate.engine.networks import attachments

    return {name for one in containers.listing(engine) for name in attachments.names(one.record["network"])}


def enter(engine: Engine) -> list[int]:
    """Brings an ordinary user's process to where this user's bridges are; they stay while the descriptors are open."""
    from crate.net.rootless import sandbox as rootless_sandbox

    return rootless_sandbox.enter(engine.roots, engine.settings)


def reload(engine: Engine) -> None:
    """Puts the firewall's table in again, for all networks of this host. HostError."""
    from crate.net.firewall import table as firewall

    _settle(engine)

    if not sandbox.enter_home(engine.roots):
        return
    firewall.reload(str(engine.settings.get("network.table")), str(engine.settings.get("network.lease_root")))


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
        "EnableIPv4": any("." in subnet["subnet"] for subnet in subnets) or not subnets,
        "EnableIPv6": bool(record.get("ipv6_enabled")),
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [_docker_subnet(subnet) for subnet in subnets],
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
    if "network_interface" in record:
        for key in ("network_interface", "subnets", "ipv6_enabled", "dns_enabled", "ipam_options"):
            found[key] = record[key]
        found.update({key: record[key] for key in ("network_dns_servers", "routes") if key in record})
    return found


def _docker_subnet(subnet: dict[str, Any]) -> dict[str, str]:
    found = {"Subnet": subnet["subnet"], "Gateway": subnet["gateway"]}
    if "lease_range" in subnet:
        found["IPRange"] = f"{subnet['lease_range']['start_ip']}-{subnet['lease_range']['end_ip']}"
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
