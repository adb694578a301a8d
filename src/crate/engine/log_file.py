"""The json-file log of a container: docker's form, one JSON object a line, rotated by size."""

from __future__ import annotations

import os
import time
from _json import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: A line without an end is written in parts of this size, as docker does.
PART = 16384


class LogFile:
    """Writes what a container says. `max_bytes` 0 means no rotation; `max_files` counts the current one."""

    def __init__(self, path: str, max_bytes: int, max_files: int, partial: dict[str, str] | None = None) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.max_files = max(1, max_files)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size
        self._partial = {key: value.encode("latin-1") for key, value in (partial or {}).items()}

    def write(self, stream: str, data: bytes) -> None:
        """Takes bytes of `stdout` or `stderr`; whole lines are written at once, the rest waits for its end."""
        data = self._partial.pop(stream, b"") + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        lines = data[:end].splitlines(True) if b"\r" not in data else data[:end].split(b"\n")[:-1]
        if b"\r" in data:
            lines = [line + b"\n" for line in lines]
        while len(rest) >= PART:
            lines.append(rest[:PART])
            rest = rest[PART:]
        if rest:
            self._partial[stream] = rest
        if lines:
            self._append(stream, lines)

    def _append(self, stream: str, lines: list[bytes]) -> None:
        tail = f',"stream":"{stream}","time":"{timestamp(time.time_ns())}"}}\n'
        parts: list[str] = []
        for line in lines:
            for start in range(0, len(line), PART):
                text = line[start : start + PART].decode("utf-8", "replace")
                parts.append('{"log":' + encode_basestring_ascii(text) + tail)
        data = "".join(parts).encode()
        if not self.max_bytes or self._size + len(data) <= self.max_bytes:
            self._put(data)
            return
        data = b""
        for part in map(str.encode, parts):
            if self._size + len(data) + len(part) > self.max_bytes and (self._size or data):
                self._put(data)
                self._rotate()
                data = b""
            data += part
        self._put(data)

    def _put(self, data: bytes) -> None:
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            return  # a full disk must not stop the container: what is lost is seen in the log as a gap
        self._size += len(data)

    def _rotate(self) -> None:
        for number in range(self.max_files - 1, 0, -1):
            older = f"{self.path}.{number}"
            newer = f"{self.path}.{number - 1}" if number > 1 else self.path
            try:
                os.rename(newer, older)
            except FileNotFoundError:
                pass
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if self.max_files == 1 else 0)
        os.close(self._fd)
        self._fd = os.open(self.path, flags, 0o640)
        self._size = 0

    def finish(self) -> None:
        """Writes what has no line end."""
        for stream, rest in list(self._partial.items()):
            self._append(stream, [rest])
        self._partial.clear()

    def record(self) -> dict[str, Any]:
        """What another process needs to go on writing."""
        partial = {key: value.decode("latin-1") for key, value in self._partial.items()}
        return {"path": self.path, "max_bytes": self.max_bytes, "max_files": self.max_files, "partial": partial}


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, as docker writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
