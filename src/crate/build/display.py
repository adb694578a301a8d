"""What a build tells while it runs; this one keeps it to itself, crate.cli shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crate.build.stages import Graph


class Display:
    """Called by the build's process alone, which has one thread. Stage -1 is none: the build itself."""

    #: is what commands say seen as they say it? Else an error repeats the end of it
    shows_output = False

    def plan(self, graph: Graph) -> None:
        """The stages are known, and which of them are needed."""

    def show(self, index: int, message: str, fields: dict[str, Any]) -> None:
        """Stage number `index` tells `step` {number, total, text}, `output` {stream, data: latin-1}, `made` {layer,
        known}, or `note` {text}."""

    def refresh(self) -> None:
        """A moment to draw."""

    def wait_ms(self) -> int | None:
        """Milliseconds after which it wants to be drawn again, None: when something happens."""
        return None
