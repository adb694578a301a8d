"""The syslog log: each line a message to a syslog server, in the forms of docker's driver."""

from __future__ import annotations

import _socket
import os
import time

from crate.engine.logs.lines import LogLines
from crate.errors import HostError
from crate.plan.log_config import facility_number, split_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SEVERITIES = {"stdout": 6, "stderr": 3}
#: A server that takes nothing for this long does not stop the container: lines are lost, and that is told.
_PATIENCE_SECONDS = 1.0
_RETRY_SECONDS = 1.0


class Syslog(LogLines):
    """Sends lines over a unix socket, UDP or TCP."""

    def __init__(self, log: Mapping[str, Any], left: dict[str, str] | None) -> None:
        super().__init__(left or {})
        options = log["options"]
        self._address = split_address(options.get("syslog-address", ""))
        self._facility = facility_number(options.get("syslog-facility", "daemon"))
        self._form = options.get("syslog-format", "")
        self._tag = log["tag"]
        self._host = _socket.gethostname()
        self._lost = int((left or {}).get("lost", "0"))
        self._retry_at = 0.0
        self._socket: _socket.socket | None = None
        try:
            self._connect()
        except OSError as error:
            if left is None:
                shown = options.get("syslog-address") or "unix:///dev/log"
                hint = "start the server, or give --log-opt syslog-address=…"
                raise HostError(f"cannot log to syslog at {shown}: {error.strerror or error}", hint) from None

    def _connect(self) -> None:
        protocol, place, port = self._address
        if protocol in ("unix", "unixgram"):
            kinds = [_socket.SOCK_DGRAM] + [_socket.SOCK_STREAM] * (protocol == "unix")
            found: list[tuple[int, int, Any]] = [(_socket.AF_UNIX, kind, place) for kind in kinds]
        else:
            kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
            found = [(entry[0], kind, entry[4]) for entry in _socket.getaddrinfo(place, port, 0, kind)]
        failure: OSError | None = None
        for family, kind, address in found:
            candidate = _socket.socket(family, kind | _socket.SOCK_CLOEXEC)
            candidate.settimeout(_PATIENCE_SECONDS)
            try:
                candidate.connect(address)
            except OSError as error:
                candidate.close()
                failure = error
                continue
            self._socket = candidate
            return
        raise failure or OSError(0, "the host has no address")

    def _lines(self, stream: str, lines: bytes) -> None:
        for line in lines[:-1].split(b"\n"):
            self._send(stream, line)

    def _part(self, stream: str, part: bytes) -> None:
        self._send(stream, part)

    def _send(self, stream: str, text: bytes) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            self._try("stderr", f"[crate: {lost} lines of this log were lost: syslog did not take them]".encode())
            self._lost += lost if self._lost else 0
        self._try(stream, text)

    def _try(self, stream: str, text: bytes) -> None:
        packet = self._head(stream) + text + b"\n"
        for _ in range(2):
            try:
                if self._socket is None:
                    if time.monotonic() < self._retry_at:
                        break
                    self._connect()
                assert self._socket
                self._socket.sendall(packet, _socket.MSG_NOSIGNAL)
                return
            except OSError:
                # It was started again, or is slow. Half of a line may be there: the connection is not used on.
                if self._socket:
                    self._socket.close()
                self._socket, self._retry_at = None, time.monotonic() + (_RETRY_SECONDS if self._lost else 0)
        self._lost += 1
        self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _head(self, stream: str) -> bytes:
        priority = self._facility * 8 + _SEVERITIES[stream]
        now, pid, tag = time.time_ns(), os.getpid(), self._tag
        local = time.localtime(now // 10**9)
        if self._form.startswith("rfc5424"):
            sign, minutes = ("+" if local.tm_gmtoff >= 0 else "-"), abs(local.tm_gmtoff) // 60
            zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}" if minutes else "Z"
            fraction = f".{now % 10**9 // 1000:06d}" if self._form.endswith("micro") else ""
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", local) + fraction + zone
            return f"<{priority}>1 {moment} {self._host} {tag} {pid} {tag} - ".encode()
        months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
        moment = f"{months[local.tm_mon - 1]} {local.tm_mday:2d} {time.strftime('%H:%M:%S', local)}"
        host = f" {self._host}" if self._form == "rfc3164" else ""
        return f"<{priority}>{moment}{host} {tag}[{pid}]: ".encode()

    def record(self) -> dict[str, str]:
        return super().record() | ({"lost": str(self._lost)} if self._lost else {})
