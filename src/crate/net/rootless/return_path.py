"""How the answers of containers find back to the forwarder, which speaks with the address of a client that is far away.

    forwarder ── from the client's address (IP_TRANSPARENT) ──▶ container
    container ── to the client's address ──▶ bridge ──▶ here: delivered to the forwarder, and not sent to the uplink

What leaves this namespace's own sockets with a source that is no address of it marks its connection; answers of a
marked connection get the mark, and a routing rule delivers what has it to local sockets. Made once, in the namespace of
an ordinary user's networks (networks.py); `nft list table inet crate_return` shows it.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6
from struct import Struct

from crate.errors import KernelError
from crate.linux.netlink import (
    NETLINK_NETFILTER,
    NETLINK_ROUTE,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    Netlink,
    attribute,
)
from crate.net.firewall.expressions import REG_1, compare, expression
from crate.net.firewall.messages import (
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWTABLE,
    batch,
    message,
    nested,
    number,
    text,
)
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.linux.netlink import Message

_TABLE = "crate_return"
_MARK, _ROUTES = 0x1, 100
_PREROUTING, _OUTPUT, _PRIORITY_MANGLE = 0, 3, -150
_META_MARK, _CT_MARK, _RTN_LOCAL = 3, 3, 2
_RTM_NEWRULE, _FRA_FWMARK, _FRA_TABLE, _FR_ACT_TO_TBL = 32, 10, 15, 1
_RTA_OIF, _RTA_TABLE, _RTPROT_BOOT, _RT_SCOPE_HOST = 4, 15, 3, 254
_LOOPBACK = 1
_CREATE = NLM_F_ACK | NLM_F_CREATE

_rtmsg = Struct("=BBBBBBBBI")
_u32 = Struct("=I")


def make() -> None:
    """Makes it in the namespace that the caller is in, and brings up the loopback interface. KernelError."""
    try:
        with Netlink(NETLINK_ROUTE) as route:
            route.request([route_messages.link_up(_LOOPBACK)])
            route.request(_routing(AF_INET))
            try:
                route.request(_routing(AF_INET6))
            except OSError:
                pass  # a kernel without IPv6, or without rules for it
        with Netlink(NETLINK_NETFILTER) as netfilter:
            netfilter.request(batch(_rules()))
    except OSError as error:
        hint = "load the modules: modprobe -a nf_tables nft_fib_inet nft_ct"
        raise KernelError("set up the networks of this user", error, hint) from error


def _routing(family: int) -> list[Message]:
    table = attribute(_RTA_TABLE, _u32.pack(_ROUTES))
    local = _rtmsg.pack(family, 0, 0, 0, _ROUTES, _RTPROT_BOOT, _RT_SCOPE_HOST, _RTN_LOCAL, 0)
    rule = _rtmsg.pack(family, 0, 0, 0, _ROUTES, 0, 0, _FR_ACT_TO_TBL, 0)
    mark = attribute(_FRA_FWMARK, _u32.pack(_MARK)) + attribute(_FRA_TABLE, _u32.pack(_ROUTES))
    oif = attribute(_RTA_OIF, _u32.pack(_LOOPBACK))
    return [
        (route_messages.RTM_NEWROUTE, _CREATE | NLM_F_EXCL, local + table + oif),
        (_RTM_NEWRULE, _CREATE | NLM_F_EXCL, rule + mark),
    ]


def _rules() -> list[Message]:
    marked = _u32.pack(_MARK)
    load_mark = expression("immediate", number(1, REG_1), nested(2, attribute(1, marked)))
    foreign_source = expression("fib", number(3, 1), number(2, 3), number(1, REG_1)) + compare(
        _u32.pack(_RTN_LOCAL), equal=False
    )
    chains = (
        (
            "output",
            _OUTPUT,
            foreign_source + load_mark + expression("ct", number(2, _CT_MARK), number(4, REG_1)),
        ),
        (
            "prerouting",
            _PREROUTING,
            expression("ct", number(2, _CT_MARK), number(1, REG_1))
            + compare(marked)
            + expression("meta", number(2, _META_MARK), number(3, REG_1)),
        ),
    )
    messages = [message(NFT_MSG_NEWTABLE, _CREATE, text(1, _TABLE))]
    for name, hook, rule in chains:
        place = nested(4, number(1, hook), number(2, _PRIORITY_MANGLE))
        messages.append(message(NFT_MSG_NEWCHAIN, _CREATE, text(1, _TABLE), text(3, name), place, text(7, "filter")))
        messages.append(message(NFT_MSG_NEWRULE, _CREATE, text(1, _TABLE), text(2, name), nested(4, rule)))
    return messages
