"""Answers the DNS questions of one sandbox: names of containers itself, everything else by the host's servers.

It runs in the process that owns the sandbox, beside its other work, on sockets that lie in the sandbox's network
namespace (door.py). However much is asked, a step is short, in a flood the next one waits as long as the last one
took (half a processor at the most), and what is kept of clients is bounded.
"""

from __future__ import annotations

import errno
import os
import select
import time
from _socket import socket
from select import EPOLLIN, EPOLLOUT, epoll

from crate.net.dns import messages as dns_messages
from crate.net.dns.messages import Question, Unanswerable
from crate.net.dns.names import Names, address_in
from crate.net.dns.upstream import Upstream
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypedDict

    from crate.net.sandbox import Lease

    class Resolving(TypedDict):
        """How a sandbox resolves names; plain data, for its lease."""

        fds: list[int]  # UDP, TCP: sockets in the sandbox's network namespace
        networks: list[list[str]]  # name and lease directory of each network that it is in
        forwards: bool  # False: all of them are internal
        servers: list[str]  # to be asked in place of the host's


#: questions by UDP, and connections with something to do, a step
_TURN, _EVENTS = 16, 32
#: a step as short as this is no flood; nor is it one before there was work for so long with no rest in between
_SHORT_SECONDS, _BURST_SECONDS = 0.001, 0.01
_CLIENTS, _IDLE_SECONDS = 32, 10.0


def resolving(lease: Lease, records: str, servers: Sequence[str]) -> Resolving:
    """How a sandbox resolves names. `records`: where those of networks are; `servers`: those of `--dns`, or none."""
    named = [endpoint for endpoint in lease["endpoints"] if endpoint["dns"]]
    own = [server for server in servers if server != "none"]
    return {
        "fds": lease["dns_fds"],
        "networks": [[endpoint["network"], endpoint["lease_directory"]] for endpoint in named],
        "forwards": any(not endpoint["internal"] for endpoint in lease["endpoints"]),
        "servers": own or [server for one in named for server in _servers(f"{records}/{one['network']}.json")],
    }


def _servers(path: str) -> list[str]:
    """Those that a network has of its own."""
    try:
        with open(path, "rb", buffering=0) as file:
            return [str(server) for server in json.loads(file.read()).get("network_dns_servers") or ()]
    except (OSError, ValueError, AttributeError):
        return []  # the network is gone


class _Client:
    """A connection. One question at a time: the next one is read when the answer to the last one was taken."""

    __slots__ = ("is_waiting", "received", "seen_at", "sending", "socket")

    def __init__(self, made: socket) -> None:
        self.socket = made
        self.received = self.sending = b""
        self.is_waiting = False
        self.seen_at = time.monotonic()


