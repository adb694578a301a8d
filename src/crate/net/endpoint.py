"""One place of a container on one network: an address, an interface, and the driver that joins the two.

A driver is a module with these functions (bridge, vxlan, macvlan for ipvlan too, cni), in the order of their calls:

    check_options   network create: is the record sound, for this driver
    ensure          the host has what the network needs; gives the index of the interface that endpoints hang on
    prepare         an address is taken; nothing of it is seen on the network yet
    attach          the interface is in the container's namespace, with addresses and routes
    can_publish     whether ports of the host can lead to its endpoints, when they are attached
    publish         the host's ports lead to an endpoint that was attached for them
    redirect        the same for one that was attached without; tells whether that could be
    detach          the interface is gone again, from a container that goes on
    release         the address is free for others
    discard         so is what nobody could observe: elements of the firewall
    remove          network rm: the host has what `ensure` made no more
    HAS_HOST_END    whether an interface of the host is the other end, on which a rate can be kept

An endpoint is plain JSON data, as the lease of the sandbox that it is part of. What most drivers do alike with
addresses is here: `lease`, `give_back`.
"""

from __future__ import annotations

import os

from crate.errors import HostError, UsageError
from crate.net import addresses
from crate.net.store import ROUTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NotRequired, TypedDict

    from crate.net.addresses import LeaseRecord
    from crate.net.store import Network, Subnet
    from crate.settings import Settings

    class Attachment(TypedDict):
        """What a container asks of one network; all texts may be empty but the network's name."""

        network: str
        ip: str
        ip6: str
        mac: str
        aliases: list[str]
        interface: str
        rates: NotRequired[list[str]]  # as --network-rate takes them

    class Endpoint(TypedDict):
        """All texts are empty and all numbers 0 where a network has no such thing."""

        network: str
        driver: str
        link: str  # the interface of the host that it hangs on: a bridge, or the parent
        link_index: int
        lease_directory: str
        keys: list[str]  # the names of its lease files
        interface: str
        host_interface: str
        address: str
        prefix: int
        gateway: str
        address6: str
        prefix6: int
        gateway6: str
        mac: str
        mtu: int
        metric: int  # of its default route: the smallest one's is taken
        internal: bool
        dns: bool  # whether the sandbox's owner answers with its names
        aliases: list[str]
        routes: list[list[str]]  # destination, gateway, metric
        options: dict[str, str]
        rates: NotRequired[dict[str, int]]  # bits a second, `in` to the container and `out` of it


MTU = 1500
#: of an ordinary user's networks: an uplink makes sockets of what it gets, and fewer packets are less work for it
UPLINK_MTU = 65520
_METRIC_STEP = 100


def driver_of(name: str) -> Any:
    """The module of a driver. HostError for one that this crate does not have."""
    if name == "bridge":
        from crate.net.drivers import bridge

        return bridge
    if name in ("macvlan", "ipvlan"):
        from crate.net.drivers import macvlan

        return macvlan
    if name == "vxlan":
        from crate.net.drivers import vxlan

        return vxlan
    if name == "cni":
        from crate.net.drivers import cni

        return cni
    raise HostError(f"cannot use a network with driver {name}: this crate does not know it", "upgrade crate")


def lease_directory(settings: Settings, network: Network) -> str:
    """Where the leases of a network are: by its bridge, which belongs to the host and not to a store (decision 62).

    That of a network without a bridge of its own begins with a dot: the firewall has nothing to do with it.
    """
    name = network["network_interface"] if network["driver"] in ROUTED else "." + network["id"][:12]
    return f"{settings.get('network.lease_root')}/{name}"


