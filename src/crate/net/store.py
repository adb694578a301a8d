"""The records of networks: one JSON file a network, in the form that `network inspect` shows."""

from __future__ import annotations

import os

from crate.errors import HostError, NotFoundError, UsageError
from crate.net.addresses import lock_directory
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NotRequired, Protocol, TypedDict

    from crate.net.addresses import LeaseRange

    class Roots(Protocol):
        """What the network needs to know of storage.roots.Roots."""

        graphroot: str
        runroot: str
        rootless: bool
        uid: int

    class Subnet(TypedDict):
        """One subnet of a network; the gateway is the bridge's address in it, empty where there is none."""

        subnet: str
        gateway: str
        lease_range: NotRequired[LeaseRange]

    class Route(TypedDict):
        """A route that every container of a network gets."""

        destination: str
        gateway: str
        metric: NotRequired[int]

    class Network(TypedDict):
        """The keys are podman's, so that `network inspect` can print the record."""

        version: int
        name: str
        id: str
        driver: str
        network_interface: str
        created: str
        subnets: list[Subnet]
        ipv6_enabled: bool
        internal: bool
        dns_enabled: bool
        labels: dict[str, str]
        options: dict[str, str]
        ipam_options: dict[str, str]
        network_dns_servers: NotRequired[list[str]]  # asked for what is no name of the network, instead of the host's
        routes: NotRequired[list[Route]]


VERSION = 1
#: the time of creation of a network that has no record here, but is described by somebody else's file
NEVER = "0001-01-01T00:00:00Z"
#: drivers whose containers are reached through a bridge of this host
ROUTED = ("bridge", "vxlan")
_NAME_MARKS = {ord(mark): None for mark in "_.-"}


def directory(roots: Roots) -> str:
    """Where the records are."""
    return f"{roots.graphroot}/networks"


def check_name(name: str) -> None:
    """UsageError unless the name is one: letters, digits, `_`, `.` and `-`, the first a letter or a digit."""
    if not (name.isascii() and name[:1].isalnum() and name.translate(_NAME_MARKS).isalnum()):
        raise UsageError(f"invalid network name: {name}", "use letters, digits, `_`, `.` and `-`")


def load(roots: Roots, name: str) -> Network:
    """The record of a network. NotFoundError when there is none, HostError for the record of a newer crate."""
    check_name(name)
    try:
        with open(f"{directory(roots)}/{name}.json", "rb", buffering=0) as file:
            text = file.read()
    except FileNotFoundError:
        raise NotFoundError(f"no such network: {name}", "`crate network ls` shows the networks") from None
    try:
        network: Network = json.loads(text)
    except ValueError as error:
        raise HostError(f"cannot read network {name}: {error}") from None
    if network["version"] > VERSION:
        raise HostError(f"cannot use network {name}: a newer crate made it", "upgrade crate")
    return network


def is_current(roots: Roots, network: Network) -> bool:
    """Whether the record of this very network is still there."""
    try:
        return load(roots, network["name"])["id"] == network["id"]
    except NotFoundError:
        return False


def names(roots: Roots) -> list[str]:
    """The names of all networks that have a record, sorted."""
    try:
        files = os.listdir(directory(roots))
    except FileNotFoundError:
        return []
    return sorted(file[:-5] for file in files if file.endswith(".json"))


def save(roots: Roots, network: Network) -> None:
    """Writes a record, whole or not at all, and makes it durable."""
    path = f"{directory(roots)}/{network['name']}.json"
    staging = f"{directory(roots)}/.{network['name']}.{os.getpid()}"
    with open(staging, "wb", buffering=0) as file:
        file.write(json.pretty(network).encode())
        os.fsync(file.fileno())
    os.rename(staging, path)
    fd = os.open(directory(roots), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove(roots: Roots, name: str) -> None:
    """Removes the record of a network. NotFoundError when there is none."""
    check_name(name)
    try:
        os.unlink(f"{directory(roots)}/{name}.json")
    except FileNotFoundError:
        raise NotFoundError(f"no such network: {name}") from None


def lock(roots: Roots) -> int:
    """A descriptor that holds the lock of all records until it is closed."""
    return lock_directory(directory(roots))
