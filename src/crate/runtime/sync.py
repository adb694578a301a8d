"""The messages between the runtime's parent and the init that it cloned.

    parent                                                     init (in the new namespaces)
      | --------------- clone3 --------------------------------> |
      | <-- "namespaced" -------------------------------------- |  only with a new user namespace or hooks
      |   writes id maps; runs prestart, createRuntime hooks     |
      | --- "proceed" ----------------------------------------> |
      | <-- "terminal" + descriptor of the pty ---------------- |  only with process.terminal
      | <-- "prepared" ---------------------------------------- |  root file system complete, pivoted; + its descriptor
      |   connects the network meanwhile; writes its state       |
      | --- "start" ------------------------------------------> |
      | <-- "failed" {operation, errno, path, status} --------- |  at any time: init ends, the parent raises it
      | <-- end of file --------------------------------------- |  execve(2) succeeded: the socket is close-on-exec

One message is one packet of a SOCK_SEQPACKET pair: JSON text, at most 32 KiB, at most one descriptor.
"""

from __future__ import annotations

import _socket
import os
import select
from struct import pack, unpack_from

from crate.errors import CommandError, CommandNotFound, CrateError, HostError
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMIT = 32768


class SetupError(Exception):
    """A step of init that failed: what it was doing, on what, and why. Travels to the parent as "failed"."""

    def __init__(
        self, operation: str, error: OSError | None = None, status: int = 125, hint: str | None = None
    ) -> None:
        super().__init__(operation)
        self.operation = operation
        self.error = error
        self.status = status
        self.hint = hint


class Channel:
    """One end of the pair."""

    def __init__(self, socket: _socket.socket) -> None:
        self._socket = socket

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._socket.fileno()

    def send(self, name: str, fd: int = -1, **fields: object) -> None:
        """Sends one message. BrokenPipeError (as OSError) when the other side is gone."""
        fields["message"] = name
        text = json.dumps(fields).encode()[:_LIMIT]
        extra = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack("=i", fd))] if fd >= 0 else []
        self._socket.sendmsg([text], extra, _socket.MSG_NOSIGNAL)

    def receive(self) -> tuple[str, dict[str, Any], int]:
        """The next message: its name, its fields, its descriptor or -1; ("", {}, -1) at the end of file."""
        try:
            data, extra, _, _ = self._socket.recvmsg(_LIMIT, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            # Init ended without having read all. The error is told once, what it sent before comes after it.
            data, extra, _, _ = self._socket.recvmsg(_LIMIT, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        fd = unpack_from("=i", extra[0][2])[0] if extra else -1
        if not data:
            return "", {}, -1
        fields = json.loads(data)
        return fields.pop("message"), fields, fd

    def expect(self, wanted: str) -> tuple[dict[str, Any], int]:
        """The fields and descriptor of the next message, which must be `wanted`; a "failed" one is raised."""
        name, fields, fd = self.receive()
        if name == wanted:
            return fields, fd
        raise failure(name, fields)

    def fail(self, error: SetupError) -> None:
        """Tells the parent why this process ends."""
        code = error.error.errno if error.error else 0
        try:
            self.send("failed", operation=error.operation, errno=code, status=error.status, hint=error.hint)
        except OSError:
            pass

    def is_closed(self) -> bool:
        """Whether the other side is gone."""
        poll = select.poll()
        poll.register(self.fileno(), 0)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Closes this end."""
        self._socket.close()


def pair() -> tuple[Channel, Channel]:
    """Both ends: the parent's and init's. Close-on-exec, which is what tells the parent that execve succeeded."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return Channel(ours), Channel(theirs)


def failure(name: str, fields: dict[str, Any]) -> CrateError:
    """The error that a message stands for."""
    if name != "failed":
        return HostError("the container's init ended before it was ready", "look for an out-of-memory kill in dmesg")
    cause = f": {os.strerror(fields['errno'])}" if fields["errno"] else ""
    kind = {126: CommandError, 127: CommandNotFound}.get(fields["status"], HostError)
    if kind is not HostError:
        cause = cause.lower()  # as docker and podman, which scripts know, word these
    return kind(fields["operation"] + cause, fields.get("hint"))
