"""The rtnetlink messages for more than bridge and veth at a start: macvlan, ipvlan, ifb, peers of VXLAN devices.

Numbers from linux/if_link.h and linux/neighbour.h; equal to pyroute2's bytes in a property test.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6
from struct import Struct

from crate.linux.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, attribute, attributes
from crate.net.netlink.route import RTM_NEWLINK, RTM_NEWROUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.linux.netlink import Message

RTM_GETROUTE = 26
_RTM_GETNEIGH = 30

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_NET_NS_FD = 18, 20, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_IFLA_MACVLAN_MODE, _IFLA_IPVLAN_MODE, _IFLA_IPVLAN_FLAGS = 1, 1, 2
_NDA_DST, _NDA_LLADDR = 1, 2
_AF_BRIDGE = 7
_RTA_DST, _RTA_OIF, _RTA_PRIORITY = 1, 4, 6
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_LINK, _RTN_UNICAST = 254, 3, 253, 1
_CREATE = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
#: what a VXLAN entry has for every address that has none of its own
ANY_MAC = bytes(6)

_ifinfo = Struct("=BxHiII")
_ndmsg = Struct("=BxxxiHBB")
_rtmsg = Struct("=BBBBBBBBI")
_u32, _u16 = Struct("=I"), Struct("=H")


def macvlan_data(mode: str) -> bytes:
    """The data of a macvlan: one of MACVLAN_MODES."""
    return attribute(_IFLA_MACVLAN_MODE, _u32.pack(MACVLAN_MODES[mode]))


def ipvlan_data(mode: str, flag: str) -> bytes:
    """The data of an ipvlan: of IPVLAN_MODES and IPVLAN_FLAGS."""
    return attribute(_IFLA_IPVLAN_MODE, _u16.pack(IPVLAN_MODES[mode])) + attribute(
        _IFLA_IPVLAN_FLAGS, _u16.pack(IPVLAN_FLAGS[flag])
    )


def device(
    kind: str,
    name: str,
    *,
    data: bytes = b"",
    parent: int = 0,
    master: int = 0,
    netns_fd: int = -1,
    mac: bytes = b"",
    mtu: int = 0,
) -> Message:
    """An interface of a kind, down; in another namespace where `netns_fd` is one, and then under its name there."""
    info = attribute(_IFLA_INFO_KIND, kind.encode() + b"\0")
    if data:
        info += attribute(_IFLA_INFO_DATA, data)
    payload = (
        _ifinfo.pack(0, 0, 0, 0, 0)
        + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        + (attribute(_IFLA_MTU, _u32.pack(mtu)) if mtu else b"")
        + (attribute(_IFLA_ADDRESS, mac) if mac else b"")
        + (attribute(_IFLA_LINK, _u32.pack(parent)) if parent else b"")
        + (attribute(_IFLA_MASTER, _u32.pack(master)) if master else b"")
        + (attribute(_IFLA_NET_NS_FD, _u32.pack(netns_fd)) if netns_fd >= 0 else b"")
        + attribute(_IFLA_LINKINFO, info)
    )
    return RTM_NEWLINK, _CREATE, payload


def rename(index: int, name: str) -> Message:
    """Gives an interface that is down another name."""
    return RTM_NEWLINK, NLM_F_ACK, _ifinfo.pack(0, 0, index, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0")


def name_of(found: dict[int, bytes]) -> str:
    """The name among the attributes of `route_messages.parse_link`."""
    return found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")


def alias(found: dict[int, bytes]) -> str:
    """The alias among the attributes of `route_messages.parse_link`; empty for none."""
    return found.get(_IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace")


def hardware_address(found: dict[int, bytes]) -> bytes:
    """The address among the attributes of `route_messages.parse_link`."""
    return found.get(_IFLA_ADDRESS, b"")


def neighbours() -> Message:
    """Asks for the forwarding entries of all bridges and VXLAN devices."""
    return _RTM_GETNEIGH, NLM_F_DUMP, _ifinfo.pack(_AF_BRIDGE, 0, 0, 0, 0)


def parse_peer(payload: bytes, index: int) -> bytes | None:
    """The address of a peer of the VXLAN device with this index (drivers/devices.py); None for any other entry."""
    _, found, _, _, _ = _ndmsg.unpack_from(payload)
    known = attributes(payload, _ndmsg.size)
    return known.get(_NDA_DST) if found == index and known.get(_NDA_LLADDR) == ANY_MAC else None


def route_to(address: bytes) -> Message:
    """Asks which route leads to an address. ENETUNREACH for none."""
    family, bits = (AF_INET6, 128) if len(address) == 16 else (AF_INET, 32)
    return RTM_GETROUTE, NLM_F_ACK, _rtmsg.pack(family, bits, 0, 0, 0, 0, 0, 0, 0) + attribute(_RTA_DST, address)


def route_without_gateway(index: int, family: int, metric: int = 0) -> Message:
    """A default route whose every destination is on the link itself: for ipvlan in l3, which has no neighbours."""
    scope = _RT_SCOPE_LINK if family == AF_INET else 0
    payload = (
        _rtmsg.pack(family, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, 0)
        + attribute(_RTA_OIF, _u32.pack(index))
        + (attribute(_RTA_PRIORITY, _u32.pack(metric)) if metric else b"")
    )
    return RTM_NEWROUTE, _CREATE, payload
