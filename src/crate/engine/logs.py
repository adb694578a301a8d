"""Reading the json-file log of a container: from its rotated parts on, by time and tail, and on while it runs."""

from __future__ import annotations

import os
import select
import time

from crate.engine import wire
from crate.errors import StateError, UsageError
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterator
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

    Write = Callable[[str, int], None]  # text, descriptor: 1 or 2

_POLL_SECONDS = 0.1


class Selection:
    """What of a log is wanted: `since` and `until` as RFC 3339 texts (they compare as texts), `tail` lines or -1."""

    __slots__ = ("since", "tail", "timestamps", "until")

    def __init__(self, options: dict[str, Any]) -> None:
        self.since = time_text(options.get("since"))
        self.until = time_text(options.get("until"))
        tail = options.get("tail")
        if tail in (None, "", "all"):
            self.tail = -1
        else:
            try:
                self.tail = int(str(tail))
            except ValueError:
                raise UsageError(f'invalid value for --tail: "{tail}"', 'a number of lines, or "all"') from None
        self.timestamps = bool(options.get("timestamps"))

    def text(self, entry: dict[str, Any]) -> str | None:
        """The line as it is to be shown, or None."""
        when = entry["time"]
        if (self.since and when < self.since) or (self.until and when > self.until):
            return None
        return f"{when} {entry['log']}" if self.timestamps else str(entry["log"])


def logs(engine: Engine, wanted: list[tuple[Container, Write]], options: dict[str, Any]) -> None:
    """Gives each line of each container to its `write`, with its stream; with `follow` until all have ended."""
    for container, _ in wanted:
        if container.record["log"]["driver"] == "none":
            raise StateError(
                "this container is using the 'none' log driver, cannot read logs", "run it with --log-driver json-file"
            )
    selection = Selection(options)
    followed = [_Log(container, selection, write, bool(options.get("follow"))) for container, write in wanted]
    for log in followed:
        log.show_past()
    while followed := [log for log in followed if log.watch]:
        poll = select.poll()
        for log in followed:
            if log.watch:
                poll.register(log.watch.fileno(), select.POLLIN)
        for fd, _ in poll.poll(_POLL_SECONDS * 1000):
            for log in followed:
                if log.watch and log.watch.fileno() == fd:
                    log.look_for_the_end()
        for log in followed:
            log.show_new()
        if selection.until and time_text("0s") > selection.until:
            return


class _Log:
    """The log of one container on its way to the reader. `watch` is a connection that tells the container's end."""

    def __init__(self, container: Container, selection: Selection, write: Write, follow: bool) -> None:
        self.watch = _watch(container) if follow else None
        self._selection = selection
        self._write = write
        self._reader = _Reader(container.paths.log)

    def show_past(self) -> None:
        """What there is already, or the last lines of it."""
        wanted = self._selection.tail
        if wanted < 0:
            self.show_new()
            return
        kept: list[dict[str, Any]] = []
        for entry in self._reader.entries():
            if self._selection.text(entry) is not None:
                kept.append(entry)
                if len(kept) > max(4096, 2 * wanted):
                    del kept[: len(kept) - wanted]
        for entry in kept[max(0, len(kept) - wanted) :]:
            self._show(entry)

    def show_new(self) -> None:
        """What was written since."""
        for entry in self._reader.entries():
            self._show(entry)

    def _show(self, entry: dict[str, Any]) -> None:
        text = self._selection.text(entry)
        if text is not None:
            self._write(text, 1 if entry["stream"] == "stdout" else 2)

    def look_for_the_end(self) -> None:
        """The end is looked for before `show_new`: what was written before it is then read to the last line."""
        packet = self.watch.recv(wire.CHUNK + 1) if self.watch else b""
        if not packet or packet[:1] == wire.ENDED:
            self.watch = None


def _watch(container: Container) -> _socket.socket | None:
    """A connection that tells the container's end; None when it does not run."""
    try:
        socket = wire.connect(container.paths.attach_socket)
        socket.send(wire.HELLO + b"{}")
    except OSError:
        return None
    return socket


class _Reader:
    """Reads entries from the oldest part of the log on, and over rotations."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._rest = b""
        self._older = self._rotated()

    def _rotated(self) -> list[str]:
        directory, _, name = self.path.rpartition("/")
        numbers = []
        for entry in os.listdir(directory):
            suffix = entry.removeprefix(name + ".")
            if suffix != entry and suffix.isdigit():
                numbers.append(int(suffix))
        return [f"{self.path}.{number}" for number in sorted(numbers, reverse=True)]

    def entries(self) -> Iterator[dict[str, Any]]:
        """What has been written since the last call."""
        while True:
            if self._fd < 0 and not self._open():
                return
            while data := os.read(self._fd, 1 << 18):
                lines = (self._rest + data).split(b"\n")
                self._rest = lines.pop()
                for line in lines:
                    try:
                        yield json.loads(line)
                    except ValueError:
                        continue  # what a power cut left of a line
            if not self._older and os.fstat(self._fd).st_ino == self._current():
                return
            os.close(self._fd)
            self._fd, self._rest = -1, b""

    def _current(self) -> int:
        try:
            return os.stat(self.path).st_ino
        except FileNotFoundError:
            return os.fstat(self._fd).st_ino

    def _open(self) -> bool:
        path = self._older.pop(0) if self._older else self.path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return bool(self._older) and self._open()
        return True


def time_text(text: str | None) -> str:
    """A time given as RFC 3339, `2013-01-02`, seconds since the epoch, or a duration back from now, as RFC 3339 UTC."""
    if not text:
        return ""
    from crate.engine.log_file import timestamp
    from crate.oci.moment import parse

    return timestamp(parse(text, time.time_ns()))
