"""Reading the journal of events (storage/journal.py): what was, what comes, and which of it is wanted; cold.

Whoever wants to tell of an event calls `crate.storage.journal.record`, or `of_container`, after the deed.
"""

from __future__ import annotations

import os
import select
import time

from crate.errors import HostError, UsageError
from crate.linux import inotify
from crate.oci import json, moment
from crate.storage.journal import DIRECTORY, NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from crate.engine.context import Engine

    Event = dict[str, Any]

#: docker's words for what podman calls otherwise
_DOCKERS = {"die": "died", "destroy": "remove", "exec_die": "exec_died", "exec_start": "exec", "delete": "remove"}
_TYPES = ("container", "image", "volume", "network", "pod", "system")
_KEYS = ("container", "event", "image", "label", "network", "pod", "type", "volume")


def events(engine: Engine, options: dict[str, Any]) -> Iterator[Event]:
    """The events that the options `since`, `until`, `filter` and `stream` want, as they were recorded.

    With `stream` it goes on until `until`, or for ever. Without `since` and `until` a stream begins now. UsageError.
    """
    now = time.time_ns()
    since = moment.parse(options["since"], now) if options.get("since") else 0
    until = _until(options["until"], now) if options.get("until") else 0
    follows = bool(options.get("stream")) and (not until or until > now)
    passes = _filter(options.get("filter") or ())
    journal = _Journal(f"{engine.roots.graphroot}/{DIRECTORY}", follows)
    past = sorted(journal.entries(), key=lambda event: int(event["time"]))  # lines may have overtaken one another
    if options.get("since") or options.get("until") or not follows:
        for event in past:
            if since <= event["time"] and (not until or event["time"] <= until) and passes(event):
                yield event
    while follows and journal.wait(until):
        for event in journal.entries():
            if since <= event["time"] and (not until or event["time"] <= until) and passes(event):
                yield event


def _until(text: str, now: int) -> int:
    """As podman reads it: a duration is one from now on."""
    span = moment.duration(text)
    return moment.parse(text, now) if span is None else now + span


class _Journal:
    """The parts of a journal, read on over rotations.

    A writer that opened the current part may append to it after its rotation: so a part is read on, with the one
    after it, until another rotation.
    """

    def __init__(self, directory: str, follows: bool) -> None:
        self._directory = directory
        self._parts: list[_Part] = []
        self._watch = -1
        os.makedirs(directory, 0o700, exist_ok=True)
        if follows:
            try:
                self._watch = inotify.inotify_init1()
                mask = inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO
                inotify.inotify_add_watch(self._watch, directory, mask)
            except OSError as error:
                raise HostError(f"cannot watch {directory}: {error.strerror}", "sysctl fs.inotify") from None

    def wait(self, until: int) -> bool:
        """Waits for a change; False at the time `until` (ns, 0: never)."""
        poll = select.poll()
        poll.register(self._watch, select.POLLIN)
        left = max(0.0, (until - time.time_ns()) / 1e6) if until else None
        if not poll.poll(left):
            return False
        try:
            while os.read(self._watch, 1 << 16):
                pass
        except BlockingIOError:
            pass
        return True

    def entries(self) -> list[Event]:
        """What was written since the last call."""
        self._open_new()
        found = [event for part in self._parts for event in part.read()]
        for part in self._parts[:-2]:
            part.close()
        del self._parts[:-2]
        return found

    def _open_new(self) -> None:
        known = {part.inode for part in self._parts}
        for name in (f"{NAME}.1", NAME, NAME):  # the last once more: it may have been moved before it was opened
            try:
                part = _Part(f"{self._directory}/{name}")
            except FileNotFoundError:
                continue
            if part.inode in known:
                part.close()
            else:
                known.add(part.inode)
                self._parts.append(part)


class _Part:
    """One file of the journal, and how far it was read."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino
        self._rest = b""

    def read(self) -> Iterator[Event]:
        """The events of whole lines that were not read yet."""
        while data := os.read(self._fd, 1 << 18):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # what a power cut left of a line
                if isinstance(event, dict) and isinstance(event.get("time"), int):
                    yield event

    def close(self) -> None:
        """It is not read any more."""
        os.close(self._fd)


def _filter(given: Iterable[str]) -> Callable[[Event], bool]:
    """Values of one key are alternatives, different keys must all hold: as docker and podman have it. UsageError."""
    wanted: dict[str, list[str]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals or key not in _KEYS:
            raise UsageError(f'invalid filter "{text}"', f"KEY=VALUE, with one of {', '.join(_KEYS)}")
        if key == "type" and value not in _TYPES:
            raise UsageError(f'invalid filter "{text}"', f"one of {', '.join(_TYPES)}")
        wanted.setdefault(key, []).append(value)
    return lambda event: all(any(_holds(event, key, value) for value in values) for key, values in wanted.items())


def _holds(event: Event, key: str, value: str) -> bool:
    kind, identifier, name = event["type"], str(event.get("id", "")), event.get("name")
    if key == "type":
        return bool(kind == value)
    if key == "event":
        return bool(event["action"] == _DOCKERS.get(value, value))
    if key == "label":
        name, equals, text = value.partition("=")
        attributes = event.get("attributes") or {}
        return name in attributes and (not equals or attributes[name] == text)
    is_it = value == name or (bool(value) and identifier.startswith(value.removeprefix("sha256:")))
    if key == "pod" and kind == "container":
        return bool(value) and str(event.get("pod_id", "")).startswith(value)
    if key == "image":
        image = str(event.get("image", "") if kind == "container" else name)
        return (kind == "image" and is_it) or value in _names_of(image)
    return kind == key and is_it


def _names_of(image: str) -> tuple[str, ...]:
    """A name of an image as it may be given: with and without its registry, with and without its tag."""
    last = image.rpartition("/")[2]
    whole = image.rpartition(":")[0] if ":" in last else image
    return image, whole, last, last.partition(":")[0]
