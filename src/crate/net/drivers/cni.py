"""The driver cni: networks that CNI plugins make, from a configuration directory (CNI specification 0.3.1 to 1.1.0).

    ADD   when the interface is to be in the container, each plugin in order, with the result of the one before
    DEL   when the address is given back, in reverse order, with the result that was kept

What a DEL needs is kept beside the lease, so that whoever buries a killed container can undo what its plugins did.
"""

from __future__ import annotations

import os

from crate.errors import HostError, NotFoundError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, netlink_in
from crate.net import addresses
from crate.net.drivers import cni_plugins
from crate.net.netlink import route as route_messages
from crate.net.store import NEVER
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from crate.net.addresses import LeaseRecord
    from crate.net.endpoint import Attachment, Endpoint
    from crate.net.store import Network
    from crate.settings import Settings

HAS_HOST_END = True
#: a kept result: the mark, the container, the interface
_KEPT = ".cni."
_VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
#: names that mean something else for --network: podman's own file, too, is that of the default network
_RESERVED = ("bridge", "default", "host", "none", "pasta", "podman", "private", "slirp4netns")
_SUFFIXES = (".conflist", ".conf", ".json")


def names(settings: Settings) -> list[str]:
    """The names of the networks of the configuration directory, sorted; files that are none are passed over."""
    return sorted({found["name"] for _, found in _configurations(settings)})


def load(settings: Settings, name: str) -> Network:
    """The record of such a network. NotFoundError."""
    for path, found in _configurations(settings):
        if found["name"] == name:
            return _record(settings, path, found)
    raise NotFoundError(f"no such network: {name}", "`crate network ls` shows the networks")


