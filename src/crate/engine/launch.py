"""From a container on disk to a running one: the caller forks the monitor, the monitor starts init.

    caller                         monitor                                   init
      | -- fork ------------------> | own session, caller's streams dropped
      | finds the image, plans,     | loads what it needs (monitor/ignition.py)
      | writes the container,       |
      | mounts its root (detached)  |
      | -- order, root mount -----> | address, ports; cgroup; pipes
      |                             | -- clone3 ----------------------------> | mounts, pivot (init.py)
      |                             | veth, firewall (meanwhile)              |
      |                             | <- prepared --------------------------- |
      |                             | state.json
      |                             | -- start -----------------------------> | execve
      | <- started, or failed ----- |
      | attach.py                   | monitor/monitor.py

The fork comes first because each has its own things to load, four milliseconds each, and a fork copies less when less
was loaded. A caller that has no order after all closes the socket, and the monitor to be ends.
"""

from __future__ import annotations

import os

from crate import hotcore
from crate.engine.monitor import wire
from crate.engine.offspring import drop_inherited, failure, own_membership, refuse
from crate.errors import HostError
from crate.linux.process import fork_child
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, NoReturn

    from crate.engine.context import Engine


class Starter:
    """A monitor that waits for its order."""

    __slots__ = ("_pid", "_socket")

    def __init__(self, pid: int, socket: _socket.socket) -> None:
        self._pid = pid
        self._socket = socket

    def launch(self, container_id: str, hello: dict[str, Any], root_mount_fd: int) -> tuple[_socket.socket, int]:
        """Gives the order, and waits until the program runs; gives the socket to its monitor, and a pidfd of init.

        Takes the descriptor. Raises what the start failed with: CommandNotFound (127), CommandError (126), any
        CrateError (125).
        """
        try:
            wire.send_order(self._socket, {"id": container_id, "hello": hello}, root_mount_fd)
        except OSError:
            pass  # it was killed, which the answer tells
        os.close(root_mount_fd)
        hotcore.stop()
        if hello:
            hotcore.load("attach")
            from crate.engine import attach  # noqa: F401 - its turn comes next, and now there is time

            hotcore.stop()
        kind, data, pidfd = wire.receive_start(self._socket)
        if kind == wire.STARTED:
            return self._socket, pidfd
        os.waitpid(self._pid, 0)
        if kind != wire.FAILED:
            raise HostError("the container's monitor was killed before the container started")
        raise failure(json.loads(data))

    def dismiss(self) -> None:
        """There is no order: the process ends."""
        self._socket.close()


def fork_starter(engine: Engine) -> Starter:
    """Forks a monitor to be. The caller has one thread."""
    ours, theirs = wire.pair()

    def child() -> NoReturn:
        ours.close()
        _monitor(engine, theirs)

    pid = fork_child(child)
    theirs.close()
    return Starter(pid, ours)


def _monitor(engine: Engine, socket: _socket.socket) -> NoReturn:
    """Process `crate:monitor`, see monitor/monitor.py. Ends with os._exit."""
    try:
        os.setsid()
        os.umask(0o022)  # not the caller's: what is made for the container is for all of its users
        membership = own_membership(engine)
        drop_inherited(socket.fileno(), membership)
        engine.membership = membership
        hotcore.forget()
        hotcore.load("monitor")
        from crate.engine.monitor import ignition, monitor

        monitor.settle_process()
        order, root_mount_fd = wire.receive_order(socket)
        if not order:
            os._exit(0)
        ignition.ignite(engine, socket, order, root_mount_fd)
    except Exception as error:
        refuse(socket, HostError(f"the container's monitor failed: {type(error).__name__}: {error}"))