class Resolver:
    """Serves the two sockets of `resolving`, by descriptors of its own."""

    def __init__(self, resolving: Resolving, resolv_conf: str = "/etc/resolv.conf") -> None:
        self._epoll = epoll()
        self._watched: dict[int, int] = {}
        self._udp, self._tcp = (socket(fileno=os.dup(fd)) for fd in resolving["fds"])
        self._upstream = Upstream(self._watch, resolv_conf)
        self.tell(resolving)
        self._clients: dict[int, _Client] = {}
        self._rests_until = 0.0
        self._busy_seconds, self._ended_at = 0.0, time.monotonic()  # how long, less all rests; at the last step's end
        for listening in (self._udp, self._tcp):
            listening.setblocking(False)
            self._watch(listening.fileno(), EPOLLIN)

    def tell(self, resolving: Resolving) -> None:
        """The sandbox is in other networks by now."""
        self._names = Names([(name, directory) for name, directory in resolving["networks"]])
        self._forwards = resolving["forwards"]
        self._upstream.serve_with(resolving["servers"])

    def prepare(self) -> None:
        """Does what the first question would have to wait for."""
        self._names.look()

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._epoll.fileno()

    def register(self, poll: select.poll) -> None:
        """Something to do wakes the owner, unless this rests from a flood."""
        if time.monotonic() >= self._rests_until:
            poll.register(self._epoll.fileno(), select.POLLIN)

    @property
    def due_at(self) -> float:
        """The moment (CLOCK_MONOTONIC) of the next step without an event; 0 when there is none."""
        now = time.monotonic()
        moments = [self._rests_until] if now < self._rests_until else []
        if due := self._upstream.due_at():
            moments.append(max(due, self._rests_until))
        moments += [client.seen_at + _IDLE_SECONDS for client in self._clients.values() if not client.is_waiting]
        return min(moments, default=0.0)

    def wait(self) -> float | None:
        """Milliseconds until a step is due; None: until an event."""
        due = self.due_at
        return max(0.0, (due - time.monotonic()) * 1000) if due else None

    def is_busy(self) -> bool:
        """Whether somebody waits for an answer, or has a connection."""
        return bool(self._clients or self._upstream.due_at())

    def step(self) -> None:
        """Does some of what can be done now, without waiting."""
        begin = time.monotonic()
        if begin < self._rests_until:
            return
        for fd, events in self._epoll.poll(0, _EVENTS):
            if fd == self._udp.fileno():
                self._read_datagrams()
            elif fd == self._tcp.fileno():
                self._accept()
            elif fd in self._clients:
                self._serve(self._clients[fd], events)
            else:
                self._upstream.step(fd, events)
        self._upstream.expire()
        end = time.monotonic()
        for client in [each for each in self._clients.values() if not each.is_waiting]:
            if end - client.seen_at >= _IDLE_SECONDS:
                self._drop(client)
        # The first question reads all leases, which takes a while: the second one is not to wait for that.
        self._busy_seconds = max(0.0, self._busy_seconds - (begin - self._ended_at)) + (end - begin)
        self._ended_at = end
        if end - begin > _SHORT_SECONDS and self._busy_seconds > _BURST_SECONDS:
            self._rests_until = end + (end - begin)

    def close(self) -> None:
        """Forgets clients and questions; the two sockets stay."""
        self._upstream.close()
        for client in list(self._clients.values()):
            self._drop(client)
        self._udp.close()
        self._tcp.close()
        self._epoll.close()

    def _read_datagrams(self) -> None:
        for _ in range(_TURN):
            try:
                data, client = self._udp.recvfrom(dns_messages.UDP_LEAST * 8)
            except OSError:
                return  # no more, or the error of an answer that nobody took
            self._answer(data, False, self._sender(client))

    def _sender(self, client: Any) -> Callable[[bytes], None]:
        def send(answer: bytes) -> None:
            try:
                self._udp.sendto(answer, client)
            except OSError:
                pass  # it has no room, or is gone: UDP loses what cannot be delivered

        return send

    def _answer(self, data: bytes, by_tcp: bool, send: Callable[[bytes], None]) -> None:
        """Sends one answer, now or later; none to what deserves none."""
        try:
            question = Question(data)
        except Unanswerable as reason:
            if reason.rcode is not None:
                send(dns_messages.refusal(data, reason.rcode))
            return
        limit = dns_messages.TCP_MOST if by_tcp else question.size

        def finish(rcode: int, records: list[bytes]) -> None:
            send(dns_messages.answer(question, rcode, records, limit, forwards=self._forwards))

        def pass_on(message: bytes | None) -> None:
            if message is None:
                finish(dns_messages.SERVFAIL, [])
            else:
                send(dns_messages.passed_on(question, message, limit))

        try:
            records = self._own_records(question)
        except OSError:
            finish(dns_messages.SERVFAIL, [])  # out of descriptors: whether it is there cannot be told
            return
        if records is not None:
            finish(dns_messages.NOERROR, records)
        elif self._names.owns(question.name) or not self._forwards:
            finish(dns_messages.NXDOMAIN, [])
        elif question.version > 0:
            finish(dns_messages.BADVERS, [])
        else:
            self._upstream.ask(question, by_tcp, pass_on)

    def _own_records(self, question: Question) -> list[bytes] | None:
        """What is known of the name that is asked for; None when that is nothing."""
        if question.network_class not in (dns_messages.IN, dns_messages.ANY):
            return None
        packed = address_in(question.name)
        if packed:
            name = self._names.name_at(packed)
            if name is None:
                return None
            wanted = question.kind in (dns_messages.PTR, dns_messages.ANY)
            return [dns_messages.record(dns_messages.PTR, dns_messages.write_name(name))] if wanted else []
        found = self._names.addresses(question.name)
        if found is None:
            return None
        records = []
        if question.kind in (dns_messages.A, dns_messages.ANY):
            records += [dns_messages.record(dns_messages.A, address) for address in found[0]]
        if question.kind in (dns_messages.AAAA, dns_messages.ANY):
            records += [dns_messages.record(dns_messages.AAAA, address) for address in found[1]]
        return records

    def _accept(self) -> None:
        try:
            made = socket(fileno=self._tcp._accept()[0])  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._rests_until = time.monotonic() + 1.0  # the one who waits would wake us again and again
            return
        made.setblocking(False)
        if len(self._clients) >= _CLIENTS:
            self._drop(min(self._clients.values(), key=lambda client: client.seen_at))
        self._clients[made.fileno()] = _Client(made)
        self._watch(made.fileno(), EPOLLIN)

    def _serve(self, client: _Client, events: int) -> None:
        """Moves bytes, and answers one question."""
        try:
            if events & EPOLLOUT or client.sending:
                self._send(client)
            else:
                data = client.socket.recv(dns_messages.TCP_MOST + 2 - len(client.received))
                if not data:
                    self._drop(client)
                    return
                client.received += data
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        client.seen_at = time.monotonic()
        self._take_question(client)

    def _send(self, client: _Client) -> None:
        client.sending = client.sending[client.socket.send(client.sending) :]
        self._watch(client.socket.fileno(), EPOLLOUT if client.sending else EPOLLIN)

    def _take_question(self, client: _Client) -> None:
        length = int.from_bytes(client.received[:2], "big") + 2
        if client.sending or client.is_waiting or len(client.received) < max(length, 2):
            return
        data, client.received = client.received[2:length], client.received[length:]
        client.is_waiting = True
        fd = client.socket.fileno()
        self._watch(fd, 0)

        def send(answer: bytes) -> None:
            if self._clients.get(fd) is not client:
                return  # gone meanwhile, and the descriptor may be another's
            client.is_waiting = False
            client.seen_at = time.monotonic()
            client.sending = len(answer).to_bytes(2, "big") + answer
            # The step of the next turn sends it: whoever asks a thousand at once waits for the others in between.
            self._watch(fd, EPOLLOUT)

        self._answer(data, True, send)
        if client.is_waiting and len(data) < 3:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        fd = client.socket.fileno()
        del self._clients[fd]
        self._watch(fd, 0)
        client.socket.close()

    def _watch(self, fd: int, events: int) -> None:
        """Waits for events of a descriptor; 0 forgets it."""
        before = self._watched.get(fd, 0)
        if events and before:
            self._epoll.modify(fd, events)
        elif events:
            self._epoll.register(fd, events)
        elif before:
            self._epoll.unregister(fd)
        if events:
            self._watched[fd] = events
        else:
            self._watched.pop(fd, None)
