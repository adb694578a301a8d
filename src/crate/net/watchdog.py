"""Notices when a helper of a running sandbox dies, and starts it again: a container keeps the network it was given.

The helper of its own (pasta, slirp4netns, a forwarder) is a child of the monitor. The uplink of an ordinary user's
networks is everybody's who is on them: all of them see it die, the first through the gate starts it, the others find it
running. What the helper had in hand, its connections, is lost; new ones go through. For the monitor, which polls.
"""

from __future__ import annotations

import os
import select
import time

from crate.errors import CrateError
from crate.linux.process import pidfd_open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from crate.net.sandbox import Lease

#: the waits before a helper that keeps dying is started again, and the life after which the first comes again
_FIRST_SECONDS, _LONGEST_SECONDS, _SETTLED_SECONDS = 0.1, 30.0, 10.0


class _Watched:
    """One helper: a descriptor that tells of its end, or the moment at which it is to be started again."""

    def __init__(self, find: Callable[[], int], start: Callable[[], object], *, own: bool = False) -> None:
        """`find` gives a pidfd, or -1 when there is no such process; `start` starts it. OSError, CrateError."""
        self._find, self._start, self.own = find, start, own
        self.due_at, self._wait = 0.0, _FIRST_SECONDS
        self._since = time.monotonic()
        try:
            self.fd = find()
        except OSError:
            self.fd = -1  # no descriptor is free: it is looked for again later
        if self.fd < 0:
            self.ended()

    def ended(self) -> None:
        """It has ended, or could not be started."""
        self.close()
        now = time.monotonic()
        if now - self._since >= _SETTLED_SECONDS:
            self._wait = _FIRST_SECONDS
        self.due_at = now + self._wait
        self._wait = min(self._wait * 2, _LONGEST_SECONDS)

    def start(self) -> None:
        """Starts it, unless somebody else did; tries again later when that fails."""
        self.due_at, self._since = 0.0, time.monotonic()
        try:
            self._start()
            self.fd = self._find()
        except (OSError, CrateError):
            self.fd = -1
        if self.fd < 0:
            self.ended()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


class Watchdog:
    """The helpers of one sandbox. `due_at` (CLOCK_MONOTONIC): when one is to be started again; 0: none is."""

    def __init__(self, lease: Lease, init_pid: int) -> None:
        self._lease, self._init_pid = lease, init_pid
        self._watched: list[_Watched] = []
        if lease["helper_pid"]:
            self._watched.append(_Watched(self._own, self._start_own, own=True))
        self._watch_uplink()

    def _watch_uplink(self) -> None:
        directory = self._lease["directory"]
        if not self._lease["home_fds"] or any(not watched.own for watched in self._watched):
            return
        from crate.net.rootless import uplink

        if uplink.wanted(directory):
            self._watched.append(_Watched(lambda: uplink.pidfd(directory), self._start_uplink))

    def register(self, poll: select.poll) -> None:
        """A helper's end wakes the monitor."""
        for watched in self._watched:
            if watched.fd >= 0:
                poll.register(watched.fd, select.POLLIN)

    @property
    def due_at(self) -> float:
        """0 when there is nothing to do."""
        return min((watched.due_at for watched in self._watched if watched.due_at), default=0.0)

    def handle(self, fd: int) -> bool:
        """Notes the end that poll(2) told of, if the descriptor is one of these; else False."""
        for watched in self._watched:
            if watched.fd == fd >= 0:
                watched.ended()
                return True
        return False

    def step(self) -> None:
        """What is to be done by now."""
        for watched in self._watched:
            if 0 < watched.due_at <= time.monotonic():
                watched.start()

    def follow(self) -> None:
        """Has the ports lead to where the lease says by now, and looks after an uplink that it has by now."""
        lease = self._lease
        self._watch_uplink()
        if not lease["home_fds"] or not lease["port_fds"]:
            return
        from crate.net.rootless import userspace_process

        for watched in [one for one in self._watched if one.own]:
            watched.close()
            self._watched.remove(watched)
        if lease["helper_pid"]:
            userspace_process.kill(lease["helper_pid"])
            lease["helper_pid"] = 0
        if lease["published"]:
            self._watched.append(_Watched(self._own, self._start_own, own=True))
            self._watched[-1].start()

    def close(self) -> None:
        """The helpers stay, for the process that this one becomes."""
        for watched in self._watched:
            watched.close()

    def _own(self) -> int:
        pid = self._lease["helper_pid"]
        if pid and _reap(pid):
            pid = self._lease["helper_pid"] = 0  # the number may be another's from now on
        return pidfd_open(pid) if pid else -1

    def _start_own(self) -> None:
        _reap(self._lease["helper_pid"])
        self._lease["helper_pid"] = 0
        if self._lease["home_fds"]:
            from crate.net.rootless import sandbox as rootless_sandbox

            rootless_sandbox.forward(self._lease)
            return
        from crate.net.rootless import userspace

        netns_fd = os.open(f"/proc/{self._init_pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            userspace.connect(self._lease, netns_fd)
        finally:
            os.close(netns_fd)

    def _start_uplink(self) -> None:
        from crate.net.rootless import networks as rootless_networks
        from crate.net.rootless import uplink

        directory = self._lease["directory"]
        _reap(uplink.pid(directory))
        with rootless_networks.Gate(directory):
            uplink.ensure(directory, self._lease["home_fds"][1], "")


def _reap(pid: int) -> bool:
    """Of a child that has ended nothing is left, which it tells; others are left alone."""
    try:
        return bool(pid) and os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
