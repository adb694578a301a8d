"""The monitor: one process a container, which starts it, serves its streams, and records how it ended.

Process `crate:monitor`: forked by a caller that has one thread; leader of its own session, holds no lock. Its only
child is the container's init (and pasta, where the network is rootless; and a tracer, see refusals/). It serves the
caller on an inherited socket and later ones on `attach.sock`. It ends after the container has, when everything that
others can observe was released, the clients were answered and the rest was cleaned away. Its SIGKILL kills the
container (PR_SET_PDEATHSIG); the next command that looks heals what is left.
"""

from __future__ import annotations

import _signal
import _socket
import os
import select
import time

from crate.engine.logs.json_file import LogFile
from crate.engine.monitor import wire
from crate.engine.monitor.streams import LOOK_SECONDS, Client, Streams
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.health.timer import Checks
    from crate.engine.logs.lines import LogLines
    from crate.engine.networks.lookups import Lookups
    from crate.net.proxy import Proxy
    from crate.net.watchdog import Watchdog

#: A container that lived this long gets a lean monitor. Shorter ones, most batch commands, never pay for it.
HANDOVER_SECONDS = 0.3
#: It is put off this long, by steps of the second, while the container waits for an answer of a name server.
_LOOKUP_SECONDS, _LATER_SECONDS = 5.0, 0.1
#: The first client's greeting must come within this time, or its connection is given up.
_HELLO = {"stdin": False, "stdout": False, "stderr": False, "stdin_once": False}

#: More wait in the listener's queue: each is a descriptor, and a process without free ones could not even refuse.
_CLIENTS_MAX = 200
_PAUSE_SECONDS, _RESERVE = 1.0, 8


