"""The bytes of our messages for further interfaces and for shaping are those of pyroute2."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from crate.net.netlink import device as device_messages
from crate.net.netlink import shaping as shaping_messages

if TYPE_CHECKING:
    from crate.linux.netlink import Message

names = st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters="/:%"), min_size=1, max_size=15)
indexes = st.integers(1, 2**31 - 1)
mtus = st.integers(68, 65535)
macs = st.binary(min_size=6, max_size=6)
addresses = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)


def encoded(kind: Any, fields: dict[str, int], attrs: list[Any]) -> bytes:
    message = kind()
    for key, value in fields.items():
        message[key] = value
    message["attrs"] = attrs
    message.reset()
    message.encode()
    return bytes(message.data[16:])


def text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))


def link(name: str, kind: str, data: list[Any], *more: tuple[str, Any]) -> bytes:
    info: list[Any] = [("IFLA_INFO_KIND", kind)]
    if data:
        info.append(("IFLA_INFO_DATA", {"attrs": data}))
    return encoded(ifinfmsg, {}, [("IFLA_IFNAME", name), *more, ("IFLA_LINKINFO", {"attrs": info})])


def decoded(message: Message) -> Any:
    """As pyroute2 reads a message of traffic control."""
    data = message[2]
    read = tcmsg((len(data) + 16).to_bytes(4, "little") + message[0].to_bytes(2, "little") + bytes(10) + data)
    read.decode()
    return read


def payload(message: Message) -> bytes:
    return message[2]


@given(names, indexes, mtus, macs, st.integers(0, 2**20), st.sampled_from(sorted(device_messages.MACVLAN_MODES)))
def test_macvlan(name: str, parent: int, mtu: int, mac: bytes, fd: int, mode: str) -> None:
    data = device_messages.macvlan_data(mode)
    ours = device_messages.device("macvlan", name, data=data, parent=parent, netns_fd=fd, mac=mac, mtu=mtu)
    assert payload(ours) == link(
        name, "macvlan", [("IFLA_MACVLAN_MODE", mode)],
        ("IFLA_MTU", mtu), ("IFLA_ADDRESS", mac.hex(":")), ("IFLA_LINK", parent), ("IFLA_NET_NS_FD", fd),
    )  # fmt: skip


@given(names, indexes, st.sampled_from(sorted(device_messages.IPVLAN_MODES)), st.sampled_from(["bridge", "vepa"]))
def test_ipvlan(name: str, parent: int, mode: str, flag: str) -> None:
    number, bits = device_messages.IPVLAN_MODES[mode], device_messages.IPVLAN_FLAGS[flag]
    data = device_messages.ipvlan_data(mode, flag)
    assert data[8:] == b"\6\0\2\0" + bits.to_bytes(2, "little") + bytes(2)  # pyroute2 does not know the flags
    ours = device_messages.device("ipvlan", name, data=data[:8], parent=parent)
    assert payload(ours) == link(name, "ipvlan", [("IFLA_IPVLAN_MODE", number)], ("IFLA_LINK", parent))


@given(indexes, addresses)
def test_peer(index: int, address: bytes) -> None:
    fields = {"family": 7, "ifindex": index, "state": 0xC0, "flags": 2}
    attrs = [("NDA_LLADDR", "00:00:00:00:00:00"), ("NDA_DST", text(address))]
    theirs = encoded(ndmsg, fields, attrs)
    assert device_messages.parse_peer(theirs, index) == address
    assert device_messages.parse_peer(theirs, index + 1) is None


@given(indexes, st.integers(1, 2**31))
def test_route_without_gateway(index: int, metric: int) -> None:
    fields = {"family": 2, "table": 254, "proto": 3, "scope": 253, "type": 1}
    theirs = encoded(rtmsg, fields, [("RTA_OIF", index), ("RTA_PRIORITY", metric)])
    assert payload(device_messages.route_without_gateway(index, 2, metric)) == theirs


@given(indexes, names)
def test_rename(index: int, name: str) -> None:
    theirs = encoded(ifinfmsg, {"index": index}, [("IFLA_IFNAME", name)])
    assert payload(device_messages.rename(index, name)) == theirs


@given(indexes, st.integers(8000, 10**13), st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_bucket(index: int, bits: int, burst: int, limit: int) -> None:
    read = decoded(shaping_messages.bucket(index, bits, burst, limit))
    assert (read["index"], read["parent"], read["handle"]) == (index, 0xFFFFFFFF, 0x10000)
    assert read.get_attr("TCA_KIND") == "tbf"
    parameters = read.get_attr("TCA_OPTIONS").get_attr("TCA_TBF_PARMS")
    assert parameters["rate"] == min(bits // 8, 2**32 - 1) and parameters["limit"] == limit


@given(indexes, indexes)
def test_redirect(index: int, target: int) -> None:
    read = decoded(shaping_messages.redirect(index, target))
    assert (read["index"], read["parent"], read["info"]) == (index, 0xFFFF0000, 0x10300)
    action = read.get_attr("TCA_OPTIONS").get_attr("TCA_U32_ACT").get_attr("TCA_ACT_PRIO_1")
    parameters = action.get_attr("TCA_ACT_OPTIONS").get_attr("TCA_MIRRED_PARMS")
    assert action.get_attr("TCA_ACT_KIND") == "mirred"
    assert (parameters["action"], parameters["eaction"], parameters["ifindex"]) == (4, 1, target)
