"""Shows a build: lines as podman's, a live picture on a terminal, JSON as BuildKit's, or nothing until it fails."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from crate.build.display import Display
from crate.cli import output
from crate.errors import UsageError

if TYPE_CHECKING:
    from rich.live import Live

    from crate.build.stages import Graph

MODES = ("auto", "plain", "tty", "rawjson", "quiet")
_LINES = 6  # of output that a running step shows
_DRAWN_SECONDS = 0.1


def display_of(options: dict[str, Any]) -> Shown:
    """What the options ask for. UsageError."""
    mode = options.get("progress") or os.environ.get("BUILDKIT_PROGRESS") or "auto"
    if mode not in MODES:
        raise UsageError(f'invalid argument "{mode}" for "--progress" flag', f"one of {', '.join(MODES)}")
    if options.get("quiet") or mode == "quiet":
        return Shown()
    if mode == "rawjson":
        return RawJson()
    if options.get("logfile"):
        return Plain(os.open(options["logfile"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
    if any(text == "-" or "dest=-" in text for text in options.get("output") or ()):
        return Plain(2)  # standard output is an archive
    is_terminal = os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb"
    return Moving() if mode == "tty" or (mode == "auto" and is_terminal) else Plain()


class Shown(Display):
    """Shows nothing."""

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is left to show."""

    def done(self, names: list[str]) -> None:
        """The image is there."""


class Plain(Shown):
    """A line a step on standard output, and what its command says on the stream that it says it on."""

    shows_output = True

    def __init__(self, fd: int = -1) -> None:
        self._fd = fd
        self._stages: dict[int, str] = {}

    def _write(self, text: str | bytes, fd: int = 1) -> None:
        output.write(text, self._fd if self._fd >= 0 else fd)

    def plan(self, graph: Graph) -> None:
        total = len(graph.dockerfile.stages)
        if total > 1:
            self._stages = {index: f"[{index + 1}/{total}] " for index in range(total)}

    def show(self, index: int, message: str, fields: dict[str, Any]) -> None:
        prefix = self._stages.get(index, "")
        if message == "step":
            self._write(f"{prefix}STEP {fields['number']}/{fields['total']}: {_one_line(fields['text'])}\n")
        elif message == "output":
            self._write(fields["data"].encode("latin-1"), fields["stream"])
        elif message == "made":
            how = "Using cache " if fields["known"] else ""
            self._write(f"{prefix}--> {how}{fields['layer'][:12]}\n")
        elif message == "note":
            self._write(f"{fields['text']}\n", 2)

    def done(self, names: list[str]) -> None:
        if names:
            self._write("".join([f"COMMIT {names[0]}\n", *(f"Successfully tagged {name}\n" for name in names)]))


class RawJson(Shown):
    """A JSON object a line on standard error, of the form that BuildKit's `rawjson` has."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._vertexes: dict[int, dict[str, Any]] = {}

    def plan(self, graph: Graph) -> None:
        self._graph = graph

    def show(self, index: int, message: str, fields: dict[str, Any]) -> None:
        from base64 import b64encode
        from hashlib import sha256

        from crate.image.making import now
        from crate.oci import json

        line: dict[str, Any] = {}
        if message == "step":
            assert self._graph
            stage = self._graph.stages[index].stage
            name = f"[{stage.name or f'stage-{index}'} {fields['number']}/{fields['total']}] {fields['text']}"
            digest = "sha256:" + sha256(f"{index} {name}".encode("utf-8", "surrogateescape")).hexdigest()
            self._vertexes[index] = {"digest": digest, "name": name, "started": now()}
            line = {"vertexes": [self._vertexes[index]]}
        elif message == "output":
            data = b64encode(fields["data"].encode("latin-1")).decode()
            log = {"vertex": self._vertexes[index]["digest"], "stream": fields["stream"], "data": data}
            line = {"logs": [{**log, "timestamp": now()}]}
        elif message == "made":
            line = {"vertexes": [{**self._vertexes[index], "completed": now(), "cached": fields["known"]}]}
        elif message == "note" and index in self._vertexes:
            line = {"warnings": [{"vertex": self._vertexes[index]["digest"], "short": fields["text"]}]}
        if line:
            output.write(json.dumps(line) + "\n", 2)


class _Running:
    """A stage at work: its step, since when, and the last that its command said."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.since = time.monotonic()
        self.said = ""


class Moving(Shown):
    """Steps that have ended are lines; those at work have a clock and the end of what they say."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._running: dict[int, _Running] = {}
        self._stages: dict[int, str] = {}
        self._drawn = 0.0

    def __enter__(self) -> Shown:
        from rich.console import Console
        from rich.live import Live

        # Drawn by this thread alone: the build's process forks.
        self._live = Live(console=Console(), auto_refresh=False, transient=True)
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def plan(self, graph: Graph) -> None:
        if len(graph.wanted) > 1:
            for index in graph.wanted:
                self._stages[index] = f"{graph.stages[index].stage.name or f'stage-{index}'} "

    def show(self, index: int, message: str, fields: dict[str, Any]) -> None:
        if message == "step":
            place = f"[{self._stages.get(index, '')}{fields['number']}/{fields['total']}]"
            self._running[index] = _Running(f"{place} {_one_line(fields['text'])}")
            if fields["number"] == 1:
                self._print(self._running[index].title)
        elif message == "output" and index in self._running:
            one = self._running[index]
            one.said = (one.said + fields["data"].encode("latin-1").decode("utf-8", "replace"))[-4096:]
        elif message == "made" and index in self._running:
            one = self._running.pop(index)
            how = "cached" if fields["known"] else f"{time.monotonic() - one.since:.1f}s"
            self._print(f"{one.title}  {how}")
        elif message == "note":
            self._print(fields["text"])

    def _print(self, text: str) -> None:
        assert self._live
        self._live.console.print(
            output.one_line(text), markup=False, highlight=False, no_wrap=True, overflow="ellipsis"
        )

    def refresh(self) -> None:
        from rich.console import Group
        from rich.text import Text

        now = time.monotonic()
        if not self._live or now - self._drawn < _DRAWN_SECONDS:
            return
        self._drawn = now
        parts = []
        for one in self._running.values():
            parts.append(Text(f"{one.title}  {now - one.since:.1f}s", no_wrap=True, overflow="ellipsis", style="bold"))
            said = [line for line in one.said.replace("\r", "\n").split("\n") if line.strip()][-_LINES:]
            parts += [
                Text("  " + output.one_line(line), no_wrap=True, overflow="ellipsis", style="dim") for line in said
            ]
        self._live.update(Group(*parts), refresh=True)

    def wait_ms(self) -> int | None:
        return int(_DRAWN_SECONDS * 1000) if self._running else None


def _one_line(text: str) -> str:
    first, newline, _ = text.partition("\n")
    return output.one_line(first + ("…" if newline else ""))
