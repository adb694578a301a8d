"""Carries what no firewall rule can: connections to `[::1]`, and to IPv6 addresses for containers without one.

It runs in the process that owns the sandbox, beside its other work: one descriptor to poll, one step that never blocks.
An ordinary user's published ports have a process for themselves (rootless/forwarder.py), which carries them all.
UDP is the business of datagrams.py.
"""

from __future__ import annotations

import errno
import os
import time
from _socket import (
    AF_INET,
    AF_INET6,
    SHUT_WR,
    SO_ERROR,
    SO_LINGER,
    SO_TYPE,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    inet_pton,
    socket,
)
from select import EPOLLIN, EPOLLOUT, epoll
from struct import pack

from crate.net.datagrams import Datagrams
from crate.net.sandbox import publisher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from crate.net.sandbox import Lease

    #: A socket that does not block, for a target, a client's address and a type (SOCK_STREAM, SOCK_DGRAM). OSError.
    Onward = Callable[[tuple[str, int], Any, int], socket]

_CHUNK = 32768
#: struct linger: the close is a reset
_RESET = pack("=ii", 1, 0)
_KINDS = {"tcp": SOCK_STREAM, "udp": SOCK_DGRAM}
_BACKLOG = 128
#: more connections wait in the backlog: each costs the owner two descriptors
_CONNECTIONS = 256
#: out of descriptors it takes nobody in for so long: the one who waits would wake it again and again
_REST_SECONDS = 1.0


class _Stream:
    """One direction of a connection: bytes on their way from `source` to `sink`."""

    __slots__ = ("chunk", "ended", "pending", "sink", "source")

    def __init__(self, source: socket, sink: socket, chunk: int) -> None:
        self.source, self.sink, self.chunk = source, sink, chunk
        self.pending = b""
        self.ended = False  # the source has sent everything, and the sink knows it

    def step(self) -> bool:
        """Moves what can be moved now; False when the connection broke."""
        try:
            if not self.pending and not self.ended:
                self.pending = self.source.recv(self.chunk)
                if not self.pending:
                    self.ended = True
                    self.sink.shutdown(SHUT_WR)
            if self.pending:
                self.pending = self.pending[self.sink.send(self.pending) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


class _Connection:
    """A client's socket, the socket to the container, and a stream each way."""

    __slots__ = ("backward", "client", "connected", "container", "forward")

    def __init__(self, client: socket, container: socket, chunk: int) -> None:
        self.client, self.container = client, container
        self.forward, self.backward = _Stream(client, container, chunk), _Stream(container, client, chunk)
        self.connected = False

    def step(self) -> bool:
        """Moves what can be moved; False when there is no more to come."""
        if not self.connected:
            if self.container.getsockopt(SOL_SOCKET, SO_ERROR):
                self.client.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)  # as where nobody listens
                return False
            self.connected = True
        alive = self.forward.step() and self.backward.step()
        return alive and not (self.forward.ended and self.backward.ended)

    def wanted(self) -> tuple[int, int]:
        """The events to wait for, of the client and of the container."""
        if not self.connected:
            return 0, EPOLLOUT
        return _events(self.forward, self.backward), _events(self.backward, self.forward)


def _events(outgoing: _Stream, incoming: _Stream) -> int:
    """The events of the socket that `outgoing` reads from and `incoming` writes to."""
    reads = EPOLLIN if not outgoing.pending and not outgoing.ended else 0
    return reads | (EPOLLOUT if incoming.pending else 0)


