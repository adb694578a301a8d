"""From the options of `network create` to the record of a network: its subnets, gateways, interface; cold.

Nothing is made but the record: the bridge is, when the first container joins.
"""

from __future__ import annotations

import os
import time
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from crate.errors import NameInUseError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink
from crate.net import store
from crate.net.addresses import overlaps, parse_subnet
from crate.net.default_network import default_mtu, free_subnet, used_subnets
from crate.net.drivers.bridge import find
from crate.net.endpoint import MTU, UPLINK_MTU, driver_of
from crate.net.rates import parse_rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from crate.net.addresses import LeaseRange
    from crate.net.store import Network, Roots, Route, Subnet
    from crate.settings import Settings

    Span = IPv4Network | IPv6Network

DRIVERS = ("bridge", "macvlan", "ipvlan", "vxlan")
#: words of `--network` that mean no network of that name
RESERVED = ("bridge", "container", "default", "host", "none", "ns", "pasta", "private", "slirp4netns")
_INTERFACE_MAX = 15
#: docker's names of options
_ALIASES = {
    "com.docker.network.driver.mtu": "mtu",
    "com.docker.network.bridge.name": "bridge_name",
    "com.docker.network.bridge.enable_icc": "icc",
    "com.docker.network.bridge.enable_ip_masquerade": "masquerade",
    "com.docker.network.bridge.host_binding_ipv4": "host_ip",
    "macvlan_mode": "mode",
    "ipvlan_mode": "mode",
    "ipvlan_flag": "flag",
}
_BOOLEANS = {"true": "true", "1": "true", "false": "false", "0": "false"}
#: what a bridge understands, and whether it is a truth
_BRIDGE_OPTIONS = {
    "mtu": False,
    "bridge_name": False,
    "host_ip": False,
    "isolate": True,
    "icc": True,
    "masquerade": True,
    "rate": False,
}
_VXLAN_OPTIONS = {
    **_BRIDGE_OPTIONS,
    **dict.fromkeys(("vni", "peers", "port", "local", "parent"), False),
    "learning": True,
}
_OPTIONS = {
    "bridge": _BRIDGE_OPTIONS,
    "vxlan": _VXLAN_OPTIONS,
    "macvlan": dict.fromkeys(("parent", "vlan", "mode", "mtu"), False),
    "ipvlan": dict.fromkeys(("parent", "vlan", "mode", "flag", "mtu"), False),
}
#: --ipam-driver: podman's names, docker's; a bridge knows the first alone
_IPAM = {"": "host-local", "default": "host-local", "host-local": "host-local", "none": "none", "dhcp": "dhcp"}


def create(roots: Roots, settings: Settings, options: dict[str, Any]) -> Network:
    """Makes the record of a new network, by one process at a time, and gives it.

    UsageError for what is wrong in itself, NameInUseError for a name or a subnet that is taken, HostError when no
    subnet is free.
    """
    lock_fd = store.lock(roots)
    try:
        names = store.names(roots)
        name = options.get("name") or _free_name(names)
        store.check_name(name)
        if name in RESERVED:
            raise UsageError(
                f"cannot create a network with the name {name}: it is a network mode", "choose another name"
            )
        if name in names or name in (settings.get("network.default"), settings.get("network.bridge")):
            raise NameInUseError(f"network name {name} already used", "`crate network ls` shows the networks")
        network = _define(name, roots, settings, options, [store.load(roots, other) for other in names])
        store.save(roots, network)
        return network
    finally:
        os.close(lock_fd)


def _free_name(names: Sequence[str]) -> str:
    number = 1
    while f"crate{number}" in names:
        number += 1
    return f"crate{number}"


def _define(name: str, roots: Roots, settings: Settings, options: dict[str, Any], others: Sequence[Network]) -> Network:
    driver = options.get("driver") or "bridge"
    if driver not in DRIVERS:
        raise UsageError(f"unsupported network driver {driver}", f"one of {', '.join(DRIVERS)}")
    identifier = os.urandom(32).hex()
    ipam = _ipam(driver, options)
    driver_options = _options(driver, options.get("opt") or ())
    interface = str(options.get("interface_name") or "")
    if driver in store.ROUTED:
        with Netlink(NETLINK_ROUTE) as route:
            interface = interface or driver_options.get("bridge_name") or f"br-{identifier[:12]}"
            driver_options.pop("bridge_name", None)
            _check_interface(name, interface, route, others)
            mtu = UPLINK_MTU if roots.rootless else default_mtu(route)
            if "mtu" not in driver_options and mtu != MTU and driver == "bridge":
                driver_options["mtu"] = str(mtu)
            subnets = _subnets(settings, options, others, used_subnets(route))
    else:  # its subnet is that of the wire, which this host and other networks may be on as well
        subnets = _subnets(settings, options, [], []) if ipam != "none" else []
    network: Network = {
        "version": store.VERSION,
        "name": name,
        "id": identifier,
        "driver": driver,
        "network_interface": interface,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "subnets": subnets,
        "ipv6_enabled": any(":" in subnet["subnet"] for subnet in subnets),
        "internal": bool(options.get("internal")),
        "dns_enabled": not options.get("disable_dns"),
        "labels": _labels(options.get("label") or ()),
        "options": driver_options,
        "ipam_options": {"driver": ipam},
    }
    if servers := options.get("dns"):
        network["network_dns_servers"] = check_servers(servers)
    if routes := options.get("route"):
        network["routes"] = [_route(text) for text in routes]
    driver_of(driver).check_options(network)
    return network


