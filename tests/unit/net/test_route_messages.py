"""The bytes of our rtnetlink messages are those of pyroute2."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from crate.linux.netlink import attribute, attributes
from crate.net.netlink import route as route_messages

if TYPE_CHECKING:
    from crate.linux.netlink import Message

names = st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters="/:%"), min_size=1, max_size=15)
indexes = st.integers(1, 2**31 - 1)
mtus = st.integers(68, 65535)
macs = st.binary(min_size=6, max_size=6)
addresses4 = st.binary(min_size=4, max_size=4)
addresses6 = st.binary(min_size=16, max_size=16)
addresses = addresses4 | addresses6


def encoded(kind: Any, fields: dict[str, int], attrs: list[Any]) -> bytes:
    message = kind()
    for key, value in fields.items():
        message[key] = value
    message["attrs"] = attrs
    message.reset()
    message.encode()
    return bytes(message.data[16:])


def payload(message: Message) -> bytes:
    return message[2]


@given(names, indexes, mtus, macs, names, macs, st.integers(0, 2**20))
def test_veth(name: str, master: int, mtu: int, mac: bytes, peer: str, peer_mac: bytes, fd: int) -> None:
    ours = route_messages.veth(
        name, master=master, mtu=mtu, mac=mac, peer_name=peer, peer_mac=peer_mac, peer_netns_fd=fd
    )
    far_end = [
        ("IFLA_IFNAME", peer),
        ("IFLA_MTU", mtu),
        ("IFLA_ADDRESS", peer_mac.hex(":")),
        ("IFLA_NET_NS_FD", fd),
    ]
    info = [
        ("IFLA_INFO_KIND", "veth"),
        ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", {"attrs": far_end})]}),
    ]
    theirs = [
        ("IFLA_IFNAME", name),
        ("IFLA_MTU", mtu),
        ("IFLA_ADDRESS", mac.hex(":")),
        ("IFLA_MASTER", master),
        ("IFLA_LINKINFO", {"attrs": info}),
    ]
    assert payload(ours) == encoded(ifinfmsg, {"flags": 1, "change": 1}, theirs)


@given(names, macs, mtus)
def test_bridge(name: str, mac: bytes, mtu: int) -> None:
    data = {"attrs": [("IFLA_BR_STP_STATE", 0)]}
    theirs = [
        ("IFLA_IFNAME", name),
        ("IFLA_MTU", mtu),
        ("IFLA_ADDRESS", mac.hex(":")),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", data)]}),
    ]
    ours = route_messages.bridge(name, mac=mac, mtu=mtu)
    assert payload(ours) == encoded(ifinfmsg, {}, theirs)


@given(indexes)
def test_link_up(index: int) -> None:
    fields = {"index": index, "flags": 1, "change": 1}
    assert payload(route_messages.link_up(index)) == encoded(ifinfmsg, fields, [])


@given(indexes)
def test_no_link_local(index: int) -> None:
    mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]}
    theirs = encoded(ifinfmsg, {"index": index}, [("IFLA_AF_SPEC", {"attrs": [("AF_INET6", mode)]})])
    assert payload(route_messages.no_link_local(index)) == theirs


@given(names)
def test_hairpin(name: str) -> None:
    info = [
        ("IFLA_INFO_SLAVE_KIND", "bridge"),
        ("IFLA_INFO_SLAVE_DATA", {"attrs": [("IFLA_BRPORT_MODE", 1)]}),
    ]
    theirs = encoded(ifinfmsg, {}, [("IFLA_IFNAME", name), ("IFLA_LINKINFO", {"attrs": info})])
    assert payload(route_messages.hairpin(name)) == theirs


@given(names)
def test_link_by_name(name: str) -> None:
    assert payload(route_messages.link_by_name(name)) == encoded(ifinfmsg, {}, [("IFLA_IFNAME", name)])


@given(indexes, addresses4, st.integers(1, 32))
def test_ipv4_address(index: int, packed: bytes, prefix: int) -> None:
    interface = ipaddress.IPv4Interface((packed, prefix))
    theirs = [
        ("IFA_LOCAL", str(interface.ip)),
        ("IFA_ADDRESS", str(interface.ip)),
        ("IFA_BROADCAST", str(interface.network.broadcast_address)),
    ]
    fields = {"family": 2, "prefixlen": prefix, "index": index}
    assert payload(route_messages.address(index, packed, prefix)) == encoded(ifaddrmsg, fields, theirs)


@given(indexes, addresses6, st.integers(1, 128))
def test_ipv6_address(index: int, packed: bytes, prefix: int) -> None:
    text = str(ipaddress.IPv6Address(packed))
    fields = {"family": 10, "prefixlen": prefix, "index": index, "flags": 0x02}
    theirs = encoded(ifaddrmsg, fields, [("IFA_LOCAL", text), ("IFA_ADDRESS", text)])
    assert payload(route_messages.address(index, packed, prefix)) == theirs


@given(indexes, addresses)
def test_route(index: int, gateway: bytes) -> None:
    family = 2 if len(gateway) == 4 else 10
    fields = {"family": family, "table": 254, "proto": 3, "scope": 0, "type": 1}
    theirs = [("RTA_GATEWAY", str(ipaddress.ip_address(gateway))), ("RTA_OIF", index)]
    assert payload(route_messages.route(index, gateway)) == encoded(rtmsg, fields, theirs)


@given(indexes, names, mtus)
def test_an_answer_about_an_interface_is_read(index: int, name: str, mtu: int) -> None:
    attrs = [("IFLA_IFNAME", name), ("IFLA_MTU", mtu), ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge")]})]
    answer = encoded(ifinfmsg, {"index": index, "flags": 0x1043}, attrs)
    found, flags, rest = route_messages.parse_link(answer)
    assert (found, flags) == (index, 0x1043)
    assert route_messages.link_mtu(rest) == mtu
    assert route_messages.link_kind(rest) == "bridge"


@given(indexes, addresses4, st.integers(0, 32))
def test_an_answer_about_a_route_is_read(index: int, packed: bytes, prefix: int) -> None:
    attrs = [("RTA_TABLE", 254), ("RTA_DST", str(ipaddress.ip_address(packed))), ("RTA_OIF", index)]
    answer = encoded(rtmsg, {"family": 2, "dst_len": prefix}, attrs)
    assert route_messages.parse_route(answer) == (packed, prefix, index)


def test_an_answer_about_a_default_route_has_no_destination() -> None:
    answer = encoded(rtmsg, {"family": 2}, [("RTA_GATEWAY", "10.0.0.1"), ("RTA_OIF", 4)])
    assert route_messages.parse_route(answer) == (b"", 0, 4)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), unique_by=lambda item: item[0]))
def test_attributes_come_back(items: list[tuple[int, bytes]]) -> None:
    assert attributes(b"".join(attribute(*item) for item in items)) == dict(items)


@given(st.binary(max_size=200))
def test_broken_attributes_end_the_reading(data: bytes) -> None:
    attributes(data)
