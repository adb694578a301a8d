"""Logical lines of a Dockerfile: comments and blank lines dropped, continuation lines joined, heredocs read.

A line ends at a newline; carriage returns at its end are dropped (but not in heredocs). A comment begins a line, also
within a continued one. An escape at the end of a line, with nothing but blanks behind it and no escape before it,
continues the line; blanks at the begin of the next one are kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crate.build.language.directives import Directives
from crate.build.language.dockerfile_error import Fault, located
from crate.build.records import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.build.language.instructions import Heredoc

_LINE_MAX = (64 << 10) - 1  # BuildKit's limit
_CONTINUED = {
    "\\": re.compile(r"(?:(?<=[^\\])|^)\\[ \t]*\Z"),
    "`": re.compile(r"(?:(?<=[^`])|^)`[ \t]*\Z"),
}


@dataclass(frozen=True)
class LogicalLine:
    """Text without continuations, and the lines (from 1) it came from."""

    text: str
    first: int
    last: int


class LineReader:
    """Reads a Dockerfile's text from its top. `directives` are known once the first logical line is."""

    def __init__(self, text: str, name: str) -> None:
        self._physical = text.removeprefix("\ufeff").split("\n")
        has_end = self._physical[-1] == ""
        if has_end:
            self._physical.pop()
        self._last_has_newline = has_end
        self._name = name
        self._at = 0
        self.source = tuple(line.rstrip("\r") for line in self._physical)
        self.directives = Directives()
        self.warnings: list[str] = []

    @property
    def line(self) -> int:
        """The number of the line read last; from 1."""
        return self._at

    def __iter__(self) -> Iterator[LogicalLine]:
        while self._at < len(self._physical):
            line = self._next().lstrip()
            first = self._at
            try:
                if self.directives.take(line):
                    continue
            except Fault as fault:
                raise located(fault, self._name, first, self.source) from None
            if line.startswith("#") or not line:
                continue
            yield self._joined(line, first)

    def _joined(self, line: str, first: int) -> LogicalLine:
        continued = _CONTINUED[self.directives.escape]
        pieces: list[str] = []
        has_blank = False
        while match := continued.search(line):
            pieces.append(line[: match.start()])
            line = ""
            while self._at < len(self._physical):
                line = self._next()
                stripped = line.lstrip()
                if stripped and not stripped.startswith("#"):
                    break
                has_blank = has_blank or not stripped
                line = ""
            if not line:
                break
        text = "".join([*pieces, line])
        if has_blank:
            self.warnings.append(f"{self._name}:{first}: Empty continuation line found in: {text}")
        self._check(text, first)
        return LogicalLine(text, first, self._at)

    def _check(self, text: str, first: int) -> None:
        """No instruction has a NUL or a byte that is not UTF-8: neither the kernel nor JSON could take it."""
        bad = next((letter for letter in text if letter == "\0" or "\udc80" <= letter <= "\udcff"), "")
        if bad:
            what = "a NUL byte" if bad == "\0" else "bytes that are not UTF-8"
            raise located(Fault(f"the instruction has {what}"), self._name, first, ())

    def _next(self) -> str:
        line = self._physical[self._at]
        self._at += 1
        if len(line) > _LINE_MAX:
            fault = Fault(f"dockerfile line greater than max allowed size of {_LINE_MAX}")
            raise located(fault, self._name, self._at, self.source)
        return line.rstrip("\r")

    def heredoc(self, announced: Heredoc, first: int) -> Heredoc:
        """The heredoc with its content: all lines up to the one that is its name."""
        lines: list[str] = []
        while self._at < len(self._physical):
            line = self._next()
            raw = self._physical[self._at - 1]
            if (line.lstrip("\t") if announced.strips_tabs else line) == announced.name:
                return replace(announced, content="".join(lines))
            lines.append(raw + "\n")
        raise located(Fault("unterminated heredoc", f"{announced.name}"), self._name, first, self.source)