def _ipam(driver: str, options: dict[str, Any]) -> str:
    given = str(options.get("ipam_driver") or "")
    ipam = _IPAM.get(given)
    if ipam is None or (ipam != "host-local" and driver in store.ROUTED):
        raise UsageError(f"unsupported ipam driver {given}", "crate chooses addresses: host-local")
    wanted = options.get("subnet") or ipam == "none" or (options.get("internal") and ipam != "dhcp")
    if driver not in store.ROUTED and not wanted:
        raise UsageError(
            f"a {driver} network needs the subnet of its wire: crate has no DHCP client",
            "give --subnet, --gateway and, for the part of it that is yours, --ip-range",
        )
    return ipam


def _options(driver: str, given: Iterable[str]) -> dict[str, str]:
    found, known = {}, _OPTIONS[driver]
    for text in given:
        for pair in text.split(",") if "," in text and "=" in text.partition(",")[2] else [text]:
            key, equals, value = pair.partition("=")
            key = _ALIASES.get(key, key)
            if key not in known:
                raise UsageError(f"unsupported {driver} network option {key}", f"known are {', '.join(sorted(known))}")
            if known[key]:
                value = _BOOLEANS.get(value.lower() if equals else "true", "strict" if value == "strict" else "")
            if not value:
                raise UsageError(f"invalid value of the network option {pair}")
            found[key] = value
    if "rate" in found:
        parse_rates(found["rate"].split())
    if "host_ip" in found:
        check_address("host_ip", found["host_ip"])
    if "mtu" in found and not (found["mtu"].isascii() and found["mtu"].isdigit() and 68 <= int(found["mtu"]) <= 65535):
        raise UsageError(f"invalid mtu {found['mtu']}", "a number of bytes from 68 to 65535")
    return found


def _check_interface(name: str, interface: str, route: Netlink, others: Sequence[Network]) -> None:
    if not 0 < len(interface) <= _INTERFACE_MAX or "/" in interface or interface.split() != [interface]:
        raise UsageError(f"invalid bridge name {interface}", f"at most {_INTERFACE_MAX} characters, without blanks")
    for other in others:
        if other["network_interface"] == interface:
            raise NameInUseError(f"bridge name {interface} already in use by network {other['name']}")
    if find(route, interface) is not None:
        raise NameInUseError(f"cannot create network {name}: the host has an interface {interface}")


def _subnets(
    settings: Settings, options: dict[str, Any], others: Sequence[Network], used: list[tuple[bytes, int]]
) -> list[Subnet]:
    used = used + [parse_subnet(subnet["subnet"]) for other in others for subnet in other["subnets"]]
    wanted = [_span(text) for text in options.get("subnet") or ()]
    if (options.get("gateway") or options.get("ip_range")) and not wanted:
        option = "gateway" if options.get("gateway") else "ip-range"
        raise UsageError(f"cannot set --{option} without a subnet", "give --subnet too")
    for number, span in enumerate(wanted):
        if any(span.version == other.version and span.overlaps(other) for other in wanted[:number]):
            raise UsageError(f"conflicting subnets: {span} is given twice, or overlaps another one")
        if any(overlaps(parse_subnet(str(span)), taken) for taken in used):
            raise NameInUseError(
                f"subnet {span} is already used on the host or by another network",
                "`ip route` and `crate network ls` show what is in use; leave --subnet away for a free one",
            )
    if len([span for span in wanted if span.version == 4]) > 1 or len([one for one in wanted if one.version == 6]) > 1:
        raise UsageError("a network has one subnet of IPv4 and one of IPv6 at most")
    if not any(span.version == 4 for span in wanted) and not (wanted or options.get("ipv4") is False):
        wanted.insert(0, _free(settings, used))
    if options.get("ipv6") and not any(span.version == 6 for span in wanted):
        # RFC 4193: forty random bits, then one subnet of the site.
        wanted.append(IPv6Network((b"\xfd" + os.urandom(5) + bytes(10), 64)))
    if not wanted:
        raise UsageError("a network without addresses: --ipv4=false needs --ipv6")
    subnets: list[Subnet] = [{"subnet": str(span), "gateway": str(span[1])} for span in wanted if _fits(span)]
    for text in options.get("gateway") or ():
        place = _place(text, "gateway", wanted)
        if ip_address(text) in (wanted[place][0], wanted[place].broadcast_address):
            raise UsageError(f"--gateway {text} is the first or the last address of {wanted[place]}, and no host's")
        subnets[place]["gateway"] = str(ip_address(text))
    for text in options.get("ip_range") or ():
        lease_range = _range(text)
        place = _place(lease_range["start_ip"], "ip-range", wanted)
        if _place(lease_range["end_ip"], "ip-range", wanted) != place:
            raise UsageError(f"invalid ip range {text}: its ends are in different subnets")
        if wanted[place].version != wanted[0].version and wanted[0].version == 4:
            raise UsageError(
                f"cannot use --ip-range {text}: an IPv6 address has the place of the IPv4 one in its subnet",
                "give --ip-range of the IPv4 subnet",
            )
        subnets[place]["lease_range"] = lease_range
    return subnets


