"""crate's nftables table: its sets, chains and static rules, and the messages that make them (cold: once a boot).

`nft list table inet crate` shows, for each of IPv4 and IPv6 (N is 4 or 6):

    set bridges            the interfaces of crate's networks
    set pairs              each of them twice: what stays on one bridge
    set internal           those that nothing leaves and nothing enters
    set open               those that are not isolated from each other (`network create -o isolate=false`)
    set networksN          the subnets whose packets leave the host with its address
    map publishedN         host address . protocol . host port : container's address . port
    map anyN               protocol . host port : container's address . port, for every address of the host

Networks and containers only add and remove elements; so whoever finds the table spoilt can assert all of it in one
atomic batch, and no packet meets it half made.
"""

from __future__ import annotations

from struct import Struct

from crate.linux.netlink import NLM_F_ACK, NLM_F_CREATE, attribute
from crate.net.addresses import nth, parse_subnet
from crate.net.firewall.expressions import META_L4PROTO as _META_L4PROTO
from crate.net.firewall.expressions import NETWORK_HEADER as _NETWORK_HEADER
from crate.net.firewall.expressions import REG_1 as _REG_1
from crate.net.firewall.expressions import TRANSPORT_HEADER as _TRANSPORT_HEADER
from crate.net.firewall.expressions import compare as _compare
from crate.net.firewall.expressions import expression as _expression
from crate.net.firewall.expressions import meta as _meta
from crate.net.firewall.expressions import payload as _payload
from crate.net.firewall.messages import (
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    NFT_MSG_DELRULE,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWSET,
    NFT_MSG_NEWTABLE,
    flush_elements,
    message,
    nested,
    number,
    text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.linux.netlink import Message
    from crate.net.firewall.messages import Element

_NLM_F_APPEND = 0x800
_ASSERT = NLM_F_ACK | NLM_F_CREATE  # without NLM_F_EXCL: what is there already is no failure

# Hooks and priorities as in linux/netfilter.h and linux/netfilter_ipv4.h.
_PREROUTING, _FORWARD, _OUTPUT, _POSTROUTING = 0, 2, 3, 4
_PRIORITY_RAW, _PRIORITY_DSTNAT, _PRIORITY_FILTER, _PRIORITY_SRCNAT = -300, -100, 0, 100

# Types of nft's user space, by which `nft list` knows how to print keys; six bits each in a concatenation.
_TYPE_IPADDR, _TYPE_IP6ADDR, _TYPE_INET_PROTOCOL, _TYPE_INET_SERVICE, _TYPE_IFNAME = 7, 8, 12, 13, 41
_SET_INTERVAL, _SET_MAP = 0x4, 0x8

# Registers: 1 and 2 hold 16 bytes each; 8 to 23 are the same memory in words of four bytes.
_REG_2, _WORD_0 = 2, 8
_META_IIFNAME, _META_OIFNAME, _META_NFPROTO = 6, 7, 15
_DROP, _ACCEPT = 0, 1
_CT_STATE, _CT_STATUS = 0, 2
_ESTABLISHED_OR_RELATED = 0x2 | 0x4
_STATUS_DNAT = 0x20
_RTN_LOCAL = 2

_u32 = Struct("=I")  # what the kernel puts into a register is in host order


class _Family:
    """Where a family keeps its addresses, and the names of its sets."""

    def __init__(self, suffix: str, nfproto: int, source: int, destination: int, size: int, kind: int) -> None:
        self.nfproto, self.source, self.destination, self.size, self.kind = nfproto, source, destination, size, kind
        self.networks, self.published, self.any = f"networks{suffix}", f"published{suffix}", f"any{suffix}"
        self.words = size // 4


_FAMILIES = (
    _Family("4", NFPROTO_IPV4, 12, 16, 4, _TYPE_IPADDR),
    _Family("6", NFPROTO_IPV6, 8, 24, 16, _TYPE_IP6ADDR),
)


def interface_key(name: str) -> bytes:
    """An interface name as the kernel compares it."""
    return name.encode().ljust(16, b"\0")


def _lookup(name: str, *, inverted: bool = False) -> bytes:
    return _expression("lookup", text(1, name), number(2, _REG_1), number(5, 1 if inverted else 0))


def _map(name: str) -> bytes:
    return _expression("lookup", text(1, name), number(2, _REG_1), number(3, _REG_1))


def _conntrack_has(key: int, bits: int) -> bytes:
    mask, zero = _u32.pack(bits), bytes(4)
    return (
        _expression("ct", number(2, key), number(1, _REG_1))
        + _expression(
            "bitwise",
            number(1, _REG_1),
            number(2, _REG_1),
            number(3, 4),
            nested(4, attribute(1, mask)),
            nested(5, attribute(1, zero)),
        )
        + _compare(zero, equal=False)
    )


def _verdict(code: int) -> bytes:
    return _expression("immediate", number(1, 0), nested(2, nested(2, number(1, code))))


def _host_address() -> bytes:
    """`fib daddr type local`: the packet is for an address of this host, 127.0.0.0/8 and ::1 included."""
    local = _u32.pack(_RTN_LOCAL)
    return _expression("fib", number(3, 2), number(2, 3), number(1, _REG_1)) + _compare(local)


def _out(name: str, *, inverted: bool = False) -> bytes:
    return _meta(_META_OIFNAME) + _lookup(name, inverted=inverted)


def _of(family: _Family) -> bytes:
    return _meta(_META_NFPROTO) + _compare(bytes([family.nfproto]))


def _from_network(family: _Family) -> bytes:
    return _of(family) + _payload(_NETWORK_HEADER, family.source, family.size) + _lookup(family.networks)


def _to_container(family: _Family) -> bytes:
    """`dnat to` the address and port that a map has just put into the registers."""
    return _expression(
        "nat", number(1, 1), number(2, family.nfproto), number(3, _REG_1), number(5, _WORD_0 + family.words)
    )


_MASQUERADE = _expression("masq")
_IPV4 = _FAMILIES[0]
# For `nft list` alone: the key is in host order (NFTNL_UDATA_SET_KEYBYTEORDER); else it prints "".
_HOST_ORDER = attribute(13, b"\0\4" + _u32.pack(1))
_LO = b"lo\0".ljust(16, b"\0")


def _loopback_drop() -> list[bytes]:
    # Nothing from outside may name 127.0.0.0/8, whatever route_localnet says: neither a forged packet for a port
    # published on 127.0.0.1 nor a container that wants the host's own services (CVE-2020-8558).
    return [
        _meta(_META_IIFNAME)
        + _compare(_LO, equal=False)
        + _of(_IPV4)
        + _payload(_NETWORK_HEADER, _IPV4.destination, 1)
        + _compare(b"\x7f")
        + _verdict(_DROP)
    ]


def _destination_nat() -> list[bytes]:
    rules = []
    for family in _FAMILIES:
        first = _WORD_0 + family.words
        protocol_and_port = _meta(_META_L4PROTO, first) + _payload(_TRANSPORT_HEADER, 2, 2, first + 1)
        address = _payload(_NETWORK_HEADER, family.destination, family.size)
        rules.append(_of(family) + address + protocol_and_port + _map(family.published) + _to_container(family))
        protocol_and_port = _meta(_META_L4PROTO) + _payload(_TRANSPORT_HEADER, 2, 2, _WORD_0 + 1)
        host = _of(family) + _host_address()
        if family.nfproto == NFPROTO_IPV6:
            # Nothing leaves this host with ::1 as its source; such connections are left to the owner's proxy.
            host += address + _compare(bytes(15) + b"\1", equal=False)
        rules.append(host + protocol_and_port + _map(family.any) + _to_container(family))
    return rules


def _source_nat() -> list[bytes]:
    # The host's own connection to 127.0.0.1 must leave with an address that the container can answer.
    loopback = _payload(_NETWORK_HEADER, _IPV4.source, 1) + _compare(b"\x7f")
    rules = [_of(_IPV4) + loopback + _out("bridges") + _MASQUERADE]
    for family in _FAMILIES:
        outward = _meta(_META_OIFNAME) + _compare(_LO, equal=False) + _lookup("bridges", inverted=True)
        rules.append(_from_network(family) + outward + _MASQUERADE)
        # A container that asks for a published port of its own network: the answer must come back through the host.
        hairpin = _out("bridges") + _conntrack_has(_CT_STATUS, _STATUS_DNAT)
        rules.append(_from_network(family) + hairpin + _MASQUERADE)
    return rules


def _isolation() -> list[bytes]:
    pair = _meta(_META_IIFNAME) + _meta(_META_OIFNAME, _REG_2) + _lookup("pairs")
    from_internal = _meta(_META_IIFNAME) + _lookup("internal")
    between_open = _meta(_META_IIFNAME) + _lookup("open") + _out("open")
    return [
        pair + _verdict(_ACCEPT),  # seen here only where br_netfilter is loaded
        from_internal + _verdict(_DROP),
        _out("internal") + _verdict(_DROP),
        _out("bridges") + _conntrack_has(_CT_STATE, _ESTABLISHED_OR_RELATED) + _verdict(_ACCEPT),
        _out("bridges") + _conntrack_has(_CT_STATUS, _STATUS_DNAT) + _verdict(_ACCEPT),
        between_open + _verdict(_ACCEPT),
        # Other networks, and other hosts that route to our subnets: only published ports are for them.
        _out("bridges") + _verdict(_DROP),
    ]


def network_elements(interface: str, subnets: Sequence[str], traits: Sequence[str]) -> dict[str, list[Element]]:
    """What the sets have of one network. `traits`: `internal`, `open`, `routed` (its addresses are seen outside)."""
    key = interface_key(interface)
    sets: dict[str, list[Element]] = {"bridges": [(key, b"", False)], "pairs": [(key + key, b"", False)]}
    for name in ("internal", "open"):
        if name in traits:
            sets[name] = [(key, b"", False)]
    for subnet in () if "routed" in traits else subnets:
        span = parse_subnet(subnet)
        after = nth(span, 1 << len(span[0]) * 8 - span[1])
        networks = sets.setdefault("networks6" if len(span[0]) == 16 else "networks4", [])
        networks += [(span[0], b"", False), (after, b"", True)]
    return sets


def foreign_accept(chain: str, bridge: str, nfproto: int, comment: bytes) -> list[Message]:
    """Puts rules at the top of a chain of iptables' filter table that accept what a bridge sends and gets."""
    messages = []
    for key in (_META_IIFNAME, _META_OIFNAME):
        # As iptables writes it (a counter, the name up to its NUL), so that iptables can show the rule.
        match = _meta(key) + _compare(bridge.encode() + b"\0")
        rule = match + _expression("counter", attribute(1, bytes(8)), attribute(2, bytes(8))) + _verdict(_ACCEPT)
        parts = [text(1, "filter"), text(2, chain), nested(4, rule), attribute(7, comment)]
        messages.append(message(NFT_MSG_NEWRULE, _ASSERT, *parts, family=nfproto))
    return messages


def _chains() -> list[tuple[str, str, int, int, list[bytes]]]:
    """Name, type, hook, priority and rules of each chain."""
    return [
        ("raw", "filter", _PREROUTING, _PRIORITY_RAW, _loopback_drop()),
        ("prerouting", "nat", _PREROUTING, _PRIORITY_DSTNAT, _destination_nat()),
        ("output", "nat", _OUTPUT, _PRIORITY_DSTNAT, _destination_nat()),
        ("postrouting", "nat", _POSTROUTING, _PRIORITY_SRCNAT, _source_nat()),
        ("forward", "filter", _FORWARD, _PRIORITY_FILTER, _isolation()),
    ]


def _sets() -> list[tuple[str, int, int, int, int, int]]:
    """Name, flags, type and size of the key, type and size of the value of each set."""
    sets = [
        ("bridges", 0, _TYPE_IFNAME, 16, 0, 0),
        ("pairs", 0, _TYPE_IFNAME << 6 | _TYPE_IFNAME, 32, 0, 0),
        ("internal", 0, _TYPE_IFNAME, 16, 0, 0),
        ("open", 0, _TYPE_IFNAME, 16, 0, 0),
    ]
    socket = _TYPE_INET_PROTOCOL << 6 | _TYPE_INET_SERVICE
    for family in _FAMILIES:
        target = family.kind << 6 | _TYPE_INET_SERVICE, family.size + 4
        sets.append((family.networks, _SET_INTERVAL, family.kind, family.size, 0, 0))
        sets.append((family.published, _SET_MAP, family.kind << 12 | socket, family.size + 8, *target))
        sets.append((family.any, _SET_MAP, socket, 8, *target))
    return sets


def assert_table(table: str) -> tuple[list[Message], int]:
    """The messages, for one batch, after which the table is as it should be, and how many rules it has then.

    They make what is missing and put every chain's rules in again. The maps are empty then, the sets keep elements.
    """
    messages = [message(NFT_MSG_NEWTABLE, _ASSERT, text(1, table))]
    for serial, (name, flags, key, key_size, value, value_size) in enumerate(_sets(), 1):
        parts = [text(1, table), text(2, name), number(3, flags), number(4, key), number(5, key_size)]
        if key == _TYPE_IFNAME:
            parts.append(_HOST_ORDER)
        if value:
            parts += [number(6, value), number(7, value_size)]
        messages.append(message(NFT_MSG_NEWSET, _ASSERT, *parts, number(10, serial)))
        if flags & _SET_MAP:
            messages.append(flush_elements(table, name))
    count = 0
    for name, kind, hook, priority, rules in _chains():
        place = nested(4, number(1, hook), number(2, priority))
        accept = number(5, _ACCEPT)
        messages.append(message(NFT_MSG_NEWCHAIN, _ASSERT, text(1, table), text(3, name), place, accept, text(7, kind)))
        messages.append(message(NFT_MSG_DELRULE, NLM_F_ACK, text(1, table), text(2, name)))
        for rule in rules:
            parts = [text(1, table), text(2, name), nested(4, rule)]
            messages.append(message(NFT_MSG_NEWRULE, _ASSERT | _NLM_F_APPEND, *parts))
        count += len(rules)
    return messages, count
