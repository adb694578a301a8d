"""The driver vxlan: a bridge of each host, joined over UDP by a VXLAN device that knows its peers from a list.

    container ─ veth ─ bridge ─ vxlan device ═ UDP port 4789 ═ vxlan device ─ bridge ─ veth ─ container

The bridge is that of the bridge driver, with firewall and published ports. Each host has an address range and a gateway
of its own within the one subnet (decision 118): nobody asks another host which address is free.
"""

from __future__ import annotations

import errno

from crate.errors import HostError, KernelError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink
from crate.net.addresses import format_address, nth, parse_address, parse_subnet
from crate.net.drivers import bridge, parent
from crate.net.netlink import device as device_messages
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.net.endpoint import Endpoint
    from crate.net.store import Network

HAS_HOST_END = True
_VNI_MAX = (1 << 24) - 1
_PORT = "4789"
#: what VXLAN, UDP, IP and the outer Ethernet header take of each packet
_OVERHEAD, _OVERHEAD6 = 50, 70
_MTU_MIN = 1280


def check_options(network: Network) -> None:
    """Checks the record of a new network, and fills in the gateways: the first address of each range. UsageError."""
    options = network["options"]
    _number("vni", options.get("vni", ""), _VNI_MAX)
    _number("port", options.get("port", _PORT), 65535)
    if not options.get("peers"):
        raise UsageError("a vxlan network needs the addresses of the other hosts", "give --opt peers=ADDRESS,ADDRESS…")
    sizes = {len(address) for address in _peers(options)} | {len(parse_address(options.get("local") or "0.0.0.0"))}
    if sizes != {4} and not (options.get("local") and len(sizes) == 1):
        raise UsageError("the peers of a vxlan network are all IPv4, or all IPv6 with --opt local=ADDRESS")
    for subnet in network["subnets"]:
        lease_range = subnet.get("lease_range")
        if not lease_range:
            raise UsageError(
                f"a vxlan network needs the part of {subnet['subnet']} that this host gives away",
                "give each host another --ip-range of one --subnet",
            )
        span = parse_subnet(subnet["subnet"])
        default = format_address(nth(span, 1))
        if subnet["gateway"] in ("", default):
            first = parse_address(lease_range["start_ip"])
            subnet["gateway"] = format_address(nth((first, 0), 0 if first[-1] else 1))


def ensure(network: Network) -> int:
    """The index of the bridge, which has the VXLAN device with exactly the peers of the record. HostError."""
    options, name = network["options"], device_name(network)
    with Netlink(NETLINK_ROUTE) as route:
        mtu = int(options.get("mtu") or 0) or _mtu(route, network)
        found = bridge.find(route, network["network_interface"])
        if found is None:
            _delete(route, name)  # of a bridge that somebody deleted
    index = bridge.ensure({**network, "options": {**options, "mtu": str(mtu)}})
    with Netlink(NETLINK_ROUTE) as route:
        device = bridge.find(route, name)
        if device is None:
            device = _create(route, network, index, mtu)
        if not device[1] & route_messages.IFF_UP:
            route.request([route_messages.link_up(device[0])])
        _set_peers(route, device[0], _peers(options), network)
    return index


def remove(network: Network, others: Sequence[Network]) -> None:
    """Deletes bridge and VXLAN device. KernelError."""
    bridge.remove(network, others)
    with Netlink(NETLINK_ROUTE) as route:
        _delete(route, device_name(network))


def attach(endpoint: Endpoint, netns_fd: int, publishes: bool) -> None:
    """As on a bridge, with the MTU that leaves room for the outer headers."""
    with Netlink(NETLINK_ROUTE) as route:
        found = bridge.find(route, endpoint["link"])
        if found is not None:
            endpoint["mtu"] = route_messages.link_mtu(found[2])
    bridge.attach(endpoint, netns_fd, publishes)


# the rest is that of a bridge
prepare, can_publish, publish, redirect = bridge.prepare, bridge.can_publish, bridge.publish, bridge.redirect
detach, release, discard = bridge.detach, bridge.release, bridge.discard


def device_name(network: Network) -> str:
    """The name of the VXLAN device beside the bridge."""
    return "vx-" + network["id"][:12]


def _create(route: Netlink, network: Network, master: int, mtu: int) -> tuple[int, int, dict[int, bytes]]:
    options, name = network["options"], device_name(network)
    lower = 0
    if options.get("parent"):
        found = bridge.find(route, options["parent"])
        if found is None:
            raise HostError(f"cannot use network {network['name']}: the host has no interface {options['parent']}")
        lower = found[0]
    settings: dict[str, int | str] = {
        "vxlan_id": int(options["vni"]),
        "vxlan_port": int(options.get("port", _PORT)),
        "vxlan_learning": int(options.get("learning", "true") == "true"),
        "master": master,
        "mtu": mtu,
    }
    if lower:
        settings["vxlan_link"] = lower
    if local := options.get("local"):
        settings["vxlan_local6" if ":" in local else "vxlan_local"] = local
    try:
        parent.make("vxlan", name, "vxlan", **settings)
    except KernelError as error:
        error.hint = "does another network of this host have the vni and the port?"
        raise
    made = bridge.find(route, name)
    if made is None:
        raise HostError(
            f"cannot create vxlan device {name} with vni {options['vni']}: this host has one already",
            "give each vxlan network of a host a vni of its own: --opt vni=NUMBER",
        )
    bridge.keep_off_link_local(route, made[0])
    return made


def _delete(route: Netlink, name: str) -> None:
    found = bridge.find(route, name)
    if found is None:
        return
    try:
        route.request([route_messages.delete_link(found[0])])
    except OSError as error:
        raise KernelError(f"delete vxlan device {name}", error) from error


def _set_peers(route: Netlink, index: int, wanted: list[bytes], network: Network) -> None:
    answers = route.request([device_messages.neighbours()])
    there = [found for _, payload in answers if (found := device_messages.parse_peer(payload, index)) is not None]
    drop, add = (
        [format_address(one) for one in some if one not in others]
        for some, others in ((there, wanted), (wanted, there))
    )
    if not (drop or add):
        return
    from crate.net.drivers import devices

    try:
        devices.set_peers(index, add, drop)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOENT):  # another process was first
            raise KernelError(f"set the peers of network {network['name']}", error) from error


def _mtu(route: Netlink, network: Network) -> int:
    """That of the interface towards the first peer, less the outer headers."""
    first = _peers(network["options"])[0]
    try:
        answers = route.request([device_messages.route_to(first)])
        index = route_messages.parse_route(answers[0][1])[2]
        links = [route_messages.parse_link(payload) for _, payload in route.request([route_messages.links()])]
        lower = next(route_messages.link_mtu(found) for number, _, found in links if number == index)
    except (OSError, StopIteration, IndexError):
        lower = 1500  # there is no route to it yet
    return max(min(lower, 65535) - (_OVERHEAD6 if len(first) == 16 else _OVERHEAD), _MTU_MIN)


def _peers(options: dict[str, str]) -> list[bytes]:
    return [parse_address(text.strip()) for text in options["peers"].replace(" ", ",").split(",") if text.strip()]


def _number(option: str, text: str, highest: int) -> None:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
        raise UsageError(f"invalid {option} {text}".rstrip(), f"give --opt {option}=NUMBER, from 1 to {highest}")
