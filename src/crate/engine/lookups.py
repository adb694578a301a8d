"""The DNS of a container's networks: the monitor's part, which only a container on a network with names loads.

The sockets wait in the container's namespace (net/dns_door.py). What answers is loaded by the first question: most
containers ask for nothing, and a monitor is smaller without it.
"""

from __future__ import annotations

import os
import select
import time

from crate.engine import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.net.resolver import Resolver, Resolving

#: what it was connected to since its start (amendments.py)
_AMENDED = "amended.json"


class Lookups:
    """Answers the container's questions. `due_at` (CLOCK_MONOTONIC): when there is something to do without an event."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts
        self._resolver: Resolver | None = None
        self._version = _version(facts)

    def register(self, poll: select.poll) -> None:
        """A question wakes the monitor."""
        if self._resolver:
            self._resolver.register(poll)
        else:
            for fd in self._facts["state"]["lease"]["dns_fds"]:
                poll.register(fd, select.POLLIN)

    @property
    def due_at(self) -> float:
        """0 when there is nothing."""
        return self._resolver.due_at if self._resolver else 0.0

    def is_busy(self) -> bool:
        """Whether the container waits for an answer that would be lost with this process."""
        return bool(self._resolver and self._resolver.is_busy())

    def handle(self, fd: int) -> bool:
        """Answers, if a descriptor that poll(2) told of is one of these; else False."""
        if self._resolver is None:
            if fd not in self._facts["state"]["lease"]["dns_fds"]:
                return False
            self._resolver = self._open()
        elif fd != self._resolver.fileno():
            return False
        self._follow()
        self._step()
        return True

    def step(self) -> None:
        """What is to be done by now."""
        if self._resolver and 0 < self._resolver.due_at <= time.monotonic():
            self._step()

    def _step(self) -> None:
        try:
            if self._resolver:
                self._resolver.step()
        except Exception:
            self._resolver = None  # the container must not end for a packet: the next one meets a new resolver

    def close(self) -> None:
        """The sockets stay, for the process that this one becomes."""
        if self._resolver:
            self._resolver.close()
            self._resolver = None

    def _open(self) -> Resolver:
        from crate.net.resolver import Resolver

        return Resolver(self._resolving())

    def _resolving(self) -> Resolving:
        from crate.net.resolver import resolving

        facts = self._facts
        return resolving(facts["state"]["lease"], f"{facts['graphroot']}/networks", facts.get("dns") or ())

    def _follow(self) -> None:
        """Sees to which networks the container was connected meanwhile, and which servers these have."""
        version = _version(self._facts)
        if self._resolver and version != self._version:
            self._version = version
            _adopt(self._facts)
            self._resolver.tell(self._resolving())


def _version(facts: dict[str, Any]) -> list[tuple[int, int]]:
    """What changes when other networks, or other servers of theirs, may have come."""
    found, networks = [], [endpoint["network"] for endpoint in facts["state"]["lease"]["endpoints"]]
    for path in (
        f"{facts['run_directory']}/{_AMENDED}",
        *(f"{facts['graphroot']}/networks/{n}.json" for n in networks),
    ):
        try:
            status = os.stat(path)
            found.append((status.st_ino, status.st_mtime_ns))
        except FileNotFoundError:
            found.append((0, 0))
    return found


def _adopt(facts: dict[str, Any]) -> None:
    from crate.engine.amendments import adopt

    adopt(facts["run_directory"], facts["state"])


def open_late(facts: dict[str, Any]) -> bool:
    """For a container that was connected to its first network with names while it runs; whether it has some now.

    CrateError, OSError.
    """
    _adopt(facts)
    lease = facts["state"]["lease"]
    if not lease.get("dns_fds") and any(one["dns"] for one in lease["endpoints"]):
        from crate.net import dns_door

        netns_fd = os.open(f"/proc/{facts['state']['pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            lease["dns_fds"] = dns_door.open_door(netns_fd)
        finally:
            os.close(netns_fd)
    return bool(lease.get("dns_fds"))


def announce(attach_socket: str) -> None:
    """Tells a monitor that amended.json has other networks; returns when it answers with their names."""
    try:
        socket = wire.connect(attach_socket)
    except OSError:
        return  # it ends
    try:
        socket.send(wire.AMENDED)
        while wire.receive(socket):
            pass
    except OSError:
        pass
    finally:
        socket.close()
