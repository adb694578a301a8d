"""What every process needs that the engine forks: its own descriptors and pipes, a way to tell why it ends."""

from __future__ import annotations

import _socket
import os

from crate import errors
from crate.engine.monitor import wire
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.engine.context import Engine
    from crate.errors import CrateError


def drop_inherited(*keep: int) -> None:
    """Closes what the caller had open, its streams first: `$(crate run -d …)` waits for their end."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    start = 3
    for fd in sorted(keep):
        if fd >= 0:
            os.closerange(start, fd)
            start = fd + 1
    os.closerange(start, 1 << 20)


def own_membership(engine: Engine) -> int:
    """The user namespace's membership of a process that was forked by a member; -1 for root."""
    if engine.membership < 0:
        return -1
    from crate.ns.rootless import hold

    return hold(engine.roots.runroot)


def make_pipes(
    terminal: bool, interactive: bool, streams: list[int] | None = None
) -> tuple[dict[int, bytes], int, tuple[int, int, int] | None]:
    """The monitor's ends (outputs by stream, stdin or -1) and the container's three: `streams`, if they are given."""
    if terminal:
        return {}, -1, None
    if streams:
        return {}, -1, (streams[0], streams[1], streams[2])
    if interactive:
        stdin_read, stdin_write = os.pipe2(os.O_CLOEXEC)
    else:
        stdin_read, stdin_write = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), -1
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    err_read, err_write = os.pipe2(os.O_CLOEXEC)
    return {out_read: wire.STDOUT, err_read: wire.STDERR}, stdin_write, (stdin_read, out_write, err_write)


def refuse(socket: _socket.socket, error: CrateError) -> NoReturn:
    """Tells the caller why nothing was started, and ends this process."""
    fields = {"message": error.message, "hint": error.hint, "status": error.exit_status}
    try:
        socket.send(wire.FAILED + json.dumps(fields).encode(), _socket.MSG_NOSIGNAL)
    except OSError:
        pass
    os._exit(1)


def failure(fields: dict[str, Any]) -> CrateError:
    """The error that a "failed" message stands for."""
    kind = {126: errors.CommandError, 127: errors.CommandNotFound}.get(fields["status"], errors.HostError)
    return kind(fields["message"], fields["hint"])


def exit_code(status: int) -> int:
    """The exit status of docker: the program's own, or 128 + the signal that killed it."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
