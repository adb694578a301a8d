"""Netlink sockets: sends requests to the kernel and collects their answers (netlink(7)); knows no family's messages."""

from __future__ import annotations

import _socket
import os
from _socket import AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW
from struct import Struct

from crate.linux.other_network import sockets_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_ROOT = 0x100
NLM_F_EXCL = 0x200
NLM_F_DUMP = 0x300
NLM_F_CREATE = 0x400

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
# A dump fills at most this much of one read (NLMSG_GOODSIZE is smaller); a shorter buffer would cut messages.
_READ_SIZE = 65536

_header = Struct("=IHHII")
_attribute = Struct("=HH")
_error = Struct("=i")

#: type, flags, payload: NLM_F_REQUEST and the sequence number are the socket's business
Message = tuple[int, int, bytes]


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute (`struct nlattr`), padded to four bytes. OverflowError for a value over 65,531 bytes."""
    size = len(value) + 4
    if size > 0xFFFF:
        raise OverflowError(f"netlink attribute of {size} bytes")
    return _attribute.pack(size, kind) + value + b"\0" * (-size & 3)


def attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """The attributes in `data` from `start`, by kind (without the nested and byte order bits); the last one wins."""
    found: dict[int, bytes] = {}
    while start + 4 <= len(data):
        size, kind = _attribute.unpack_from(data, start)
        if size < 4:
            break
        found[kind & 0x3FFF] = data[start + 4 : start + size]
        start += size + 3 & ~3
    return found


def open_socket(protocol: int) -> _socket.socket:
    """What a Netlink is made of, by a caller that is in its network namespace."""
    return _socket.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)


class Netlink:
    """A netlink socket of the network namespace that the caller is in when it is made."""

    __slots__ = ("_sequence", "_socket")

    def __init__(self, protocol: int, made: _socket.socket | None = None) -> None:
        self._socket = made or open_socket(protocol)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def request(self, messages: Sequence[Message]) -> list[tuple[int, bytes]]:
        """Sends the messages in one datagram and waits until each that asks for an acknowledgement or a dump has it.

        Gives the answers that are no acknowledgements as (type, payload). The kernel handles all messages even when
        one fails; raised is the first failure, an OSError with the kernel's own words where it has any.
        """
        datagram, waiting = b"", set()
        for kind, flags, payload in messages:
            self._sequence += 1
            if flags & (NLM_F_ACK | NLM_F_DUMP):
                waiting.add(self._sequence)
            datagram += _header.pack(16 + len(payload), kind, flags | NLM_F_REQUEST, self._sequence, 0) + payload
            datagram += b"\0" * (-len(payload) & 3)
        self._socket.send(datagram)
        answers: list[tuple[int, bytes]] = []
        failure: OSError | None = None
        while waiting:
            data = self._socket.recv(_READ_SIZE)
            at = 0
            while at + 16 <= len(data):
                size, kind, flags, sequence, _ = _header.unpack_from(data, at)
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    code = _error.unpack_from(data, at + 16)[0] if size >= 20 else 0
                    if code < 0 and failure is None:
                        failure = _failure(-code, data[at + 36 : at + size] if flags & _NLM_F_ACK_TLVS else b"")
                        if sequence not in waiting:  # the frame of a batch was refused: its messages get no answer
                            raise failure
                    waiting.discard(sequence)
                else:
                    answers.append((kind, data[at + 16 : at + size]))
                at += size + 3 & ~3
        if failure is not None:
            raise failure
        return answers


def netlink_in(netns_fd: int, protocol: int) -> Netlink:
    """A netlink socket of another network namespace."""
    return Netlink(protocol, *sockets_in(netns_fd, lambda: [open_socket(protocol)]))


def _failure(code: int, extended: bytes) -> OSError:
    reason = attributes(extended).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    text = f"netlink: {os.strerror(code)}"
    return OSError(code, f"{text} ({reason})" if reason else text)
