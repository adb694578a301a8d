"""Reading the files of a log, the oldest part first and over rotations, as entries: `log`, `stream`, `time`."""

from __future__ import annotations

import os

from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Entry = dict[str, Any]

_BLOCK = 1 << 18
_LOOKS = 100  # at the parts of a log that is being rotated all the time


class LogReader:
    """Gives what has been written since it was asked last, in lists of entries."""

    def __init__(self, path: str, decode: Callable[[bytes], list[Entry]]) -> None:
        """`decode` makes entries of whole lines of the file."""
        directory, _, self._name = path.rpartition("/")
        self._decode = decode
        self._rest = b""
        self._file: _Part | None = None
        #: the parts that come after it, open: a rotation, or the removal of the container, does not take them away
        self._queue: list[_Part] = []
        try:
            self._dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._dir_fd = -1

    def tail(self, lines: int) -> list[Entry]:
        """The entries of the last so many lines; what follows is for `entries`."""
        part = self._open(self._name)
        self.hold()
        wanted = lines + 1
        while part:
            part.position = part.start_of_last(wanted)
            whole_file, data = not part.position, b""
            while block := part.read():
                data += block
            end = data.rfind(b"\n") + 1
            found = self._decode(data[:end])
            start = start_of_tail(found, lines)
            if start or (whole_file and len(self._queue) == 1):
                while self._queue:
                    self._queue.pop().close()
                self._file, self._rest = part, data[end:]
                return found[start:]
            if whole_file:
                part.close()
                break
            wanted *= 4  # long lines are several entries
        found = []
        for entries in self.entries():
            found += entries
            if len(found) > 1 << 16:
                del found[: start_of_tail(found, lines)]
        return found[start_of_tail(found, lines) :]

    def entries(self) -> Iterator[list[Entry]]:
        """What has been written since the last call."""
        while True:
            if not self._file:
                if not self._queue:
                    self.hold()
                if not self._queue:
                    return
                self._file = self._queue.pop(0)
            was_last = not self._queue
            while data := self._file.read():
                data = self._rest + data
                end = data.rfind(b"\n") + 1
                self._rest = data[end:]
                if end:
                    yield self._decode(data[:end])
            if not was_last:
                self._file.close()
                self._file, self._rest = None, b""
                continue
            self.hold()
            if not self._queue:
                return
            # Once more from the top: its last lines may have come between its end and its rotation.

    def hold(self) -> None:
        """Opens what was written after the last part that is known."""
        if self._dir_fd < 0:
            return
        last = self._queue[-1] if self._queue else self._file
        parts: list[_Part] = []
        for _ in range(_LOOKS):
            while parts:
                parts.pop().close()
            seen = self._look()
            parts = [part for name in _newer(last, seen) if (part := self._open(name))]
            # Else a rotation came in between, and gave the names to other parts.
            if [known[:2] for known in self._look()] == [known[:2] for known in seen]:
                break
        self._queue += parts

    def _open(self, name: str) -> _Part | None:
        for known in (name, f"{name.removesuffix('.gz')}.gz"):  # compressed since it was seen
            try:
                fd = os.open(known, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._dir_fd)
            except OSError:
                continue
            return _Part(fd, known.endswith(".gz"))
        return None

    def _parts(self) -> list[str]:
        """The names of the parts that were rotated away, the oldest first."""
        numbers: dict[int, str] = {}
        for entry in os.listdir(self._dir_fd):
            suffix = entry.removeprefix(self._name + ".")
            number = suffix.removesuffix(".gz")
            if suffix != entry and number.isdigit() and (suffix == number or int(number) not in numbers):
                numbers[int(number)] = entry
        return [numbers[number] for number in sorted(numbers, reverse=True)]

    def _look(self) -> list[tuple[str, int, int]]:
        """Name, inode and time of the last change (ns) of every part, the oldest first."""
        found = []
        for name in [*self._parts(), self._name]:
            try:
                status = os.stat(name, dir_fd=self._dir_fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            found.append((name, status.st_ino, status.st_mtime_ns))
        return found


def _newer(last: _Part | None, seen: list[tuple[str, int, int]]) -> list[str]:
    """The names of what was written after a part; all when there is none."""
    inodes = [inode for _, inode, _ in seen]
    if not last:
        return [name for name, _, _ in seen]
    if last.inode in inodes:
        return [name for name, _, _ in seen[inodes.index(last.inode) + 1 :]]
    return [name for name, _, modified in seen if modified > last.modified()]  # it is gone, or compressed


class _Part:
    """One open file of a log. `position` is where the next read begins."""

    def __init__(self, fd: int, is_compressed: bool) -> None:
        self.is_compressed = is_compressed
        self.position = 0
        self._fd = fd
        self.inode = os.fstat(fd).st_ino
        self._unpack: Any = None
        if is_compressed:
            import zlib

            self._unpack = zlib.decompressobj(31)

    def read(self) -> bytes:
        """The next bytes; nothing at the end."""
        while True:
            data: bytes = self._unpack.unconsumed_tail if self._unpack else b""
            if not data:
                data = os.pread(self._fd, _BLOCK, self.position)
                self.position += len(data)
            if not self._unpack or not data:
                return data
            data = self._unpack.decompress(data, _BLOCK)
            if data:
                return data

    def start_of_last(self, lines: int) -> int:
        """Where the last so many lines begin; 0 when there are no more."""
        offset, left = os.fstat(self._fd).st_size, lines + 1
        while offset:
            length = min(_BLOCK, offset)
            offset -= length
            block = os.pread(self._fd, length, offset)
            count = block.count(b"\n")
            if count < left:
                left -= count
                continue
            at = len(block)
            for _ in range(left):
                at = block.rfind(b"\n", 0, at)
            return offset + at + 1
        return 0

    def modified(self) -> int:
        """When it was written to last, in nanoseconds."""
        return os.fstat(self._fd).st_mtime_ns

    def close(self) -> None:
        """Lets it go."""
        os.close(self._fd)


def start_of_tail(entries: list[Entry], lines: int) -> int:
    """Where in the entries the last so many lines begin; 0 also when there may be less."""
    if lines == 0:
        return len(entries)
    seen: set[str] = set()
    for index in range(len(entries) - 1, -1, -1):
        entry = entries[index]
        if entry["log"][-1:] == "\n" or entry["stream"] not in seen:
            if lines == 0:
                return index + 1
            lines -= 1
        seen.add(entry["stream"])
    return 0


def decode_json(data: bytes) -> list[Entry]:
    """Entries of a json-file: all at once, and one by one where a power cut has left half a line."""
    try:
        found = json.loads(b"[" + data[:-1].replace(b"\n", b",") + b"]")
        if len(found) == data.count(b"\n"):
            return found  # type: ignore[no-any-return]
    except ValueError:
        pass
    entries = []
    for line in data.split(b"\n"):
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def decode_k8s(data: bytes) -> list[Entry]:
    """Entries of a k8s-file."""
    entries = []
    for line in data[:-1].split(b"\n"):
        fields = line.split(b" ", 3)
        if len(fields) == 4:
            when, stream, mark, text = fields
            entries.append({
                "log": text.decode("utf-8", "surrogateescape") + ("\n" if mark == b"F" else ""),
                "stream": stream.decode("ascii", "replace"),
                "time": _in_utc(when.decode("ascii", "replace")),
            })  # fmt: skip
    return entries


def _in_utc(text: str) -> str:
    if text.endswith("+00:00"):
        return text[:-6] + "Z"
    from crate.engine.logs.lines import timestamp
    from crate.oci.moment import rfc3339

    return timestamp(rfc3339(text) or 0)