class Monitor:
    """What the monitor of a running container knows; `record()` is the whole of it, for the hand-over."""

    def __init__(self, facts: dict[str, Any], streams: Streams, listener: _socket.socket, pidfd: int) -> None:
        self.facts = facts
        self.streams = streams
        self.listener = listener
        self.pidfd = pidfd
        self.lean = False
        self._lookups: Lookups | None = None
        self._proxy: Proxy | None = None
        self._helpers: Watchdog | None = None
        self._ended = False
        self._accepts_at = 0.0

    def serve(self) -> None:
        """Moves bytes until the container's init has ended."""
        handover_at = time.monotonic() + HANDOVER_SECONDS
        handover_latest = handover_at + _LOOKUP_SECONDS
        self._proxy = self._open_proxy() if self.lean else None
        checks = self._open_checks() if self.lean else None
        self._open_lookups()
        if self.lean:
            self._open_helpers()
        while not self._ended:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            if len(self.streams.clients) < _CLIENTS_MAX and time.monotonic() >= self._accepts_at:
                poll.register(self.listener.fileno(), select.POLLIN)
            if self._proxy:
                poll.register(self._proxy.fileno(), select.POLLIN)
            self.streams.interests(poll)
            if checks:
                checks.register(poll)
            for one in (self._lookups, self._helpers):
                if one:
                    one.register(poll)
            events = poll.poll(self._wait(handover_at, checks))
            for fd, event in events:
                if self._proxy and fd == self._proxy.fileno():
                    self._proxy.step()
                elif not any(one and one.handle(fd) for one in (self._lookups, self._helpers)):
                    self.handle(fd, event)
            if self._proxy and 0 < self._proxy.due_at <= time.monotonic():
                self._proxy.step()
            if checks:
                checks.step()
            for one in (self._lookups, self._helpers):
                if one:
                    one.step()
            if self.facts.get("kill_at") and time.monotonic() >= self.facts["kill_at"]:
                self._end_its_time()
            if not self.lean and not self._ended and time.monotonic() >= handover_at:
                if self._lookups and self._lookups.is_busy() and handover_at < handover_latest:
                    handover_at += _LATER_SECONDS
                    continue
                self._hand_over()
                self._proxy = self._open_proxy()  # the hand-over failed, and this process goes on
                checks = self._open_checks()
                self._open_helpers()
        for each in (checks, self._lookups, self._helpers):
            if each:
                each.close()

    def _wait(self, handover_at: float, checks: Checks | None) -> float | None:
        """Milliseconds until something has to be done without an event; None: nothing has."""
        moments = [] if self.lean else [handover_at]
        if self.facts.get("kill_at"):
            moments.append(self.facts["kill_at"])
        for clock in (checks, self._lookups, self._helpers, self._proxy):
            if clock and clock.due_at:
                moments.append(clock.due_at)
        if self._accepts_at > time.monotonic():
            moments.append(self._accepts_at)
        if self.streams.looks:
            moments.append(time.monotonic() + LOOK_SECONDS)
        return max(0.0, (min(moments) - time.monotonic()) * 1000) if moments else None

    def _end_its_time(self) -> None:
        """`--timeout` is over: kills the container; `timed_out` becomes the status that podman gives it, -1."""
        self.facts["kill_at"], self.facts["timed_out"] = None, True
        try:
            _signal.pidfd_send_signal(self.pidfd, _signal.SIGKILL)
        except ProcessLookupError:
            self.facts["timed_out"] = False  # it was faster

    def _open_proxy(self) -> Proxy | None:
        """What carries connections to [::1] and other addresses that no firewall rule can."""
        lease = self.facts["state"]["lease"]
        if not lease or not lease["port_fds"]:
            return None
        from crate.net.proxy import open_proxy

        try:
            return open_proxy(lease)
        except OSError:
            return None  # no descriptor is free; the rules carry the rest

    def _open_checks(self) -> Checks | None:
        """What checks the container's health."""
        if not self.facts.get("health"):
            return None
        from crate.engine.health.timer import Checks

        return Checks(self.facts)

    def _open_lookups(self) -> None:
        """What answers with the names of the container's networks."""
        if (self.facts["state"]["lease"] or {}).get("dns_fds"):
            from crate.engine.networks.lookups import Lookups

            self._lookups = Lookups(self.facts, self.lean)

    def _open_helpers(self) -> None:
        """What keeps pasta, slirp4netns and the like running."""
        lease: Any = self.facts["state"]["lease"] or {}
        if lease.get("helper_pid") or lease.get("home_fds"):
            from crate.net.watchdog import Watchdog

            self._helpers = Watchdog(lease, self.facts["state"]["pid"])

    def _see_networks(self) -> None:
        """It was connected to a network or taken from one; whoever goes on without names harms no container."""
        from crate.engine.networks import lookups
        from crate.errors import CrateError

        try:
            lookups.open_late(self.facts)
        except (OSError, CrateError):
            pass
        if not self._lookups:
            self._open_lookups()
        if not self._helpers:
            self._open_helpers()
        if self._helpers:
            self._helpers.follow()
        lease = self.facts["state"]["lease"]
        if lease["port_fds"] and lease["published"] and not lease["home_fds"]:
            from crate.net import ports

            ports.listen(lease["port_fds"])  # they were held only, if no network led out until now
        if self.lean:  # its ports may lead to another address, or to none
            if self._proxy:
                self._proxy.close()
            self._proxy = self._open_proxy()

    def accept(self) -> None:
        """Takes a client in. OSError."""
        raw_fd, _ = self.listener._accept()  # type: ignore[attr-defined]
        self.streams.clients.append(Client(_socket.socket(fileno=raw_fd), None))

    def handle(self, fd: int, event: int) -> None:
        """Serves a descriptor of which poll(2) told this event."""
        streams = self.streams
        if fd == self.pidfd:
            self._ended = True
        elif fd == self.listener.fileno():
            try:
                self.accept()
            except OSError:
                # No descriptor is free: the one who waits would wake this process again and again, and the end of the
                # container needs some.
                self._accepts_at = time.monotonic() + _PAUSE_SECONDS
                for client in streams.clients[_RESERVE:][-_RESERVE:]:
                    streams.drop(client)
                return
        elif fd in streams.output or fd == streams.stdin_fd:
            if event & (select.POLLIN | select.POLLHUP) and fd in streams.output:
                streams.read_output(fd)
            if event & (select.POLLOUT | select.POLLERR) and fd == streams.stdin_fd:
                streams.write_stdin()
        else:
            for client in list(streams.clients):
                if client.socket.fileno() == fd:
                    self._serve_client(client, event)

    def _serve_client(self, client: Client, event: int) -> None:
        packet = self.streams.receive(client, event)
        kind, data = packet[:1], packet[1:]
        try:
            if kind == wire.HELLO:
                client.hello = _HELLO | json.loads(data) | {"late": True}
                if self.pidfd >= 0:  # else it waits for its restart, and the client with it
                    wire.send_started(client.socket, self.facts["state"]["pid"], self.pidfd)
            elif kind == wire.CANCEL:
                self.facts["stopped"] = True
            elif kind == wire.AMENDED:
                if self.pidfd >= 0:
                    self._see_networks()
                self.streams.drop(client)
            elif kind == wire.RESIZE and self.streams.terminal and self.streams.output:
                self.streams.resize(data)
        except (OSError, ValueError, TypeError):
            self.streams.drop(client)  # gone, or nobody who knows wire.py: the container must not end for it

    def _hand_over(self) -> None:
        """Re-executes this process lean; when that cannot be, it goes on as it is."""
        from crate import cgroup
        from crate.engine.monitor import handover
        from crate.engine.monitor.aftermath import roots_of
        from crate.engine.recovery import lost
        from crate.storage import containers

        self.lean = True
        cgroup.leave_callers()
        if not self.facts["rm"]:
            # The caller was answered without waiting for the disk; a container that is to be kept gets there now.
            try:
                lost.foresee(self.facts)
                containers.sync(containers.paths(roots_of(self.facts), self.facts["id"]))
            except OSError:
                pass  # a full or failing disk must not end the container
        handover.execute(self)


def settle_process() -> None:
    """Makes the process a monitor: its name, and signals that must not end it."""
    try:
        fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"crate:monitor")
        finally:
            os.close(fd)
    except OSError:
        pass  # a name is not worth a container: after a hand-over one runs already
    for number in (_signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGPIPE, _signal.SIGTSTP, _signal.SIGTERM):
        _signal.signal(number, _signal.SIG_IGN)


def open_log(facts: dict[str, Any], left: dict[str, str] | None = None) -> LogLines | None:
    """The log of the container, as its record configures it; `left`: what a former process gave as its `record()`."""
    log = facts["log"]
    if log and "driver" in log:
        from crate.engine.logs.drivers import open_driver

        return open_driver(log, left)
    return LogFile(log["path"], log["max_bytes"], log["max_files"], left) if log else None
