"""What the tests of the real program share: terminals to run it on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate
    from terminal import Spawn


@pytest.fixture
def spawn(crate: Crate) -> Iterator[Spawn]:
    """`spawn("run", "-it", …)`: the program on a terminal of its own."""
    started: list[Terminal] = []

    def start(*arguments: str, rows: int = 24, columns: int = 80) -> Terminal:
        terminal = Terminal(crate.command(*arguments), crate.environment, rows, columns)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.close()
