"""The way to a seccomp agent, who answers the calls that a filter notifies of (runtime-spec, `listenerPath`).

Cold: only filters with SCMP_ACT_NOTIFY come here.
"""

from __future__ import annotations

import _socket
import os
from struct import pack

from crate.errors import HostError
from crate.oci import json
from crate.runtime.seccomp import RECORDS_OWNERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.oci.runtime_spec import LinuxSeccomp
    from crate.runtime.seccomp import Filter

_PATIENCE_SECONDS = 5


def look(wanted: Filter) -> None:
    """Whether the agent of a filter is there, which else does without, if it can. HostError."""
    try:
        _connect(wanted.listener_path).close()
    except OSError as error:
        if not wanted.forget_listener():
            raise _unreachable(wanted.listener_path, error) from None


def hand_over(listener_fd: int, seccomp: LinuxSeccomp, state: dict[str, Any]) -> None:
    """Sends the agent a ContainerProcessState and the listener's descriptor, which is closed here. HostError.

    Has the one that records owners died since `look`, it is as if it died later: changes of owners fail.
    """
    path = seccomp["listenerPath"]
    message = {
        "ociVersion": state["ociVersion"],
        "fds": ["seccompFd"],
        "pid": state["pid"],
        "metadata": seccomp.get("listenerMetadata", ""),
        "state": state,
    }
    try:
        socket = _connect(path)
        try:
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack("=i", listener_fd))
            socket.sendmsg([json.dumps(message).encode()], [rights], _socket.MSG_NOSIGNAL)
        finally:
            socket.close()
    except OSError as error:
        if seccomp.get("listenerMetadata") != RECORDS_OWNERS:
            raise _unreachable(path, error) from None
    finally:
        os.close(listener_fd)


def _unreachable(path: str, error: OSError) -> HostError:
    return HostError(
        f"cannot reach the seccomp agent at {path}: {os.strerror(error.errno or 0)}",
        "linux.seccomp.listenerPath is where it must listen",
    )


def _connect(path: str) -> _socket.socket:
    """However long the path is: sun_path holds 108 bytes."""
    directory, _, name = path.rpartition("/")
    dir_fd = os.open(directory or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            # One that stands still takes as many as its backlog holds.
            socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, pack("@ll", _PATIENCE_SECONDS, 0))
            socket.connect(f"/proc/self/fd/{dir_fd}/{name}")
        except OSError:
            socket.close()
            raise
        return socket
    finally:
        os.close(dir_fd)
