"""The DNS of a container's networks: the monitor's part, which only a container on a network with names loads.

The sockets wait in the container's namespace (net/dns/door.py). A young monitor loads what answers at the first
question, since most batch commands ask for nothing; a lean one at once, when nobody waits for the 5 ms of it.
"""

from __future__ import annotations

import os
import select
import time

from crate.engine.monitor import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.net.dns.resolver import Resolver, Resolving

#: what it was connected to since its start (amendments.py)
_AMENDED = "amended.json"
_PAUSE_SECONDS = 1.0
#: how long a monitor is waited for, which may be stopped
_PATIENCE_SECONDS = 5.0


class Lookups:
    """Answers the container's questions. `due_at` (CLOCK_MONOTONIC): when there is something to do without an event."""

    def __init__(self, facts: dict[str, Any], at_once: bool) -> None:
        self._facts = facts
        self._version = _version(facts)
        self._resolver: Resolver | None = None
        self._rests_until = 0.0
        if at_once:
            self._open()

    def register(self, poll: select.poll) -> None:
        """A question wakes the monitor."""
        if self._resolver:
            self._resolver.register(poll)
        elif time.monotonic() >= self._rests_until:
            for fd in self._facts["state"]["lease"]["dns_fds"]:
                poll.register(fd, select.POLLIN)

    @property
    def due_at(self) -> float:
        """0 when there is nothing."""
        if self._resolver:
            return self._resolver.due_at
        return self._rests_until if self._rests_until > time.monotonic() else 0.0

    def is_busy(self) -> bool:
        """Whether the container waits for an answer that would be lost with this process."""
        return bool(self._resolver and self._resolver.is_busy())

    def handle(self, fd: int) -> bool:
        """Answers, if a descriptor that poll(2) told of is one of these; else False."""
        if self._resolver is None:
            if fd not in self._facts["state"]["lease"]["dns_fds"]:
                return False
            self._open()
        elif fd != self._resolver.fileno():
            return False
        self._step()
        return True

    def step(self) -> None:
        """What is to be done by now."""
        if self._resolver and 0 < self._resolver.due_at <= time.monotonic():
            self._step()

    def close(self) -> None:
        """The sockets stay, for the process that this one becomes."""
        resolver, self._resolver = self._resolver, None
        try:
            if resolver:
                resolver.close()
        except Exception:
            pass  # spoilt by what it is closed for

    def _open(self) -> None:
        from crate.net.dns.resolver import Resolver

        try:
            self._resolver = Resolver(self._resolving())
            self._resolver.prepare()
        except Exception:
            # No descriptor is free, perhaps for the very module: the container must not end for it.
            self._resolver = None
            self._rests_until = time.monotonic() + _PAUSE_SECONDS

    def _step(self) -> None:
        try:
            if self._resolver:
                self._follow(self._resolver)
                self._resolver.step()
        except Exception:
            # The container must not end for a packet: a later one meets a new resolver.
            self.close()
            self._rests_until = time.monotonic() + _PAUSE_SECONDS

    def _follow(self, resolver: Resolver) -> None:
        """Sees to which networks the container was connected meanwhile, and which servers these have."""
        version = _version(self._facts)
        if version != self._version:
            self._version = version
            _adopt(self._facts)
            resolver.tell(self._resolving())

    def _resolving(self) -> Resolving:
        from crate.net.dns.resolver import resolving

        facts = self._facts
        return resolving(facts["state"]["lease"], f"{facts['graphroot']}/networks", facts.get("dns") or ())


def _version(facts: dict[str, Any]) -> list[tuple[int, int]]:
    """What changes when other networks, or other servers of theirs, may have come."""
    networks = [endpoint["network"] for endpoint in facts["state"]["lease"]["endpoints"]]
    found = []
    for path in (
        f"{facts['run_directory']}/{_AMENDED}",
        *(f"{facts['graphroot']}/networks/{n}.json" for n in networks),
    ):
        try:
            status = os.stat(path)
            found.append((status.st_ino, status.st_mtime_ns))
        except OSError:
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
        from crate.net.dns import door as dns_door

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
        return  # the container has just ended, and whoever buries it reads the file
    try:
        socket.send(wire.AMENDED)
        poll = select.poll()
        poll.register(socket.fileno(), select.POLLIN)
        while poll.poll(_PATIENCE_SECONDS * 1000) and wire.receive(socket):
            pass
    except OSError:
        pass
    finally:
        socket.close()