def make(
    settings: Settings, network: Network, attachment: Attachment, record: LeaseRecord, others: Sequence[Endpoint]
) -> Endpoint:
    """Takes an address of a network. `record` is what the lease file is to say; its addresses are filled in here.

    `others` are the endpoints that the container has. NameInUseError for a taken address, UsageError for one outside
    the network, HostError when there is none.
    """
    interfaces = [other["interface"] for other in others]
    endpoint = blank(network["driver"], attachment["interface"] or _free_interface(interfaces))
    endpoint["network"], endpoint["link"] = network["name"], network["network_interface"]
    endpoint["lease_directory"] = lease_directory(settings, network)
    endpoint["mac"], endpoint["aliases"] = attachment["mac"], attachment["aliases"]
    endpoint["mtu"] = int(network["options"].get("mtu") or MTU)
    endpoint["metric"] = max([other["metric"] + _METRIC_STEP for other in others], default=0)
    endpoint["internal"], endpoint["dns"] = network["internal"], network["dns_enabled"]
    endpoint["routes"] = [
        [route["destination"], route["gateway"], str(route.get("metric", 0))] for route in network.get("routes") or ()
    ]
    endpoint["options"] = network["options"]
    if rates := attachment.get("rates") or network["options"].get("rate", "").split():
        from crate.net import shaping

        shaping.set_rates(endpoint, rates)
    if endpoint["interface"] in interfaces:
        raise UsageError(f"cannot use the interface name {endpoint['interface']} for two networks")
    driver = driver_of(network["driver"])
    endpoint["link_index"] = driver.ensure(network)
    driver.prepare(endpoint, settings, network, attachment, record)
    return endpoint


def blank(driver: str, interface: str) -> Endpoint:
    """An endpoint of no network, whose interface has no address."""
    return {
        "network": "",
        "driver": driver,
        "link": "",
        "link_index": 0,
        "lease_directory": "",
        "keys": [],
        "interface": interface,
        "host_interface": "",
        "address": "",
        "prefix": 0,
        "gateway": "",
        "address6": "",
        "prefix6": 0,
        "gateway6": "",
        "mac": "",
        "mtu": 0,
        "metric": 0,
        "internal": False,
        "dns": False,
        "aliases": [],
        "routes": [],
        "options": {},
    }


def _free_interface(taken: list[str]) -> str:
    number = 0
    while f"eth{number}" in taken:
        number += 1
    return f"eth{number}"


def lease(
    endpoint: Endpoint, settings: Settings, network: Network, attachment: Attachment, record: LeaseRecord
) -> None:
    """Takes an address of the network's subnets. The errors are those of `make`."""
    table = str(settings.get("network.table"))
    subnet4, subnet6 = (_subnet(network, mark) for mark in (".", ":"))
    # One spelling, as the lease file's name: `fd00::5` and `FD00:0::5` are one address.
    ip, ip6 = (text and addresses.format_address(addresses.parse_address(text)) for text in _wanted(attachment))
    for wanted, subnet in ((ip, subnet4), (ip6, subnet6)):
        if wanted:
            _check(wanted, subnet, network)
    subnet = subnet4 or subnet6
    if subnet is None and network["ipam_options"].get("driver") == "none":
        endpoint["mac"] = endpoint["mac"] or addresses.format_mac(b"\x02\x42" + os.urandom(4))
        return
    if subnet is None:
        raise HostError(f"cannot lease an address: network {network['name']} has no subnet")
    key = ip if subnet4 else ip6
    span = addresses.parse_subnet(subnet["subnet"])
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        if network["driver"] in ROUTED:
            from crate.net.firewall import nftables

            nftables.ensure(table, leases, network)
        if key:
            leases.check(key)
        else:
            beside = None
            if subnet4 and subnet6 and not ip6:
                beside = addresses.parse_subnet(subnet6["subnet"]), subnet6["gateway"]
            key = leases.next_free(span, subnet["gateway"], subnet.get("lease_range"), beside)
        endpoint["keys"].append(key)
        packed = addresses.parse_address(key)
        if subnet4:
            endpoint["address"], endpoint["prefix"], endpoint["gateway"] = key, span[1], subnet4["gateway"]
        if subnet6:
            # The same place in its subnet as the IPv4 address has, so that one lease covers both.
            span6 = addresses.parse_subnet(subnet6["subnet"])
            number = int.from_bytes(packed, "big") - int.from_bytes(span[0], "big")
            endpoint["address6"] = ip6 or addresses.format_address(addresses.nth(span6, number))
            endpoint["prefix6"], endpoint["gateway6"] = span6[1], subnet6["gateway"]
            if subnet4 and ip6:
                leases.check(ip6)
                leases.check_place(ip6, span6, span)
                endpoint["keys"].append(ip6)
            elif subnet4:
                _check(endpoint["address6"], subnet6, network)
                leases.check(endpoint["address6"])
        endpoint["mac"] = endpoint["mac"] or addresses.format_mac(addresses.mac_of(packed))
        record["address"], record["address6"] = endpoint["address"], endpoint["address6"]
        record["mac"] = endpoint["mac"]
        dead = leases.read(key)
        leases.write(key, record)
        for other in endpoint["keys"][1:]:
            leases.write(other, {**record, "address": "", "ports": [], "names": []})
    if dead is not None and dead["ports"]:  # its owner was killed; nothing of its ports may lead to this container
        nftables.withdraw(table, endpoint["lease_directory"], key, dead)