def _configurations(settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    directory = str(settings.get("network.cni_config_directory"))
    try:
        files = sorted(os.listdir(directory))
    except OSError:
        return
    for file in files:
        if file.endswith(_SUFFIXES):
            found = _parse(f"{directory}/{file}")
            if found is not None and found["name"] not in _RESERVED:
                yield f"{directory}/{file}", found


def _parse(path: str) -> dict[str, Any] | None:
    """A configuration as a list of plugins; None for what is no network: a network of ours may still be used."""
    try:
        found = json.loads(addresses.read_text(path))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    if "plugins" not in found:
        common = {key: found[key] for key in ("cniVersion", "name") if key in found}
        found = {**common, "plugins": [found]}
    plugins, name = found["plugins"], found.get("name")
    sound = isinstance(plugins, list) and plugins and all(isinstance(one, dict) and one.get("type") for one in plugins)
    return found if sound and isinstance(name, str) and name else None


def _record(settings: Settings, path: str, found: dict[str, Any]) -> Network:
    from hashlib import sha256

    return {
        "version": 1,
        "name": found["name"],
        "id": sha256(f"cni {found['name']}".encode()).hexdigest(),
        "driver": "cni",
        "network_interface": str(found["plugins"][0].get("bridge") or ""),
        "created": NEVER,
        "subnets": [],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": not any(one["type"] == "dnsname" for one in found["plugins"]),
        "labels": {},
        "options": {
            "config": path,
            "plugins": ",".join(one["type"] for one in found["plugins"]),
            "portmap": "true" if _has(found["plugins"], "portMappings") else "",
            "directories": ":".join(settings.get("network.cni_plugin_directories")),
        },
        "ipam_options": {"driver": "cni"},
    }


def _has(plugins: Sequence[dict[str, Any]], capability: str) -> bool:
    return any((one.get("capabilities") or {}).get(capability) for one in plugins)


def ensure(network: Network) -> int:
    """Nothing is made before the plugins do; but their absence is told before anything else is. HostError."""
    found = _parse(network["options"]["config"])
    if found is None:
        raise HostError(f"cannot use network {network['name']}: {network['options']['config']} is no CNI configuration")
    version = found.get("cniVersion", "0.1.0")
    if version not in _VERSIONS:
        raise HostError(
            f"cannot use network {network['name']}: its CNI version {version} is not supported",
            f"one of {', '.join(_VERSIONS)} in {network['options']['config']}",
        )
    for plugin in found["plugins"]:
        cni_plugins.find(plugin["type"], network["options"]["directories"])
    return 0


def prepare(
    endpoint: Endpoint, settings: Settings, network: Network, attachment: Attachment, record: LeaseRecord
) -> None:
    """Keeps what ADD needs to know, before there is a namespace: the lease without its addresses, and the wishes."""
    kept = {
        "record": {**record},
        "network": endpoint["network"],
        "interface": endpoint["interface"],
        "directories": endpoint["options"]["directories"],
        "config": _parse(endpoint["options"]["config"]),
        "ips": [address for address in (attachment["ip"], attachment["ip6"]) if address],
        "mac": attachment["mac"],
        "result": None,
    }
    endpoint["keys"] = [f"{_KEPT}{record['container']}.{endpoint['interface']}"]
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        forgotten = _take_dead(leases)
        leases.replace(endpoint["keys"][0], json.dumps(kept))
    for one in forgotten:
        _delete(one, "", one["config"]["plugins"])


def _take_dead(leases: addresses.LeaseDirectory) -> list[dict[str, Any]]:
    """What is kept of containers whose owners died before anybody knew of them; it is taken away."""
    found = []
    for name in os.listdir(leases.path):
        if name.startswith(_KEPT):
            try:
                kept = json.loads(leases.note(name))
            except ValueError:
                kept = None  # spoilt: nobody knows what its plugins took
            if kept is None or not addresses.is_alive(kept["record"]):
                os.unlink(f"{leases.path}/{name}")
                found += [kept] if kept else []
    return found


def attach(endpoint: Endpoint, netns_fd: int, publishes: bool) -> None:
    """Has the plugins make the interface; notes what they gave it. HostError in the words of the plugin that fails."""
    key = endpoint["keys"][0]
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        kept = json.loads(leases.note(key))
    record: LeaseRecord = kept["record"]
    config = kept["config"]
    netns = f"/proc/{os.getpid()}/fd/{netns_fd}"
    call = _call(kept, netns)
    result: dict[str, Any] | None = None
    for place, plugin in enumerate(config["plugins"]):
        try:
            result = cni_plugins.run(call, "ADD", _one(plugin, kept, result, publishes))
        except HostError:
            _forget(endpoint)
            _delete(kept, netns, config["plugins"][: place + 1])
            raise
    kept["result"] = result
    _adopt(endpoint, result or {}, netns_fd)
    for name in ("address", "address6", "mac"):
        record[name] = endpoint[name]
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        leases.replace(key, json.dumps(kept))
        if address := endpoint["address"] or endpoint["address6"]:
            leases.write(address, {**record, "ports": []})
            endpoint["keys"] = [key, address]


def detach(endpoint: Endpoint, netns_fd: int) -> None:
    """Has the plugins undo what they did in a container that goes on. HostError."""
    _undo(endpoint, f"/proc/{os.getpid()}/fd/{netns_fd}")


def can_publish(place: Network | Endpoint) -> bool:
    """Whether a plugin of the list publishes ports."""
    return bool(place["options"].get("portmap"))


def publish(endpoint: Endpoint, table: str, ports: Sequence[Sequence[str | int]]) -> None:
    """The plugin has done so."""


def redirect(endpoint: Endpoint, table: str, ports: list[list[str | int]]) -> bool:
    """False: plugins publish when they make the interface, or never."""
    return False


def release(endpoint: Endpoint, container: str, *, published: bool) -> None:
    """Has the plugins give back what they took, for a container that ended; gives the address back. HostError."""
    if not endpoint["keys"]:
        return
    try:
        _undo(endpoint, "")
    finally:
        with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
            for key in endpoint["keys"][1:]:
                leases.remove(key, container)


def discard(endpoint: Endpoint, table: str, record: LeaseRecord | None) -> None:
    """Nothing is left: the firewall is the plugins'."""


def _undo(endpoint: Endpoint, netns: str) -> None:
    if text := _forget(endpoint):
        kept = json.loads(text)
        _delete(kept, netns, kept["config"]["plugins"])


def _forget(endpoint: Endpoint) -> str:
    """Takes away what is kept of an endpoint, so that nobody undoes it twice; gives its text, empty for none."""
    key = endpoint["keys"][0]
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        text = leases.note(key)
        if text:
            os.unlink(f"{leases.path}/{key}")
    return text


def _delete(kept: dict[str, Any], netns: str, plugins: Sequence[dict[str, Any]]) -> None:
    """DEL of each plugin, the last one first; all of them, and then the first error."""
    failure: HostError | None = None
    call = _call(kept, netns)
    for plugin in reversed(plugins):
        try:
            cni_plugins.run(call, "DEL", _one(plugin, kept, kept["result"], publishes=True))
        except HostError as error:
            failure = failure or error
    if failure and kept["result"]:
        raise failure


def _call(kept: dict[str, Any], netns: str) -> cni_plugins.Call:
    arguments = ["IgnoreUnknown=1", f"K8S_POD_NAME={(kept['record']['names'] or [''])[0]}"]
    if kept["ips"] and not _has(kept["config"]["plugins"], "ips"):
        arguments.append(f"IP={kept['ips'][0]}")
    if kept["mac"] and not _has(kept["config"]["plugins"], "mac"):
        arguments.append(f"MAC={kept['mac']}")
    return {
        "network": kept["network"],
        "container": kept["record"]["container"],
        "netns": netns,
        "interface": kept["interface"],
        "arguments": ";".join(arguments),
        "directories": kept["directories"],
    }


def _one(
    plugin: dict[str, Any],
    kept: dict[str, Any],
    previous: dict[str, Any] | None,
    publishes: bool,
) -> dict[str, Any]:
    """The configuration that one plugin of the list gets on its standard input."""
    config = kept["config"]
    wishes: dict[str, Any] = {
        "portMappings": [
            {"hostIP": host_ip, "hostPort": host_port, "containerPort": container_port, "protocol": protocol}
            for host_ip, host_port, container_port, protocol in (kept["record"]["ports"] if publishes else ())
        ],
        "ips": kept["ips"],
        "mac": kept["mac"],
        "aliases": {kept["network"]: kept["record"]["names"]},
    }
    declared = plugin.get("capabilities") or {}
    runtime = {key: value for key, value in wishes.items() if value and declared.get(key)}
    one = {key: value for key, value in plugin.items() if key != "capabilities"}
    one |= {"cniVersion": config.get("cniVersion", _VERSIONS[1]), "name": config["name"]}
    if runtime:
        one["runtimeConfig"] = runtime
    if previous:
        one["prevResult"] = previous
    return one


def _adopt(endpoint: Endpoint, result: dict[str, Any], netns_fd: int) -> None:
    """Notes what a result of the specification says of the container's interface."""
    interfaces = result.get("interfaces") or []
    for entry in result.get("ips") or ():
        place = entry.get("interface")
        if isinstance(place, int) and place < len(interfaces) and not interfaces[place].get("sandbox"):
            continue
        address, _, prefix = str(entry.get("address", "")).partition("/")
        addresses.parse_address(address)
        suffix = "6" if ":" in address else ""
        if not endpoint["address" + suffix]:  # type: ignore[literal-required]
            endpoint |= {"address" + suffix: address, "prefix" + suffix: int(prefix or 0)}  # type: ignore[misc]
            endpoint["gateway" + suffix] = entry.get("gateway") or ""  # type: ignore[literal-required]
    for one in interfaces:
        name = str(one.get("name", ""))
        if not one.get("sandbox") and name.startswith("veth"):
            endpoint["host_interface"] = name
    with netlink_in(netns_fd, NETLINK_ROUTE) as route:
        try:
            answers = route.request([route_messages.link_up(1), route_messages.link_by_name(endpoint["interface"])])
        except OSError as error:
            raise HostError(
                f"cannot use network {endpoint['network']}: its plugins made no interface {endpoint['interface']}"
            ) from error
        attributes = route_messages.parse_link(answers[0][1])[2]
        endpoint["mtu"] = route_messages.link_mtu(attributes)
        endpoint["mac"] = addresses.format_mac(attributes.get(1, b""))


def check_options(network: Network) -> None:
    """UsageError: such a network is made by a file of its own."""
    raise UsageError(
        f"cannot create network {network['name']}: networks of the driver cni are files",
        "put a .conflist into the directory of network.cni_config_directory",
    )
