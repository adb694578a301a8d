"""The way of a container's DNS questions to the owner of its sandbox: sockets in its namespace, and rules there.

    127.0.0.11:53, UDP and TCP   what resolv.conf says (docker's address)
    127.0.0.11:a high port       sockets of the owner's; the rules change the port of what comes, and back of what goes

So a container may serve DNS itself, on 0.0.0.0:53 too. The rules rewrite packets one by one, without connection
tracking, which every other packet of the container would pay for; input at the end and output at the beginning, so that
rules of the container's own see port 53. A container that removes them harms itself alone.
"""

from __future__ import annotations

import os
from _socket import AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, inet_pton, socket

from crate.errors import KernelError
from crate.linux.netlink import NETLINK_NETFILTER, NLM_F_ACK, NLM_F_CREATE, Netlink, open_socket
from crate.linux.other_network import sockets_in
from crate.net.files import NAMES_ADDRESS
from crate.net.firewall.expressions import (
    META_L4PROTO,
    NETWORK_HEADER,
    TRANSPORT_HEADER,
    compare,
    meta,
    payload,
    set_payload,
)
from crate.net.firewall.messages import (
    NFPROTO_IPV4,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWTABLE,
    batch,
    message,
    nested,
    number,
    text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.linux.netlink import Message

_PORT = 53
_BACKLOG = 64
_TABLE = "crate"
_APPEND = NLM_F_ACK | NLM_F_CREATE | 0x800
#: number, place of the checksum in its header
_UDP, _TCP = (17, 6), (6, 16)
_SOURCE_ADDRESS, _TARGET_ADDRESS = 12, 16
_SOURCE_PORT, _TARGET_PORT = 0, 2
_INPUT, _OUTPUT = 1, 3
_LAST_PRIORITY, _FIRST_PRIORITY = 300, -400


def open_door(netns_fd: int) -> list[int]:
    """The owner's sockets, UDP and TCP, in a network namespace whose loopback is up. KernelError."""
    try:
        try:
            udp, tcp, netfilter = sockets_in(netns_fd, lambda: [*_bound(0), open_socket(NETLINK_NETFILTER)])
            with Netlink(NETLINK_NETFILTER, netfilter) as link:
                link.request(batch(_rules(udp.getsockname()[1], tcp.getsockname()[1])))
        except OSError:
            # A kernel without nf_tables: port 53 itself, which the container then cannot have on every address.
            udp, tcp = sockets_in(netns_fd, lambda: _bound(_PORT))
    except OSError as error:
        raise KernelError("answer DNS in the container's network namespace", error) from error
    return [udp.detach(), tcp.detach()]


def close_door(fds: list[int]) -> None:
    """No more answers; for the process that opened it, or has the descriptors from there."""
    for fd in fds:
        os.close(fd)


def _bound(port: int) -> list[socket]:
    made = []
    for kind in (SOCK_DGRAM, SOCK_STREAM):
        one = socket(AF_INET, kind | SOCK_CLOEXEC | SOCK_NONBLOCK)
        made.append(one)
        one.bind((NAMES_ADDRESS, port))
    made[1].listen(_BACKLOG)
    return made


def _rules(udp: int, tcp: int) -> list[Message]:
    def make(kind: int, *parts: bytes, flags: int = NLM_F_ACK | NLM_F_CREATE) -> Message:
        return message(kind, flags, *parts, family=NFPROTO_IPV4)

    messages = [make(NFT_MSG_NEWTABLE, text(1, _TABLE))]
    chains = (
        ("questions", _INPUT, _LAST_PRIORITY, _TARGET_ADDRESS, _TARGET_PORT),
        ("answers", _OUTPUT, _FIRST_PRIORITY, _SOURCE_ADDRESS, _SOURCE_PORT),
    )
    for name, hook, priority, address_at, port_at in chains:
        place = nested(4, number(1, hook), number(2, priority))
        messages.append(make(NFT_MSG_NEWCHAIN, text(1, _TABLE), text(3, name), place, text(7, "filter")))
        for (protocol, checksum_at), high in ((_UDP, udp), (_TCP, tcp)):
            seen, meant = (_PORT, high) if hook == _INPUT else (high, _PORT)
            rule = (
                payload(NETWORK_HEADER, address_at, 4)
                + compare(inet_pton(AF_INET, NAMES_ADDRESS))
                + meta(META_L4PROTO)
                + compare(bytes([protocol]))
                + payload(TRANSPORT_HEADER, port_at, 2)
                + compare(seen.to_bytes(2, "big"))
                + set_payload(meant.to_bytes(2, "big"), TRANSPORT_HEADER, port_at, checksum_at)
            )
            messages.append(make(NFT_MSG_NEWRULE, text(1, _TABLE), text(2, name), nested(4, rule), flags=_APPEND))
    return messages
