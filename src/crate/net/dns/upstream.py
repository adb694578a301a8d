"""Passes questions on to name servers, from the host's network, and their answers back: by UDP or TCP, as it was asked.

Against forged answers (RFC 5452) each question has a socket of its own for each server, so a port that the kernel
chooses at random, connected, so that no other address is heard, and an identifier of its own; and an answer must
repeat the question. The number of questions on their way is bounded.
"""

from __future__ import annotations

import os
import time
from _socket import (
    AF_INET,
    AF_INET6,
    SO_ERROR,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    if_nametoindex,
    inet_pton,
    socket,
)
from select import EPOLLIN, EPOLLOUT

from crate.net.dns import messages as dns_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from crate.net.dns.messages import Question

_PORT = 53
#: how long one server is waited for before the next is asked as well, and how long all of them
_TRY_SECONDS, _ALL_SECONDS = 2.0, 10.0
#: questions on their way, and servers that one is put to: each is a descriptor of the monitor
_ASKED_MOST, _SERVERS_MOST = 64, 3
_DATAGRAM = 65536
_SCOPE_MOST = (1 << 32) - 1
#: a resolv.conf without servers; docker's choice, and that of a container on the default network
_FALLBACK = ["8.8.8.8", "8.8.4.4"]


class _Asked:
    """A question on its way."""

    __slots__ = ("answer", "by_tcp", "ends_at", "next_at", "question", "sockets", "tries")

    def __init__(self, question: Question, by_tcp: bool, answer: Callable[[bytes | None], None]) -> None:
        self.question, self.by_tcp, self.answer = question, by_tcp, answer
        self.sockets: list[_Socket] = []
        self.tries = 0
        self.next_at = 0.0
        self.ends_at = time.monotonic() + _ALL_SECONDS


class _Socket:
    """The way of a question to one server. `sending` is what TCP has still to take, `received` what came so far."""

    __slots__ = ("asked", "identifier", "received", "sending", "server", "socket")

    def __init__(self, asked: _Asked, server: str, made: socket) -> None:
        self.asked, self.server, self.socket = asked, server, made
        self.identifier = int.from_bytes(os.urandom(2), "big")
        message = asked.question.with_identifier(self.identifier)
        self.sending = len(message).to_bytes(2, "big") + message if asked.by_tcp else message
        self.received = b""


