"""The k8s-file log of a container, podman's and the kubelet's: `TIME STREAM F|P TEXT`, byte for byte."""

from __future__ import annotations

import time

from crate.engine.logs.json_file import RotatedFile
from crate.engine.logs.lines import LogLines


class K8sFile(LogLines):
    """Writes it. F marks a whole line, P a part of one."""

    def __init__(self, path: str, max_bytes: int, max_files: int, left: dict[str, str]) -> None:
        super().__init__(left)
        self._file = RotatedFile(path, max_bytes, max_files, False, left)

    def _lines(self, stream: str, lines: bytes) -> None:
        head = _head(stream, b"F")
        self._file.append(head + lines[:-1].replace(b"\n", b"\n" + head) + b"\n", _note)

    def _part(self, stream: str, part: bytes) -> None:
        self._file.append(_head(stream, b"P") + part + b"\n", _note)

    def finish(self) -> None:
        super().finish()
        self._file.finish(_note)

    def record(self) -> dict[str, str]:
        return super().record() | self._file.record()


def _note(text: str) -> bytes:
    return _head("stderr", b"F") + text.encode()


def _head(stream: str, mark: bytes) -> bytes:
    """`2026-01-02T15:04:05.123456789+00:00 stdout F `, in the local time, as conmon has it."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    local = time.localtime(seconds)
    sign, minutes = ("+" if local.tm_gmtoff >= 0 else "-"), abs(local.tm_gmtoff) // 60
    zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{rest:09d}{zone} {stream} ".encode() + mark + b" "
