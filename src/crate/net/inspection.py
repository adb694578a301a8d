"""What the host really has of a network: its bridge, by pyroute2, and the containers that hold its leases (cold)."""

from __future__ import annotations

import os

from crate.net.addresses import is_alive, parse_address, parse_subnet, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    from crate.net.store import Network
    from crate.settings import Settings

    class Member(TypedDict):
        """A container on a network: its id, and its interface as podman's `network inspect` has it."""

        container: str
        subnets: list[dict[str, str]]  # ipnet, gateway
        mac_address: str
        ports: list[list[str | int]]

    class Interface(TypedDict):
        """A bridge as the kernel has it. Empty addresses and members, and index 0, when it is not there."""

        index: int
        up: bool
        mtu: int
        mac_address: str
        addresses: list[str]
        members: list[str]


def members(network: Network, settings: Settings) -> list[Member]:
    """The living containers of a network, by address."""
    directory = f"{settings.get('network.lease_root')}/{network['network_interface']}"
    if not os.path.isdir(directory):
        return []
    found: list[tuple[bytes, Member]] = []
    for address, record in records(directory):
        if is_alive(record):
            packed = parse_address(address)
            subnets = []
            for subnet in network["subnets"]:
                own = record["address6"] if ":" in subnet["subnet"] else address
                prefix = parse_subnet(subnet["subnet"])[1]
                subnets.append({"ipnet": f"{own}/{prefix}", "gateway": subnet["gateway"]})
            member: Member = {
                "container": record["container"],
                "subnets": subnets,
                "mac_address": record["mac"],
                "ports": record["ports"],
            }
            found.append((packed, member))
    return [member for _, member in sorted(found, key=lambda item: item[0])]


def interface(network: Network) -> Interface:
    """The network's bridge on this host."""
    from pyroute2 import IPRoute

    shown: Interface = {"index": 0, "up": False, "mtu": 0, "mac_address": "", "addresses": [], "members": []}
    with IPRoute() as route:
        indexes = route.link_lookup(ifname=network["network_interface"])
        if not indexes:
            return shown
        index = indexes[0]
        link: Any = route.get_links(index)[0]
        shown["index"], shown["up"] = index, bool(link["flags"] & 1)
        shown["mtu"], shown["mac_address"] = link.get_attr("IFLA_MTU"), link.get_attr("IFLA_ADDRESS")
        for address in route.get_addr(index=index):
            shown["addresses"].append(f"{address.get_attr('IFA_ADDRESS')}/{address['prefixlen']}")
        for port in route.get_links(master=index):
            shown["members"].append(port.get_attr("IFLA_IFNAME"))
    return shown
