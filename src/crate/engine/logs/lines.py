"""What every log driver does first: cuts what a container writes into whole lines, and long ones into parts."""

from __future__ import annotations

import time

#: A line without an end is written in parts of this many bytes, as docker does.
PART = 16384


class LogLines:
    """Takes bytes of `stdout` and `stderr`; a driver gives `_lines` and `_part` a meaning.

    `left` is what `record` gave in a former process.
    """

    def __init__(self, left: dict[str, str]) -> None:
        streams = ("stdout", "stderr")
        self._partial = {stream: left[stream].encode("latin-1") for stream in streams if stream in left}

    def write(self, stream: str, data: bytes) -> None:
        """Hands on whole lines at once; the rest waits for its end."""
        data = self._partial.pop(stream, b"") + data
        end = data.rfind(b"\n") + 1
        start = 0
        while end - start > PART:
            newline = data.rfind(b"\n", start, start + PART)
            if newline < 0:
                self._write_long(stream, data[:end])
                break
            start = newline + 1
        else:
            if end:
                self._lines(stream, data[:end])
        rest = data[end:]
        while len(rest) >= PART:
            cut = _cut(rest)
            self._part(stream, rest[:cut])
            rest = rest[cut:]
        if rest:
            self._partial[stream] = rest

    def _write_long(self, stream: str, lines: bytes) -> None:
        for line in lines.splitlines(True) if b"\r" not in lines else _split(lines):
            while len(line) > PART:
                cut = _cut(line)
                self._part(stream, line[:cut])
                line = line[cut:]
            self._lines(stream, line)

    def finish(self) -> None:
        """Writes what has no line end."""
        for stream, rest in list(self._partial.items()):
            self._part(stream, rest)
        self._partial.clear()

    def record(self) -> dict[str, str]:
        """What a process that goes on writing must know: unfinished lines by stream, and a driver's own."""
        return {key: value.decode("latin-1") for key, value in self._partial.items()}

    def _lines(self, stream: str, lines: bytes) -> None:
        """Writes lines, each with its end, of at most PART bytes."""
        raise NotImplementedError

    def _part(self, stream: str, part: bytes) -> None:
        """Writes the beginning of a line, at most PART bytes, or its end without a newline."""
        raise NotImplementedError


def _split(lines: bytes) -> list[bytes]:
    return [line + b"\n" for line in lines.split(b"\n")[:-1]]


def _cut(line: bytes) -> int:
    """Where to cut a long line: after PART bytes, but not within a character."""
    cut = min(PART, len(line))
    while cut > PART - 4 and cut < len(line) and line[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, as docker writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
