"""What is wrong with a Dockerfile: file, line, the line itself and a caret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.errors import CrateError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN_MAX = 160


class DockerfileError(CrateError):
    """A fault in a Dockerfile: the message names file, line and fault; `detail` shows the line, and a caret below it.

    `line` counts from 1; 0 means the file as a whole. `excerpt` is the source line, `column` (from 0) the caret's.
    """

    def __init__(
        self, fault: str, *, name: str = "", line: int = 0, excerpt: str = "", column: int = 0, hint: str | None = None
    ) -> None:
        self.fault = fault
        self.name = name
        self.line = line
        place = f"{name}:{line}: " if name and line else f"{name}: " if name else ""
        shown = "".join(c if c.isprintable() else " " for c in excerpt.rstrip()[:_SHOWN_MAX])
        super().__init__(place + fault, hint)
        if shown.strip():
            margin = " " * len(str(line))
            self.detail = f"  {line} | {shown}\n  {margin} | {' ' * min(column, len(shown))}^"


class Fault(Exception):
    """A fault whose place the caller knows: `DockerfileError` is made of it. `word` is what the caret points at."""

    def __init__(self, message: str, word: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.word = word


def located(fault: Fault, name: str, line: int, source: Sequence[str], last_line: int = 0) -> DockerfileError:
    """The error for a fault on lines `line` to `last_line` of `source`; the caret points at its word."""
    word = fault.word
    for number in range(line, max(line, last_line) + 1):
        text = source[number - 1] if 0 < number <= len(source) else ""
        if word and word in text:
            return DockerfileError(fault.message, name=name, line=number, excerpt=text, column=text.index(word))
    text = source[line - 1] if 0 < line <= len(source) else ""
    column = len(text) - len(text.lstrip())
    return DockerfileError(fault.message, name=name, line=line, excerpt=text, column=column)


def suggestion(word: str, known: Sequence[str]) -> str:
    """` (did you mean X?)` for the known word that is at most two edits away, or ``."""
    best = min(((_distance(word.lower(), other.lower()), other) for other in known), default=(9, ""))
    return f" (did you mean {best[1]}?)" if best[0] <= 2 and best[0] < len(word) else ""


def _distance(left: str, right: str) -> int:
    """How many letters to insert, remove, replace, or swap with their neighbour."""
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b)))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]
