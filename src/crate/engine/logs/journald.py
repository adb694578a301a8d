"""The journald log: each line a datagram of journald's native protocol (systemd's JOURNAL_NATIVE_PROTOCOL.md)."""

from __future__ import annotations

import _socket
import errno
import os
import select

from crate.engine.logs.lines import LogLines
from crate.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = {"stdout": 6, "stderr": 3}
#: A journal that takes nothing for this long does not stop the container: the line is lost, and that is told.
_PATIENCE_MS = 1000
_GOING = (errno.ECONNREFUSED, errno.ENOENT)


class Journal(LogLines):
    """Sends lines with docker's and podman's fields."""

    def __init__(self, log: Mapping[str, Any], left: dict[str, str] | None) -> None:
        super().__init__(left or {})
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(SOCKET)
        except OSError as error:
            if left is None:
                hint = "start systemd-journald, or take --log-driver json-file"
                raise HostError(f"cannot log to journald: {SOCKET}: {error.strerror}", hint) from None
        self._socket.setblocking(False)
        self._lost = int((left or {}).get("lost", "0"))
        fields = {
            "CONTAINER_ID": log["id"][:12],
            "CONTAINER_ID_FULL": log["id"],
            "CONTAINER_NAME": log["name"],
            "CONTAINER_TAG": log["tag"],
            "IMAGE_NAME": log["image"],
            "SYSLOG_IDENTIFIER": log["tag"],
            **{_name(key): value for key, value in log["attributes"].items()},
        }
        self._fields = b"".join(_field(name, os.fsencode(value)) for name, value in fields.items())

    def _lines(self, stream: str, lines: bytes) -> None:
        for line in lines[:-1].split(b"\n"):
            self._send(stream, line)

    def _part(self, stream: str, part: bytes) -> None:
        self._send(stream, part, _field("CONTAINER_PARTIAL_MESSAGE", b"true"))

    def _send(self, stream: str, text: bytes, more: bytes = b"") -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            note = f"[crate: {lost} lines of this log were lost: journald did not take them]"
            self._try("stderr", note.encode(), b"")
            self._lost += lost if self._lost else 0
        self._try(stream, text, more)

    def _try(self, stream: str, text: bytes, more: bytes) -> None:
        packet = _field("MESSAGE", text) + _field("PRIORITY", b"%d" % _PRIORITIES[stream]) + self._fields + more
        for _ in range(3):
            try:
                self._socket.send(packet)
                return
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._socket.fileno(), select.POLLOUT)
                if not poll.poll(0 if self._lost else _PATIENCE_MS):
                    break
            except OSError as error:
                if error.errno not in (*_GOING, errno.ENOTCONN, errno.ECONNRESET):
                    break
                try:
                    self._socket.connect(SOCKET)  # journald was started again
                except OSError:
                    break
        self._lost += 1

    def record(self) -> dict[str, str]:
        return super().record() | ({"lost": str(self._lost)} if self._lost else {})


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def _name(key: str) -> str:
    """A label's or variable's name as the journal takes them: A-Z 0-9 _, no underscore first."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in key.upper()).lstrip("_0123456789")[:64] or "LABEL"
