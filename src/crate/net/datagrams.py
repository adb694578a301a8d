"""Carries the UDP that no firewall rule can: to `[::1]`, and to IPv6 addresses for containers without one.

For an ordinary user's containers, all of it (rootless/forwarder.py).
Each client has a socket of its own to the container, so that answers find back; the one that rested longest makes room.
"""

from __future__ import annotations

from _socket import (
    AF_INET6,
    CMSG_SPACE,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_PKTINFO,
    IPV6_RECVPKTINFO,
    SOCK_DGRAM,
    socket,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.net.proxy import Onward

_SIZE = 65536
_CLIENTS = 64
_IP_PKTINFO = 8  # ip(7); Python has no name for it
_TURN = 32  # datagrams of one socket before others have their turn


class _Client:
    """Who sent something to a port, from where and to which address of this host; the socket that carries it on."""

    __slots__ = ("address", "onward", "port", "seen_at")

    def __init__(self, port: socket, seen_at: list[Any], address: Any, onward: socket) -> None:
        self.port, self.seen_at, self.address, self.onward = port, seen_at, address, onward


class Datagrams:
    """The UDP ports of one sandbox. `watch` and `forget` are told the descriptors that `step` wants to hear of."""

    def __init__(self, watch: Callable[[int], None], forget: Callable[[int], None], onward: Onward) -> None:
        self._watch, self._forget, self._onward = watch, forget, onward
        self._ports: dict[int, tuple[socket, tuple[str, int]]] = {}
        self._clients: dict[Any, _Client] = {}  # the one that rested longest is the first
        self._keys: dict[int, Any] = {}

    def add(self, port: socket, target: tuple[str, int]) -> None:
        """Carries what comes to a bound socket to the container's address and port."""
        port.setblocking(False)
        if port.family == AF_INET6:
            port.setsockopt(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        else:
            port.setsockopt(IPPROTO_IP, _IP_PKTINFO, 1)
        self._ports[port.fileno()] = port, target
        self._watch(port.fileno())

    def step(self, fd: int) -> bool:
        """Does what can be done for a descriptor without waiting; False for one that is not of this."""
        if fd in self._ports:
            step = self._carry_in
        elif fd in self._keys:
            step = self._carry_out
        else:
            return False
        try:
            for _ in range(_TURN):
                step(fd)
        except OSError:
            pass  # nothing more to read, or nobody who takes it: UDP loses what cannot be carried
        return True

    def close(self) -> None:
        """Forgets every client; the ports stay reserved by the descriptors of the lease."""
        while self._clients:
            self._drop(next(iter(self._clients)))
        for fd, (port, _) in self._ports.items():
            self._forget(fd)
            port.close()
        self._ports.clear()

    def _carry_in(self, fd: int) -> None:
        port, target = self._ports[fd]
        data, extra, _, address = port.recvmsg(_SIZE, CMSG_SPACE(20))
        seen_at = [one for one in extra if one[:2] in ((IPPROTO_IPV6, IPV6_PKTINFO), (IPPROTO_IP, _IP_PKTINFO))]
        key = (fd, address, *seen_at)
        client = self._clients.pop(key, None)
        if client is None:
            client = self._meet(key, _Client(port, seen_at, address, self._onward(target, address, SOCK_DGRAM)))
        self._clients[key] = client
        client.onward.send(data)

    def _meet(self, key: Any, client: _Client) -> _Client:
        if len(self._clients) >= _CLIENTS:
            self._drop(next(iter(self._clients)))
        self._keys[client.onward.fileno()] = key
        self._watch(client.onward.fileno())
        return client

    def _carry_out(self, fd: int) -> None:
        client = self._clients[self._keys[fd]]
        data = client.onward.recv(_SIZE)
        client.port.sendmsg([data], client.seen_at, 0, client.address)

    def _drop(self, key: Any) -> None:
        onward = self._clients.pop(key).onward
        del self._keys[onward.fileno()]
        self._forget(onward.fileno())
        onward.close()
