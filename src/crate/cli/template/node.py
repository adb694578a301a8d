"""The pieces of a parsed template."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node:
    """One piece of a template.

    kind: text, action, if, with, range, template, break, continue; within a pipeline: pipe, command, dot, nil, literal,
    field, variable, function, chain. `source` is its text as errors quote it, `position` where that starts.
    """

    __slots__ = ("body", "items", "kind", "otherwise", "pipe", "position", "source", "value")

    def __init__(self, kind: str, position: int, source: str, value: Any = None) -> None:
        self.kind = kind
        self.position = position
        self.source = source
        self.value = value
        self.items: list[Node] = []
        self.pipe: Node | None = None
        self.body: list[Node] = []
        self.otherwise: list[Node] = []
