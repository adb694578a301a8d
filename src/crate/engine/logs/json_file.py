"""The json-file log of a container: docker's form, one JSON object a line, rotated by size."""

from __future__ import annotations

import os
import time
from _json import encode_basestring

from crate.engine.logs.lines import LogLines, timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: stands for the newline while a whole block of lines is encoded: JSON leaves it as it is
_MARK = "\x7f"
#: bytes that are the same in JSON, and the newline
_PLAIN = bytes([*b"\n", *(byte for byte in range(32, 256) if byte not in b'"\\')])


class RotatedFile:
    """A file that is cut into several by size. `max_bytes` 0: never; `max_files` counts the current one."""

    def __init__(self, path: str, max_bytes: int, max_files: int, compress: bool, left: dict[str, str]) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.max_files = max(1, max_files)
        self.compress = compress
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        self._size = os.fstat(self._fd).st_size
        self._compressor = -1
        #: bytes that a full disk refused, and why; to be told once there is room
        self.lost = int(left.get("lost", "0"))
        self.lost_why = left.get("lost_why", "")

    def append(self, data: bytes, note: Callable[[str], bytes]) -> None:
        """Writes whole lines; before them, as `note` gives it, what was lost and can be told by now."""
        lost, self.lost = self.lost, 0
        if lost:
            data = note(f"[crate: {lost} bytes of this log were lost: {self.lost_why}]\n") + data
        self._divide(data)
        if self.lost:
            self.lost += lost

    def _divide(self, data: bytes) -> None:
        """Writes them, and rotates between two of them."""
        while self.max_bytes and self._size + len(data) > self.max_bytes:
            room = data.rfind(b"\n", 0, max(0, self.max_bytes - self._size)) + 1
            if not room and not self._size:
                room = data.find(b"\n") + 1
            if room:
                self._put(data[:room])
                data = data[room:]
            if not data or not self._rotate():
                break
        if data:
            self._put(data)

    def _put(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError as error:
            # A full disk must not stop the container. The half of a line that it took would spoil the next one.
            whole = data.rfind(b"\n", 0, written) + 1
            try:
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written + whole)
            except OSError:
                pass
            self.lost += len(data) - whole
            self.lost_why = str(error.strerror)
            written = whole
        self._size += written

    def _rotate(self) -> bool:
        """False when there can be no new file: then the current one goes on."""
        self._settle()
        fresh = f"{self.path}.new"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(fresh, flags, 0o640)
        except OSError:
            return False
        last = self.max_files - 1
        for suffix in ("", ".gz"):
            for number in range(last, 0, -1):
                name = f"{self.path}.{number}{suffix}"
                try:
                    if number == last:
                        os.unlink(name)
                    else:
                        os.rename(name, f"{self.path}.{number + 1}{suffix}")
                except FileNotFoundError:
                    pass
        if last:
            os.rename(self.path, f"{self.path}.1")
        os.rename(fresh, self.path)
        os.close(self._fd)
        self._fd, self._size = fd, 0
        if self.compress and last:
            from crate.engine.logs.compress import compress

            self._compressor = compress(f"{self.path}.1")
        return True

    def finish(self, note: Callable[[str], bytes]) -> None:
        """Tells what is still untold, if it can be."""
        if self.lost:
            self.append(b"", note)
        self._settle()

    def record(self) -> dict[str, str]:
        """What a process that goes on writing must know."""
        self._settle()
        return {"lost": str(self.lost), "lost_why": self.lost_why} if self.lost else {}

    def _settle(self) -> None:
        """Waits until the file that was rotated away last is compressed."""
        if self._compressor >= 0:
            os.read(self._compressor, 1)
            os.close(self._compressor)
            self._compressor = -1


class LogFile(LogLines):
    """Writes what a container says. `extra` is the JSON text of the attributes that --log-opt asks for, or nothing."""

    def __init__(
        self,
        path: str,
        max_bytes: int,
        max_files: int,
        left: dict[str, str] | None = None,
        *,
        compress: bool = False,
        extra: str = "",
    ) -> None:
        super().__init__(left or {})
        self._file = RotatedFile(path, max_bytes, max_files, compress, left or {})
        self._extra = f'"attrs":{extra},' if extra else ""

    def _lines(self, stream: str, lines: bytes) -> None:
        # All lines at once, and as bytes where nothing is to be escaped: a call for each would be most of the time.
        tail = self._tail(stream)
        if not lines.translate(None, _PLAIN) and _is_text(lines):
            end = b'\\n"' + tail
            self._put(b'{"log":"' + lines[:-1].replace(b"\n", end + b'{"log":"') + end)
            return
        text = lines[:-1].decode("utf-8", "replace")
        if _MARK in text:
            self._put(b"".join([self._entry(line + "\n", tail) for line in text.split("\n")]))
            return
        end = b'\\n"' + tail
        whole = encode_basestring(text.replace("\n", _MARK))[:-1].encode()
        self._put(b'{"log":' + whole.replace(b"\x7f", end + b'{"log":"') + end)

    def _part(self, stream: str, part: bytes) -> None:
        self._put(self._entry(part.decode("utf-8", "replace"), self._tail(stream)))

    @staticmethod
    def _entry(text: str, tail: bytes) -> bytes:
        return b'{"log":' + encode_basestring(text).encode() + tail

    def _tail(self, stream: str) -> bytes:
        return f',"stream":"{stream}",{self._extra}"time":"{timestamp(time.time_ns())}"}}\n'.encode()

    def _put(self, data: bytes) -> None:
        self._file.append(data, self._note)

    def _note(self, text: str) -> bytes:
        return self._entry(text, self._tail("stderr"))

    def finish(self) -> None:
        super().finish()
        self._file.finish(self._note)

    def record(self) -> dict[str, str]:
        return super().record() | self._file.record()


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
