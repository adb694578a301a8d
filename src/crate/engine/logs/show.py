"""`logs`: what containers wrote, by time and tail, and on while they run."""

from __future__ import annotations

import os
import select
import time
from _operator import itemgetter
from itertools import groupby

from crate.engine.logs.reader import LogReader, decode_json, decode_k8s, start_of_tail
from crate.engine.monitor import wire
from crate.errors import StateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.logs.reader import Entry

    Write = Callable[[str, int], None]  # text, descriptor: 1 or 2

    class Reader(Protocol):
        """The log of one container, whatever its driver."""

        def tail(self, lines: int) -> list[Entry]:
            """The entries of the last lines."""

        def entries(self) -> Iterable[list[Entry]]:
            """What has been written since."""

        def hold(self) -> None:
            """The log is about to be removed."""


#: how often a log that nobody tells the changes of is looked at
_POLL_SECONDS = 0.5
_TEXT, _STREAM = itemgetter("log"), itemgetter("stream")
_READABLE = ("json-file", "local", "k8s-file", "journald")


class Selection:
    """What of a log is wanted, and how: times as RFC 3339 texts (they compare as texts), `tail` lines or -1."""

    __slots__ = ("details", "since", "tail", "timestamps", "until")

    def __init__(self, options: dict[str, Any]) -> None:
        self.since = time_text(options.get("since"))
        self.until = time_text(options.get("until"))
        tail = options.get("tail")
        self.tail = -1
        if tail not in (None, "", "all"):
            try:
                self.tail = max(-1, int(str(tail)))
            except ValueError:
                raise UsageError(f'invalid value for --tail: "{tail}"', 'a number of lines, or "all"') from None
        self.timestamps = bool(options.get("timestamps"))
        self.details = bool(options.get("details"))

    def of(self, entries: list[Entry]) -> list[Entry]:
        """Those that lie in the wanted time."""
        if self.since:
            entries = [entry for entry in entries if entry["time"] >= self.since]
        if self.until:
            entries = [entry for entry in entries if entry["time"] <= self.until]
        return entries

    def over(self) -> bool:
        """Whether nothing that is still to come is wanted."""
        return bool(self.until) and time_text("0s") > self.until


def logs(engine: Engine, wanted: list[tuple[Container, str]], options: dict[str, Any], write: Write) -> None:
    """Gives the lines of each container, each after its prefix, to `write`; with `follow` until all have ended.

    A container without a log that can be read is a StateError.
    """
    for container, _ in wanted:
        driver = container.record["log"]["driver"]
        if driver not in _READABLE:
            raise StateError(
                f"this container is using the '{driver}' log driver, cannot read logs",
                "run it with --log-driver json-file",
            )
    selection = Selection(options)
    followed = [_Log(container, prefix, selection, write, bool(options.get("follow"))) for container, prefix in wanted]
    for log in followed:
        log.show_past()
    while followed := [log for log in followed if log.watch]:
        poll = select.poll()
        for log in followed:
            if log.watch:
                poll.register(log.watch.fileno(), select.POLLIN)
            if log.changes >= 0:
                poll.register(log.changes, select.POLLIN)
        wait = _POLL_SECONDS if selection.until or any(log.changes < 0 for log in followed) else None
        ready = {fd for fd, _ in poll.poll(wait and wait * 1000)}
        for log in followed:
            log.look(ready)
            log.show_new()
        if selection.over():
            return


class _Log:
    """The log of one container on its way to its reader. `watch` is a connection that tells the container's end."""

    def __init__(self, container: Container, prefix: str, selection: Selection, write: Write, follow: bool) -> None:
        self.watch = _watch(container) if follow else None
        self._prefix = prefix
        self._selection = selection
        self._write = write
        self._midline: set[str] = set()
        self._reader, path = _reader(container)
        self.changes = _changes_of(os.path.dirname(path)) if self.watch and path else -1

    def show_past(self) -> None:
        """What there is already, or the last lines of it."""
        selection = self._selection
        if selection.tail < 0:
            self.show_new()
        elif not selection.since and not selection.until:
            self._show(self._reader.tail(selection.tail))
        else:
            kept: list[Entry] = []
            for entries in self._reader.entries():
                kept += selection.of(entries)
                if len(kept) > 1 << 16:
                    del kept[: start_of_tail(kept, selection.tail)]
            self._show(kept[start_of_tail(kept, selection.tail) :])

    def show_new(self) -> None:
        """What was written since."""
        for entries in self._reader.entries():
            self._show(self._selection.of(entries))

    def _show(self, entries: list[Entry]) -> None:
        selection = self._selection
        plain = not (self._prefix or selection.timestamps or selection.details)
        for stream, group in groupby(entries, _STREAM):
            text = "".join(map(_TEXT if plain else self._decorated, group))
            self._write(text, 1 if stream == "stdout" else 2)

    def _decorated(self, entry: Entry) -> str:
        """The entry with what precedes a line; a further part of a long one has nothing before it."""
        text: str = entry["log"]
        stream = entry["stream"]
        begun = stream in self._midline
        if text[-1:] == "\n":
            self._midline.discard(stream)
        else:
            self._midline.add(stream)
        if begun:
            return text
        when = f"{entry['time']} " if self._selection.timestamps else ""
        details = ""
        if self._selection.details and entry.get("attrs"):
            details = ",".join(f"{key}={value}" for key, value in sorted(entry["attrs"].items())) + " "
        return f"{self._prefix}{when}{details}{text}"

    def look(self, ready: set[int]) -> None:
        """The end is looked for before `show_new`: what was written before it is then read to the last line."""
        if self.changes in ready:
            os.read(self.changes, 1 << 16)
        if self.watch and self.watch.fileno() in ready:
            try:
                packet = self.watch.recv(wire.CHUNK + 1)
            except ConnectionResetError:
                packet = b""
            if not packet or packet[:1] == wire.ENDED:
                self._reader.hold()  # the monitor of a --rm container waits for the end of this connection
                self.watch = None


def _reader(container: Container) -> tuple[Reader, str]:
    """What reads the log, and the path of its file, if it is one."""
    driver = container.record["log"]["driver"]
    if driver == "journald":
        from crate.engine.logs.journald_reader import JournalReader

        return JournalReader(container.id), ""
    path = container.log_path()
    return LogReader(path, decode_k8s if driver == "k8s-file" else decode_json), path


def _watch(container: Container) -> _socket.socket | None:
    """A connection that tells the container's end; None when it does not run."""
    try:
        socket = wire.connect(container.paths.attach_socket)
        socket.send(wire.HELLO + b'{"follows":true}')
    except OSError:
        return None
    return socket


def _changes_of(directory: str) -> int:
    """A descriptor that can be read when a file of the directory has changed; -1 where the user has no more of them."""
    from crate.linux import inotify

    try:
        fd = inotify.inotify_init1()
        inotify.inotify_add_watch(fd, directory, inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO)
    except OSError:
        return -1
    return fd


def time_text(text: str | None) -> str:
    """A time given as RFC 3339, `2013-01-02`, seconds since the epoch, or a duration back from now, as RFC 3339 UTC."""
    if not text:
        return ""
    from crate.engine.logs.lines import timestamp
    from crate.oci.moment import parse

    return timestamp(parse(text, time.time_ns()))
