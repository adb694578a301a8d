"""Shows a build: its steps and what its commands say, as podman does; or nothing until it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crate.build.display import Display
from crate.cli import output

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from crate.build.stages import Graph


def display_of(options: dict[str, Any], names: list[str]) -> AbstractContextManager[Display]:
    return Plain()


class Plain(Display):
    """A line a step on standard output, and what its command says."""

    def __init__(self) -> None:
        self._stages: dict[int, str] = {}
        self._steps: dict[int, str] = {}

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is left to show."""

    def plan(self, graph: Graph) -> None:
        total = len(graph.dockerfile.stages)
        if total > 1:
            self._stages = {index: f"[{index + 1}/{total}] " for index in range(total)}

    def show(self, index: int, message: str, fields: dict[str, Any]) -> None:
        prefix = self._stages.get(index, "")
        if message == "step":
            text = fields["text"].partition("\n")[0]
            output.write(f"{prefix}STEP {fields['number']}/{fields['total']}: {text}\n", 1)
        elif message == "output":
            output.write(fields["data"].encode("latin-1"), fields["stream"])
        elif message == "made":
            how = "Using cache " if fields["known"] else ""
            output.write(f"{prefix}--> {how}{fields['layer'][:12]}\n", 1)
        elif message == "note":
            output.write(f"{fields['text']}\n", 2)
