"""The kernel's memory of UDP flows: a port that changes hands must not go on leading where it led (ctnetlink; cold).

A flow that never rests keeps its entry, and its entry decides before any rule: its packets would go to the address of
a container that has ended, or to the host, as long as the client goes on. TCP connections end with their container.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from struct import pack

from crate.linux.netlink import NETLINK_NETFILTER, NLM_F_ACK, NLM_F_DUMP, Netlink, attribute, attributes
from crate.net.addresses import format_address, parse_address
from crate.net.firewall.messages import nested

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_SUBSYSTEM, _GET, _DELETE = 1 << 8, 1, 2
_TUPLE_ORIG, _TUPLE_REPLY, _ID, _FILTER = 1, 2, 12, 25
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_PROTO_NUMBER, _PROTO_DESTINATION_PORT = 1, 3
_FILTER_ORIG_FLAGS, _FILTER_REPLY_FLAGS = 1, 2
_BY_PROTOCOL_AND_PORT = 1 << 3 | 1 << 5  # from Linux 5.8; an older kernel tells all that it knows
_UDP = 17


def forget_others(ports: Iterable[Sequence[str | int]], addresses: Collection[str]) -> None:
    """Forgets the flows to these host ports that lead elsewhere than to the container with these addresses."""
    own = {parse_address(address) for address in addresses if address}
    _forget(ports, own, False)


def forget_own(ports: Iterable[Sequence[str | int]], addresses: Collection[str]) -> None:
    """Forgets the flows to these host ports that lead to the container with these addresses, which has ended."""
    own = {parse_address(address) for address in addresses if address}
    _forget(ports, own, True)


def _forget(ports: Iterable[Sequence[str | int]], own: set[bytes], wanted: bool) -> None:
    """`ports` as in a lease's record: host address, host port, container port, protocol."""
    numbers = {int(port[1]) for port in ports if port[3] == "udp"}
    if not numbers:
        return
    try:
        with Netlink(NETLINK_NETFILTER) as netfilter:
            for family in (AF_INET, AF_INET6):
                for number in numbers:
                    for payload in _flows(netfilter, family, number):
                        _forget_one(netfilter, family, number, payload, own, wanted)
    except OSError:
        pass  # a kernel without ctnetlink: the flows end when they rest


def _flows(netfilter: Netlink, family: int, number: int) -> list[bytes]:
    port = attribute(_PROTO_DESTINATION_PORT, pack(">H", number))
    wanted = nested(_TUPLE_ORIG, nested(_TUPLE_PROTO, attribute(_PROTO_NUMBER, bytes([_UDP])), port))
    flags = attribute(_FILTER_ORIG_FLAGS, pack("=I", _BY_PROTOCOL_AND_PORT))
    flags += attribute(_FILTER_REPLY_FLAGS, pack("=I", 0))
    header = pack(">BBH", family, 0, 0)
    message = (_SUBSYSTEM | _GET, NLM_F_DUMP, header + wanted + nested(_FILTER, flags))
    return [payload for _, payload in netfilter.request([message])]


def _forget_one(netfilter: Netlink, family: int, number: int, payload: bytes, own: set[bytes], wanted: bool) -> None:
    found = attributes(payload, 4)
    asked, answered = (attributes(found.get(kind, b"")) for kind in (_TUPLE_ORIG, _TUPLE_REPLY))
    protocol = attributes(asked.get(_TUPLE_PROTO, b""))
    if protocol.get(_PROTO_NUMBER) != bytes([_UDP]) or protocol.get(_PROTO_DESTINATION_PORT) != pack(">H", number):
        return
    source, destination = (1, 2) if family == AF_INET else (3, 4)
    target = attributes(asked.get(_TUPLE_IP, b"")).get(destination, b"")
    server = attributes(answered.get(_TUPLE_IP, b"")).get(source, b"")
    # What goes out to the same port of another host is none of ours.
    if (server in own) != wanted or (server == target and not _is_local(target)):
        return
    flow = nested(_TUPLE_ORIG, found[_TUPLE_ORIG])
    if _ID in found:
        flow += attribute(_ID, found[_ID])
    try:
        netfilter.request([(_SUBSYSTEM | _DELETE, NLM_F_ACK, pack(">BBH", family, 0, 0) + flow)])
    except FileNotFoundError:
        pass  # it has just ended by itself


def _is_local(address: bytes) -> bool:
    """Whether a socket can be bound to it."""
    probe = socket(AF_INET if len(address) == 4 else AF_INET6, SOCK_DGRAM)
    try:
        probe.bind((format_address(address), 0))
    except OSError:
        return False
    finally:
        probe.close()
    return True