class Upstream:
    """The servers that are asked what no container's name is. `watch` is told the descriptors to wait for."""

    def __init__(self, watch: Callable[[int, int], None], resolv_conf: str) -> None:
        self._watch = watch
        self._given: list[str] = []
        self._resolv_conf = resolv_conf
        self._read_at = -1
        self._servers: list[str] = []
        self._best = ""  # who answered last: a dead first server costs one question the wait
        self._sockets: dict[int, _Socket] = {}
        self._asked: list[_Asked] = []

    def serve_with(self, servers: Sequence[str]) -> None:
        """Servers to ask in place of those in the host's resolv.conf; none: those."""
        self._given = [server for server in servers if _is_address(server)]
        if self._given:
            self._servers, self._read_at = self._given, -1

    def due_at(self) -> float:
        """The moment (CLOCK_MONOTONIC) at which `expire` has something to do; 0 when there is none."""
        return min((min(asked.next_at, asked.ends_at) for asked in self._asked), default=0.0)

    def ask(self, question: Question, by_tcp: bool, answer: Callable[[bytes | None], None]) -> None:
        """Puts a question to the servers; `answer` is called once, with the message, or None when there is none."""
        if len(self._asked) >= _ASKED_MOST:
            answer(None)
            return
        asked = _Asked(question, by_tcp, answer)
        self._asked.append(asked)
        self._next(asked)

    def step(self, fd: int, events: int) -> None:
        """Does what can be done for a descriptor."""
        way = self._sockets.get(fd)
        if way is None:
            return
        try:
            if way.asked.by_tcp:
                message = self._step_tcp(way, events)
            else:
                message = way.socket.recv(_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            self._fail(way)  # nobody listens there, or the network is away
            return
        if message is None or not way.asked.question.is_answered_by(message, way.identifier):
            return  # not whole yet; or not the answer, which may still come
        if dns_messages.rcode_of(message) in (dns_messages.SERVFAIL, dns_messages.NOTIMP, dns_messages.REFUSED):
            self._fail(way, message)
            return
        self._best = way.server
        self._finish(way.asked, message)

    def expire(self) -> None:
        """Asks the next server, or gives up, where the time has come."""
        now = time.monotonic()
        for asked in list(self._asked):
            if now >= asked.ends_at:
                self._finish(asked, None)
            elif now >= asked.next_at:
                self._next(asked)

    def close(self) -> None:
        """Forgets every question."""
        for asked in list(self._asked):
            self._forget(asked)

    def _next(self, asked: _Asked) -> None:
        """Puts the question to the next server; after the last one to the first again, on the way it has to it."""
        servers = self._chosen()
        while asked.tries < 2 * len(servers):
            server = servers[asked.tries % len(servers)]
            asked.tries += 1
            asked.next_at = time.monotonic() + _TRY_SECONDS
            if any(way.server == server for way in asked.sockets):
                self._repeat(asked, server)
                return
            if asked.tries <= len(servers) and self._put(asked, server):
                return
        if asked.sockets:
            asked.next_at = asked.ends_at  # all were asked twice
        else:
            self._finish(asked, None)

    def _put(self, asked: _Asked, server: str) -> bool:
        made = None
        try:
            family, address = _target(server)
            kind = SOCK_STREAM if asked.by_tcp else SOCK_DGRAM
            made = socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK)
            way = _Socket(asked, server, made)
            if asked.by_tcp:
                made.connect_ex(address)
            else:
                made.connect(address)
                made.send(way.sending)
        except OSError:
            if made is not None:
                made.close()
            return False
        asked.sockets.append(way)
        self._sockets[made.fileno()] = way
        self._watch(made.fileno(), EPOLLOUT if asked.by_tcp else EPOLLIN)
        return True

    def _repeat(self, asked: _Asked, server: str) -> None:
        for way in asked.sockets:
            if way.server == server and not asked.by_tcp:  # TCP repeats by itself
                try:
                    way.socket.send(way.sending)
                except OSError:
                    pass  # its time will come to be given up

    def _step_tcp(self, way: _Socket, events: int) -> bytes | None:
        if way.sending and events & ~EPOLLIN:
            code = way.socket.getsockopt(SOL_SOCKET, SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            way.sending = way.sending[way.socket.send(way.sending) :]
            if not way.sending:
                self._watch(way.socket.fileno(), EPOLLIN)
            return None
        data = way.socket.recv(_DATAGRAM)
        if not data:
            raise ConnectionResetError
        way.received += data
        length = int.from_bytes(way.received[:2], "big") + 2
        return way.received[2:length] if len(way.received) >= max(length, 2) and len(way.received) >= 2 else None

    def _fail(self, way: _Socket, message: bytes | None = None) -> None:
        """A server refuses: the next one is asked; what the last one said is the answer."""
        asked = way.asked
        self._drop(way)
        servers = self._chosen()
        if asked.tries < len(servers):
            self._next(asked)
            if asked not in self._asked:
                return
        if not asked.sockets:
            self._finish(asked, message)

    def _finish(self, asked: _Asked, message: bytes | None) -> None:
        self._forget(asked)
        asked.answer(message)

    def _forget(self, asked: _Asked) -> None:
        for way in list(asked.sockets):
            self._drop(way)
        self._asked.remove(asked)

    def _drop(self, way: _Socket) -> None:
        way.asked.sockets.remove(way)
        fd = way.socket.fileno()
        self._watch(fd, 0)
        del self._sockets[fd]
        way.socket.close()

    def _chosen(self) -> list[str]:
        """The servers in the order in which they are asked."""
        if not self._given:
            self._read_resolv_conf()
        servers = self._servers[:_SERVERS_MOST]
        if self._best in servers:
            first = servers.index(self._best)
            servers = servers[first:] + servers[:first]
        return servers

    def _read_resolv_conf(self) -> None:
        try:
            changed = os.stat(self._resolv_conf).st_mtime_ns
            if changed == self._read_at:
                return
            with open(self._resolv_conf, "rb", buffering=0) as file:
                lines = file.read(65536).decode(errors="replace").splitlines()
        except OSError:
            changed, lines = -1, []
        words = [line.split() for line in lines]
        named = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
        self._servers = [server for server in named if _is_address(server)] or _FALLBACK
        self._read_at = changed


def _is_address(server: str) -> bool:
    """Whether it is an address. socket.connect would look a name up, and wait for it."""
    address, _, zone = server.partition("%")
    try:
        inet_pton(AF_INET6 if ":" in server else AF_INET, address)
        return not zone.isdecimal() or int(zone) <= _SCOPE_MOST
    except (OSError, ValueError):
        return False


def _target(server: str) -> tuple[int, Any]:
    """Family and socket address of a server. OSError where it is none, or names an interface that is not there."""
    address, _, zone = server.partition("%")
    if ":" in address:
        scope = 0 if not zone else int(zone) if zone.isdecimal() else if_nametoindex(zone)
        return AF_INET6, (address, _PORT, 0, scope)
    return AF_INET, (address, _PORT)
