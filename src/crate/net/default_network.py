"""Makes the record of the default network: a bridge name and a subnet that nothing on this host uses (cold, once)."""

from __future__ import annotations

import os
import time
from _socket import AF_INET, AF_INET6

from crate.errors import HostError, NotFoundError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink
from crate.net import store
from crate.net.addresses import format_address, nth, overlaps, parse_address, parse_subnet
from crate.net.drivers.bridge import find
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crate.net.store import Network, Roots, Subnet
    from crate.settings import Settings


def ensure(roots: Roots, settings: Settings) -> Network:
    """The record of the default network; made when there is none, by one process at a time."""
    name, bridge = str(settings.get("network.default")), str(settings.get("network.bridge"))
    lock_fd = store.lock(roots)
    try:
        try:
            return store.load(roots, name)
        except NotFoundError:
            network = _renamed(roots, bridge, name) or _design(name, bridge, settings)
            store.save(roots, network)
            if bridge != name and bridge in store.names(roots):
                store.remove(roots, bridge)
            return network
    finally:
        os.close(lock_fd)


def _renamed(roots: Roots, old: str, name: str) -> Network | None:
    """The default network of a store from when it was called as its bridge."""
    try:
        return {**store.load(roots, old), "name": name, "id": _identifier(name)}
    except NotFoundError:
        return None


def _design(name: str, bridge: str, settings: Settings) -> Network:
    with Netlink(NETLINK_ROUTE) as route:
        taken = find(route, bridge)
        if taken is not None and route_messages.link_kind(taken[2]) != "bridge":
            raise HostError(
                f"cannot create network {name}: an interface {bridge} that is no bridge exists",
                "choose another network.bridge in config.toml",
            )
        adopted = _address_of(route, taken[0]) if taken is not None else None
        subnet = adopted or _gateway(free_subnet(list(settings.get("network.address_pools")), used_subnets(route)))
        mtu = default_mtu(route)
    subnets = [subnet]
    if ipv6 := str(settings.get("network.ipv6_subnet") or ""):
        subnets.append(_gateway(parse_subnet(ipv6)))
    return {
        "version": store.VERSION,
        "name": name,
        "id": _identifier(name),
        "driver": "bridge",
        "network_interface": bridge,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "subnets": subnets,
        "ipv6_enabled": len(subnets) > 1,
        "internal": False,
        "dns_enabled": False,
        "labels": {},
        "options": {"mtu": str(mtu)},
        "ipam_options": {"driver": "host-local"},
    }


def _identifier(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def _gateway(subnet: tuple[bytes, int]) -> Subnet:
    return {"subnet": f"{format_address(subnet[0])}/{subnet[1]}", "gateway": format_address(nth(subnet, 1))}


def _address_of(route: Netlink, index: int) -> Subnet | None:
    """The IPv4 subnet of a bridge that another store of this host made; both then share the leases of the bridge."""
    for _, payload in route.request([route_messages.addresses(AF_INET)]):
        found, local, prefix = route_messages.parse_address(payload)
        if found == index and local:
            base = int.from_bytes(local, "big") >> 32 - prefix << 32 - prefix
            subnet = format_address(base.to_bytes(4, "big"))
            return {"subnet": f"{subnet}/{prefix}", "gateway": format_address(local)}
    return None


def used_subnets(route: Netlink) -> list[tuple[bytes, int]]:
    """Every subnet that this host has a route to, and its nameservers; default routes are no use of anything."""
    used = []
    for family in (AF_INET, AF_INET6):
        for _, payload in route.request([route_messages.routes(family)]):
            destination, prefix, _ = route_messages.parse_route(payload)
            if destination and prefix > 1:  # halves of everything are default routes (OpenVPN)
                used.append((destination, prefix))
    return used + [(server, len(server) * 8) for server in _nameservers()]


def _nameservers() -> Iterator[bytes]:
    """A subnet that covers a nameserver would hide it from the host, though no route of its own leads there."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            lines = file.read(65536).splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                yield parse_address(words[1].partition("%")[0])
            except UsageError:
                continue


def candidates(pool: str) -> Iterator[tuple[bytes, int]]:
    """The subnets of a pool: `10.88.0.0/16` is one, `10.88.0.0/14/16` are four of prefix 16. UsageError otherwise."""
    base, _, size = pool.rpartition("/")
    if "/" not in base:
        yield parse_subnet(pool)
        return
    subnet = parse_subnet(base)
    if not (size.isascii() and size.isdigit() and subnet[1] <= int(size) <= 30):
        raise UsageError(f"invalid address pool: {pool}", "write it as address/prefix/size: 10.88.0.0/14/16")
    for number in range(1 << int(size) - subnet[1]):
        yield nth(subnet, number << 32 - int(size)), int(size)


def free_subnet(pools: Sequence[str], used: Sequence[tuple[bytes, int]]) -> tuple[bytes, int]:
    """The first subnet of the pools that overlaps nothing in use. HostError when there is none."""
    for pool in pools:
        for candidate in candidates(str(pool)):
            if not any(overlaps(candidate, subnet) for subnet in used):
                return candidate
    raise HostError(
        "cannot create a network: every subnet of the address pools overlaps a route of this host",
        "give network.address_pools in config.toml another subnet",
    )


def default_mtu(route: Netlink) -> int:
    """The MTU of the interface with the default route: a larger one on the bridge would need fragments."""
    for _, payload in route.request([route_messages.routes(AF_INET)]):
        destination, _, index = route_messages.parse_route(payload)
        if not destination and index:
            for _, link in route.request([route_messages.links()]):
                found, _, attributes = route_messages.parse_link(link)
                if found == index:
                    return min(route_messages.link_mtu(attributes), 1500)
    return 1500