def _wanted(attachment: Attachment) -> tuple[str, str]:
    return attachment["ip"], attachment["ip6"]


def _subnet(network: Network, mark: str) -> Subnet | None:
    """The first subnet of a network that is written with this mark: `.` or `:`."""
    return next((subnet for subnet in network["subnets"] if mark in subnet["subnet"]), None)


def _check(wanted: str, subnet: Subnet | None, network: Network) -> None:
    name = network["name"]
    if subnet is None:
        version = "IPv6" if ":" in wanted else "IPv4"
        raise UsageError(f"cannot use address {wanted}: network {name} has no {version} subnet")
    packed, span = addresses.parse_address(wanted), addresses.parse_subnet(subnet["subnet"])
    if not addresses.contains(span, packed):
        raise UsageError(f"address {wanted} is not in subnet {subnet['subnet']} of network {name}")
    # The first one of an IPv6 subnet is any router's (RFC 4291, 2.6.1); there is no broadcast.
    no_hosts = [span[0]] if len(packed) == 16 else [span[0], addresses.nth(span, (1 << 32 - span[1]) - 1)]
    if packed in no_hosts:
        kind = "address of the network" if packed == span[0] else "broadcast address"
        raise UsageError(f"address {wanted} is the {kind} of subnet {subnet['subnet']}, and no container's")
    if subnet["gateway"] and packed == addresses.parse_address(subnet["gateway"]):
        raise UsageError(f"address {wanted} is the gateway of network {name}")


def give_back(endpoint: Endpoint, container: str, *, published: bool) -> None:
    """Frees the address. One that ports lead to keeps its file, as nobody's, until the firewall knows."""
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        for number, key in enumerate(endpoint["keys"]):
            if published and number == 0:
                leases.give_back(key, container)
            else:
                leases.remove(key, container)


def give_back_stray(directory: str, container: str, held: Sequence[str]) -> None:
    """Frees the addresses that a killed command took for a container; those `held` are of its endpoints."""
    with addresses.LeaseDirectory(directory) as leases:
        for key, _ in list(addresses.records(directory)):
            if key not in held:
                leases.remove(key, container)


def note_ports(endpoint: Endpoint, ports: list[list[str | int]]) -> None:
    """Writes into the lease file what leads to the endpoint from now on."""
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        record = leases.read(endpoint["keys"][0])
        if record is not None:
            leases.write(endpoint["keys"][0], {**record, "ports": ports})


def note_name(endpoint: Endpoint, container: str, name: str) -> None:
    """Writes the new name of a running container into the lease file."""
    with addresses.LeaseDirectory(endpoint["lease_directory"]) as leases:
        record = leases.read(endpoint["keys"][0])
        if record is not None and record["container"] == container:
            leases.write(endpoint["keys"][0], {**record, "names": [name, *record["names"][1:]]})


def ip(endpoint: Endpoint) -> list[str]:
    """Its addresses: one, two, or none."""
    return [address for address in (endpoint["address"], endpoint["address6"]) if address]
