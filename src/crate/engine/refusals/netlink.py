"""Refusals that no errno tells: netlink(7) answers a request by a message that the program receives."""

from __future__ import annotations

import errno
from struct import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.refusals.calls import Call
    from crate.engine.refusals.tracee import Tracee

RECEIVES = frozenset(("recvmsg", "recvfrom", "recv"))
_NLMSG_ERROR = 2
_MSG_PEEK = 2
# struct nlmsghdr, the error, and the beginning of the header of the request that it is about
_ANSWER = "=IHHIIiIH"
_ANSWER_BYTES = 26
_PROTOCOLS = {0: "route", 4: "sock_diag", 6: "xfrm", 9: "audit", 12: "netfilter", 16: "generic"}
_AUDIT, _AUDIT_FIRST_USER_MESSAGE = 9, 1005
# RTM_NEWLINK is 16; each kind has NEW, DEL, GET and SET.
_ROUTE_KINDS = "LINK ADDR ROUTE NEIGH RULE QDISC TCLASS TFILTER ACTION".split()
_ROUTE_VERBS = "NEW DEL GET SET".split()


def refusal(tracee: Tracee, call: Call, size: int) -> tuple[str, int, str] | None:
    """Words for the request, the errno, and the capability that it needs; None when no refusal was received.

    `size`: what the call returned.
    """
    by_message = call.name == "recvmsg"
    if size < _ANSWER_BYTES or call.arguments[2 if by_message else 3] & _MSG_PEEK:
        return None
    address = call.arguments[1]
    if by_message:  # struct msghdr: its first iovec
        vector = tracee.word(address + 16)
        address = tracee.word(vector) if vector else 0
    data = tracee.memory(address, _ANSWER_BYTES)
    if len(data) < _ANSWER_BYTES:
        return None
    _, kind, _, _, _, code, _, request = unpack(_ANSWER, data)
    if kind != _NLMSG_ERROR or -code not in (errno.EPERM, errno.EACCES):
        return None
    protocol = tracee.netlink_protocol(call.arguments[0])
    if protocol is None:
        return None
    needed = "NET_ADMIN"
    if protocol == _AUDIT:
        needed = "AUDIT_WRITE" if request >= _AUDIT_FIRST_USER_MESSAGE else "AUDIT_CONTROL"
    return f"netlink {_PROTOCOLS.get(protocol, protocol)} {_request(protocol, request)}", -code, needed


def _request(protocol: int, number: int) -> str:
    at = number - 16
    if protocol == 0 and 0 <= at < 4 * len(_ROUTE_KINDS):
        return f"RTM_{_ROUTE_VERBS[at % 4]}{_ROUTE_KINDS[at // 4]}"
    return str(number)
