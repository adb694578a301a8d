"""The few rtnetlink messages that starting a container needs (rtnetlink(7)); pyroute2 makes all others.

Equal to pyroute2's bytes in a property test; importing pyroute2 takes 90 ms.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6
from struct import Struct

from crate.linux.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, attribute, attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.linux.netlink import Message

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26

IFF_UP = 0x1

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_AF_SPEC, _IFLA_NET_NS_FD = 26, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_IFLA_BRPORT_MODE, _IFLA_BRPORT_ISOLATED = 4, 33
_IFLA_INET6_ADDR_GEN_MODE, _IN6_ADDR_GEN_MODE_NONE = 8, b"\1"
_VETH_INFO_PEER = 1
_IFLA_BR_STP_STATE = 5
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1
_CREATE = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL

_ifinfo = Struct("=BxHiII")
_ifaddr = Struct("=BBBBI")
_rtmsg = Struct("=BBBBBBBBI")
_u32 = Struct("=I")


def _name(name: str) -> bytes:
    return attribute(_IFLA_IFNAME, name.encode() + b"\0")


def veth(
    name: str, *, master: int, mtu: int, mac: bytes, peer_name: str, peer_mac: bytes, peer_netns_fd: int
) -> Message:
    """A veth pair in one message: `name` up and on the bridge with index `master`, its peer down in another namespace.

    The peer must not carry IFF_UP: with it the kernel takes 20 times as long.
    """
    peer = (
        _ifinfo.pack(0, 0, 0, 0, 0)
        + _name(peer_name)
        + attribute(_IFLA_MTU, _u32.pack(mtu))
        + attribute(_IFLA_ADDRESS, peer_mac)
        + attribute(_IFLA_NET_NS_FD, _u32.pack(peer_netns_fd))
    )
    info = attribute(_IFLA_INFO_KIND, b"veth\0") + attribute(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer))
    payload = (
        _ifinfo.pack(0, 0, 0, IFF_UP, IFF_UP)
        + _name(name)
        + attribute(_IFLA_MTU, _u32.pack(mtu))
        + attribute(_IFLA_ADDRESS, mac)
        + attribute(_IFLA_MASTER, _u32.pack(master))
        + attribute(_IFLA_LINKINFO, info)
    )
    return RTM_NEWLINK, _CREATE, payload


def bridge(name: str, *, mac: bytes, mtu: int) -> Message:
    """A bridge, down, without spanning tree; with an address of its own it does not take the lowest of its ports."""
    info = attribute(_IFLA_INFO_KIND, b"bridge\0") + attribute(
        _IFLA_INFO_DATA, attribute(_IFLA_BR_STP_STATE, _u32.pack(0))
    )
    payload = (
        _ifinfo.pack(0, 0, 0, 0, 0)
        + _name(name)
        + attribute(_IFLA_MTU, _u32.pack(mtu))
        + attribute(_IFLA_ADDRESS, mac)
        + attribute(_IFLA_LINKINFO, info)
    )
    return RTM_NEWLINK, _CREATE, payload


def hairpin(name: str) -> Message:
    """Lets a port of a bridge get back the packets it sent: those for a published port of the container itself."""
    return _bridge_port(name, _IFLA_BRPORT_MODE)


def isolated(name: str) -> Message:
    """Keeps a port of a bridge from other ports that are isolated, too (from Linux 4.18)."""
    return _bridge_port(name, _IFLA_BRPORT_ISOLATED)


def _bridge_port(name: str, trait: int) -> Message:
    info = attribute(_IFLA_INFO_SLAVE_KIND, b"bridge\0") + attribute(_IFLA_INFO_SLAVE_DATA, attribute(trait, b"\1"))
    return RTM_NEWLINK, NLM_F_ACK, _ifinfo.pack(0, 0, 0, 0, 0) + _name(name) + attribute(_IFLA_LINKINFO, info)


def link_up(index: int) -> Message:
    """Brings an interface up."""
    return RTM_NEWLINK, NLM_F_ACK, _ifinfo.pack(0, 0, index, IFF_UP, IFF_UP)


def delete_link(index: int) -> Message:
    """Deletes an interface, a veth with its peer."""
    return RTM_DELLINK, NLM_F_ACK, _ifinfo.pack(0, 0, index, 0, 0)


def no_link_local(index: int) -> Message:
    """Keeps an interface that is to come up from making itself an IPv6 link-local address."""
    mode = attribute(AF_INET6, attribute(_IFLA_INET6_ADDR_GEN_MODE, _IN6_ADDR_GEN_MODE_NONE))
    return RTM_NEWLINK, NLM_F_ACK, _ifinfo.pack(0, 0, index, 0, 0) + attribute(_IFLA_AF_SPEC, mode)


def link_by_name(name: str) -> Message:
    """Asks for one interface; ENODEV when there is none."""
    return RTM_GETLINK, NLM_F_ACK, _ifinfo.pack(0, 0, 0, 0, 0) + _name(name)


def links() -> Message:
    """Asks for all interfaces."""
    return RTM_GETLINK, NLM_F_DUMP, _ifinfo.pack(0, 0, 0, 0, 0)


def address(index: int, packed: bytes, prefix: int) -> Message:
    """Gives an interface an address: 4 or 16 bytes. IPv6 without duplicate detection, which takes a second."""
    if len(packed) == 16:
        header = _ifaddr.pack(AF_INET6, prefix, _IFA_F_NODAD, 0, index)
        return RTM_NEWADDR, _CREATE, header + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    host_bits = (1 << 32 - prefix) - 1
    broadcast = (int.from_bytes(packed, "big") | host_bits).to_bytes(4, "big")
    payload = (
        _ifaddr.pack(AF_INET, prefix, 0, 0, index)
        + attribute(_IFA_LOCAL, packed)
        + attribute(_IFA_ADDRESS, packed)
        + attribute(_IFA_BROADCAST, broadcast)
    )
    return RTM_NEWADDR, _CREATE, payload


def route(index: int, gateway: bytes, *, to: tuple[bytes, int] = (b"", 0), metric: int = 0) -> Message:
    """A route through `gateway`, 4 or 16 bytes: to a subnet, or the default one."""
    family = AF_INET6 if len(gateway) == 16 else AF_INET
    payload = (
        _rtmsg.pack(family, to[1], 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0)
        + (attribute(_RTA_DST, to[0]) if to[1] else b"")
        + attribute(_RTA_GATEWAY, gateway)
        + attribute(_RTA_OIF, _u32.pack(index))
        + (attribute(_RTA_PRIORITY, _u32.pack(metric)) if metric else b"")
    )
    return RTM_NEWROUTE, _CREATE, payload


def addresses(family: int) -> Message:
    """Asks for all addresses of AF_INET or AF_INET6."""
    return RTM_GETADDR, NLM_F_DUMP, _ifaddr.pack(family, 0, 0, 0, 0)


def routes(family: int) -> Message:
    """Asks for all routes of AF_INET or AF_INET6, in every table."""
    return RTM_GETROUTE, NLM_F_DUMP, _rtmsg.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)


def parse_link(payload: bytes) -> tuple[int, int, dict[int, bytes]]:
    """Index, flags and attributes of an answer about an interface."""
    _, _, index, flags, _ = _ifinfo.unpack_from(payload)
    return index, flags, attributes(payload, _ifinfo.size)


def link_mtu(found: dict[int, bytes]) -> int:
    """The MTU among the attributes of `parse_link`."""
    return int(_u32.unpack(found[_IFLA_MTU])[0])


def link_name(found: dict[int, bytes]) -> str:
    """The name among the attributes of `parse_link`."""
    return found[_IFLA_IFNAME].rstrip(b"\0").decode()


def link_kind(found: dict[int, bytes]) -> str:
    """`bridge`, `veth`…; empty for hardware."""
    return attributes(found.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode()


def parse_address(payload: bytes) -> tuple[int, bytes, int]:
    """Interface index, local address (empty when there is none) and prefix of an answer about an address."""
    _, prefix, _, _, index = _ifaddr.unpack_from(payload)
    found = attributes(payload, _ifaddr.size)
    return index, found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b"")), prefix


def parse_route(payload: bytes) -> tuple[bytes, int, int]:
    """Destination (empty for the default route), prefix and interface index of an answer about a route."""
    found = attributes(payload, _rtmsg.size)
    index = _u32.unpack(found[_RTA_OIF])[0] if _RTA_OIF in found else 0
    return found.get(_RTA_DST, b""), payload[1], index