def _span(text: str) -> Span:
    try:
        return ip_network(text)
    except ValueError as error:
        try:
            hint = f"write it as {ip_network(text, strict=False)}"
        except ValueError:
            hint = "write it as address/prefix: 10.89.1.0/24"
        raise UsageError(f"invalid subnet {text}: {str(error).partition(' ')[2] or error}", hint) from None


def _fits(span: Span) -> bool:
    if span.num_addresses < 4:
        raise UsageError(f"invalid subnet {span}: it has no room for a gateway and a container")
    if span.is_multicast or span.is_loopback or span.is_link_local:
        raise UsageError(f"invalid subnet {span}: no container can have an address of it")
    return True


def _free(settings: Settings, used: list[tuple[bytes, int]]) -> Span:
    pools = [str(pool) for pool in settings.get("network.address_pools")]
    # One that is a single subnet is for the default network, if there are others.
    cut = [pool for pool in pools if pool.count("/") == 2]
    address, prefix = free_subnet(cut or pools, used)
    return IPv4Network((address, prefix))


def _place(text: str, option: str, wanted: Sequence[Span]) -> int:
    """Which subnet an address is in. UsageError for none."""
    try:
        address = ip_address(text)
    except ValueError:
        raise UsageError(f"invalid --{option}: {text} is not an ip address") from None
    for number, span in enumerate(wanted):
        if address in span:
            return number
    raise UsageError(f"--{option} {text} is not in subnet {' or '.join(map(str, wanted))}")


def _range(text: str) -> LeaseRange:
    first, dash, last = text.partition("-")
    if dash:
        for end in (first, last):
            check_address("--ip-range", end)
        if int(ip_address(first)) > int(ip_address(last)):
            raise UsageError(f"invalid ip range {text}: it ends before it begins")
        return {"start_ip": first, "end_ip": last}
    span = _span(text)
    return {"start_ip": str(span[0]), "end_ip": str(span[-1])}


def _labels(given: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (text.partition("=") for text in given)}


def _route(text: str) -> Route:
    destination, _, rest = text.partition(",")
    gateway, comma, metric = rest.partition(",")
    try:
        if not gateway or ip_network(destination).version != ip_address(gateway).version:
            raise ValueError
        if comma and not (metric.isascii() and metric.isdigit() and int(metric) < 1 << 32):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"invalid route {text}", "write it as destination,gateway[,metric]: 10.1.0.0/16,10.89.1.5,100"
        ) from None
    route: Route = {"destination": destination, "gateway": gateway}
    return {**route, "metric": int(metric)} if comma else route


def check_servers(servers: Iterable[str]) -> list[str]:
    """UsageError for what is no address of a DNS server."""
    for server in servers:
        check_address("--dns", server)
    return list(servers)


def check_address(option: str, text: str) -> None:
    """UsageError for what is no address."""
    try:
        ip_address(text)
    except ValueError:
        raise UsageError(f"invalid {option}: {text} is not an ip address") from None


def update_servers(roots: Roots, name: str, add: Sequence[str], drop: Sequence[str]) -> Network:
    """Changes the DNS servers that a network asks for what it does not know. UsageError, NotFoundError."""
    lock_fd = store.lock(roots)
    try:
        network = store.load(roots, name)
        servers = network.get("network_dns_servers", [])
        for server in check_servers(drop):
            if server not in servers:
                raise UsageError(f"network {name} has no DNS server {server}")
        kept = [server for server in servers if server not in drop]
        network["network_dns_servers"] = list(dict.fromkeys([*kept, *check_servers(add)]))
        store.save(roots, network)
        return network
    finally:
        os.close(lock_fd)