class Proxy:
    """Carries what comes to bound sockets to a target each. Poll `fileno()` for reading; then call `step()`.

    `due_at` (CLOCK_MONOTONIC): when `step()` is to be called without an event; 0 when it is not.
    `most`: how many connections at a time; more wait in the backlog. `chunk`: bytes that are read at once.
    """

    def __init__(
        self,
        bound: Sequence[tuple[socket, tuple[str, int]]],
        onward: Onward,
        most: int = _CONNECTIONS,
        chunk: int = _CHUNK,
    ) -> None:
        self._epoll = epoll()
        self._watched: dict[int, int] = {}
        self._listeners: dict[int, tuple[socket, tuple[str, int]]] = {}
        self._connections: dict[int, _Connection] = {}
        self._onward, self._most, self._chunk = onward, most, chunk
        self.due_at = 0.0
        self._datagrams = Datagrams(lambda fd: self._set(fd, EPOLLIN), lambda fd: self._set(fd, 0), onward)
        for listener, target in bound:
            if listener.getsockopt(SOL_SOCKET, SO_TYPE) == SOCK_DGRAM:
                self._datagrams.add(listener, target)
            else:
                listener.setblocking(False)
                listener.listen(_BACKLOG)
                self._listeners[listener.fileno()] = listener, target
        self._listen(True)

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._epoll.fileno()

    def step(self) -> None:
        """Does all that can be done now, without waiting."""
        if self.due_at and time.monotonic() >= self.due_at:
            self._listen(len(self._connections) < 2 * self._most)
        for fd, _ in self._epoll.poll(0):
            if fd in self._listeners:
                self._accept(*self._listeners[fd])
            elif fd in self._connections:
                connection = self._connections[fd]
                if connection.step():
                    self._watch(connection)
                else:
                    self._close(connection)
            else:
                self._datagrams.step(fd)

    def close(self) -> None:
        """Ends every connection; the ports stay reserved by the descriptors of the lease."""
        for connection in set(self._connections.values()):
            self._close(connection)
        for listener, _ in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self._datagrams.close()
        self._epoll.close()

    def _accept(self, listener: socket, target: tuple[str, int]) -> None:
        try:
            fd, address = listener._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._listen(False)  # until a connection ends, or somebody else gave descriptors back
                self.due_at = time.monotonic() + _REST_SECONDS
            return
        client = socket(fileno=fd)
        client.setblocking(False)
        try:
            container = self._onward(target, address, SOCK_STREAM)
        except OSError:
            client.close()
            return
        connection = _Connection(client, container, self._chunk)
        self._connections[client.fileno()] = self._connections[container.fileno()] = connection
        self._watch(connection)
        self._listen(len(self._connections) < 2 * self._most)

    def _close(self, connection: _Connection) -> None:
        for end in (connection.client, connection.container):
            self._set(end.fileno(), 0)
            del self._connections[end.fileno()]
            end.close()
        self._listen(True)

    def _watch(self, connection: _Connection) -> None:
        of_client, of_container = connection.wanted()
        self._set(connection.client.fileno(), of_client)
        self._set(connection.container.fileno(), of_container)

    def _listen(self, listening: bool) -> None:
        self.due_at = 0.0
        for fd in self._listeners:
            self._set(fd, EPOLLIN if listening else 0)

    def _set(self, fd: int, events: int) -> None:
        """Waits for events of a descriptor. One that none are wanted of is not watched: its end alone would wake us."""
        before = self._watched.get(fd, 0)
        if events == before:
            return
        if not events:
            self._epoll.unregister(fd)
        elif before:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = events


def held_sockets(lease: Lease, address: str, families: Sequence[int]) -> list[tuple[socket, tuple[str, int]]]:
    """Copies of the sockets that hold the TCP and UDP ports of a lease, each with its target at the address."""
    found = []
    for fd in lease["port_fds"]:
        holder = socket(fileno=os.dup(fd))
        kind, name = holder.getsockopt(SOL_SOCKET, SO_TYPE), holder.getsockname()
        ports = [one for one in lease["ports"] if _KINDS.get(one["protocol"]) == kind and one["host_port"] == name[1]]
        # One number may be published on several addresses, each for another port of the container.
        own = [one for one in ports if one["host_ip"] and inet_pton(holder.family, name[0]) == _packed(one["host_ip"])]
        port = next(iter(own or [one for one in ports if not one["host_ip"]] or ports), None)
        if port is None or holder.family not in families:
            holder.close()
        else:
            found.append((holder, (address, port["container_port"])))
    return found


def _packed(host_ip: str) -> bytes:
    return inet_pton(AF_INET6 if ":" in host_ip else AF_INET, host_ip.partition("%")[0])


def _plain(target: tuple[str, int], client: Any, kind: int) -> socket:
    """To a container, from this host's own address."""
    onward = socket(AF_INET6 if ":" in target[0] else AF_INET, kind | SOCK_CLOEXEC | SOCK_NONBLOCK)
    connect(onward, target)
    return onward


def connect(onward: socket, target: tuple[str, int]) -> None:
    """Begins a connection without waiting for it. OSError; the socket is closed then."""
    code = onward.connect_ex(target)
    if code not in (0, errno.EINPROGRESS):
        onward.close()
        raise OSError(code, os.strerror(code))


def open_proxy(lease: Lease) -> Proxy | None:
    """The proxy of a lease; None where rules do it all, and where its ports lead nowhere.

    For the owner, as long as its `port_fds` are open. OSError.
    """
    ports = lease["ports"] if lease["port_fds"] and not lease["home_fds"] and lease["published"] else []
    if not any(port["protocol"] in _KINDS and (not port["host_ip"] or ":" in port["host_ip"]) for port in ports):
        return None
    endpoint = publisher(lease)
    address = endpoint["address"] or endpoint["address6"]  # an empty one would mean this host
    return Proxy(held_sockets(lease, address, (AF_INET6,)), _plain) if address else None
