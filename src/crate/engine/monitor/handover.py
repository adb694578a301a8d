"""The hand-over of a monitor to a lean copy of itself: execve(2) with the same pid, children and descriptors.

A monitor begins as a fork of its caller and shares that one's memory until it is written to: 3 MB more than a fresh
interpreter that loads the monitor's modules only. The record below carries all it knows; its `version` lets a newer
crate, installed meanwhile, refuse a form that it does not know (then the old process goes on as it is).
"""

from __future__ import annotations

import _socket
import gc
import os
import sys

from crate import fresh
from crate.engine.monitor.streams import Client, Streams
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.engine.monitor.monitor import Monitor

VERSION = 1


def execute(monitor: Monitor, entry: str = "resume") -> None:
    """Re-executes the monitor at `entry`: resume, bury or restart; returns when it cannot."""
    descriptors = [monitor.pidfd, monitor.listener.fileno(), monitor.streams.stdin_fd, *monitor.streams.output]
    descriptors += [client.socket.fileno() for client in monitor.streams.clients]
    descriptors += [monitor.facts["membership"], *_of_lease(monitor.facts)]
    fd = os.memfd_create("crate-handover", 0)
    try:
        text = json.dumps(record(monitor)).encode("utf-8", "surrogateescape")
        while text:
            text = text[os.write(fd, text) :]
        os.lseek(fd, 0, os.SEEK_SET)
        for descriptor in descriptors:
            if descriptor >= 0:
                os.set_inheritable(descriptor, True)
        # The last word is for whoever reads a list of processes.
        container = monitor.facts["run_directory"]
        os.execve("/proc/self/exe", fresh.command(entry, str(fd), container), fresh.ENVIRONMENT)
    except OSError:
        os.close(fd)
        for descriptor in descriptors:
            if descriptor >= 0:
                os.set_inheritable(descriptor, False)


def _of_lease(facts: dict[str, Any]) -> list[int]:
    """The descriptors of the sandbox's lease, which that of an older crate may have none of."""
    lease = facts["state"]["lease"] or {}
    return [fd for key in ("port_fds", "dns_fds", "home_fds") for fd in lease.get(key) or ()]


def record(monitor: Monitor) -> dict[str, Any]:
    """Everything that a monitor knows, as JSON data."""
    streams = monitor.streams
    return {
        "version": VERSION,
        "facts": monitor.facts,
        "pidfd": monitor.pidfd,
        "listener": monitor.listener.fileno(),
        "output": [[fd, stream.decode()] for fd, stream in streams.output.items()],
        "stdin": streams.stdin_fd,
        "stdin_ends": streams.stdin_ends,
        "ends_to_type": streams.ends_to_type,
        "stdin_pending": [data.decode("latin-1") for data in streams.stdin_pending],
        "terminal": streams.terminal,
        "log_partial": streams.log.record() if streams.log else {},
        "clients": [
            {
                "fd": client.socket.fileno(),
                "hello": client.hello,
                "pending": [packet.decode("latin-1") for packet in client.pending],
                "skipped": client.skipped,
            }
            for client in streams.clients
        ],
    }


def resume() -> NoReturn:
    """Process `crate:monitor`, lean: loads what serving needs and nothing else, before it serves.

    Whatever follows the container's end is done by one more execve into `bury`: its modules would be 0.6 MB in every
    idle monitor, and after an upgrade of crate they would not be those that this process began with.
    """
    gc.disable()
    lean = _inherit()
    lean.serve()
    execute(lean, "bury")
    bury_here(lean)


def bury() -> NoReturn:
    """Process `crate:monitor` after its container's end: aftermath.py."""
    gc.disable()
    bury_here(_inherit())


def restart() -> NoReturn:
    """Process `crate:monitor` of a container that is to be started again: restarting.py."""
    gc.disable()
    from crate.engine.monitor import restarting

    restarting.restart(_inherit())


def bury_here(monitor: Monitor) -> NoReturn:
    """The aftermath in this process."""
    from crate.engine.monitor import aftermath

    aftermath.finish(monitor)


def _inherit() -> Monitor:
    fd = int(sys.argv[1])
    text = b""
    while data := os.read(fd, 1 << 20):
        text += data
    os.close(fd)
    return _monitor(json.loads(text.decode("utf-8", "surrogateescape")))


def _monitor(known: dict[str, Any]) -> Monitor:
    from crate.engine.monitor import monitor

    monitor.settle_process()
    facts = known["facts"]
    output = {fd: stream.encode() for fd, stream in known["output"]}
    log = monitor.open_log(facts, known["log_partial"])
    streams = Streams(log, output, known["stdin"], known["terminal"])
    streams.stdin_ends = known["stdin_ends"]
    streams.ends_to_type = known.get("ends_to_type", 0)
    streams.stdin_pending = [data.encode("latin-1") for data in known["stdin_pending"]]
    for client in known["clients"]:
        pending = [packet.encode("latin-1") for packet in client["pending"]]
        socket = _socket.socket(fileno=client["fd"])
        streams.clients.append(Client(socket, client["hello"], pending, client.get("skipped", 0)))
    inherited = [*output, known["stdin"], known["pidfd"], known["listener"], *(c["fd"] for c in known["clients"])]
    for fd in [*inherited, facts["membership"], *_of_lease(facts)]:
        if fd >= 0:
            os.set_inheritable(fd, False)
    result = monitor.Monitor(facts, streams, _socket.socket(fileno=known["listener"]), known["pidfd"])
    result.lean = True
    return result
