"""Ignore files: which paths of a build context are left out, by the rules of moby's patternmatcher.

    # a comment only at the very begin of a line        *.log     ? and * match no slash
    /a and a are the same, from the context's root      **        any number of directories
    !keep takes back what a line above left out         a         a directory and all beneath it

The last line that matches a path or a directory above it decides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crate.build.language.dockerfile_error import DockerfileError, Fault
from crate.build.sources import go_match

if TYPE_CHECKING:
    from collections.abc import Iterable

#: which of its patterns matched a directory: what is beneath needs no second look
Matched = tuple[bool, ...]


class Patterns:
    """Patterns in their order. Raises Fault for a malformed one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._patterns: list[tuple[bool, _Pattern]] = []
        for text in texts:
            text = text.strip()
            if not text:
                continue
            text = go_match.clean(text)
            is_kept = text.startswith("!")
            if is_kept:
                text = text[1:]
                if not text:
                    raise Fault('illegal exclusion pattern: "!"', "!")
            self._patterns.append((is_kept, _Pattern(text)))
        #: does any pattern take back what others left out? Then ignored directories must be looked into
        self.has_exceptions = any(is_kept for is_kept, _ in self._patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, path: str, parent: Matched | None) -> tuple[bool, Matched]:
        """Is a path (clean, relative) left out? And what to give as `parent` for what lies in it.

        `parent` is what came out for the directory above; None at the top.
        """
        is_out = False
        matched: list[bool] = []
        for number, (is_kept, pattern) in enumerate(self._patterns):
            found = parent[number] if parent is not None else False
            if not found and is_kept == is_out:
                found = pattern.matches(path)
            matched.append(found)
            if found:
                is_out = not is_kept
        return is_out, tuple(matched)

    def leaves_out(self, path: str) -> bool:
        """Is a path left out, by itself or by a directory above it?"""
        matched: Matched | None = None
        is_out = False
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            is_out, matched = self.match("/".join(parts[:count]), matched)
        return is_out


class _Pattern:
    """One cleaned pattern. The plain kinds are compared as text, which is a tenth of the time of an expression."""

    def __init__(self, text: str) -> None:
        go_match.match(text, ".")  # its syntax is Go's
        self._text = text
        self._regex: re.Pattern[str] | None = None
        self._prefix = self._suffix = ""
        self._compile()

    def _compile(self) -> None:
        text = self._text
        if text.startswith("**") and not go_match.has_wildcard(text[2:]) and "\\" not in text:
            self._suffix = text[2:] or "**"
            return
        if text.endswith("**") and not go_match.has_wildcard(text[:-2]) and "\\" not in text:
            self._prefix = text[:-2]
            return
        if not go_match.has_wildcard(text) and "\\" not in text and "]" not in text:
            return
        self._regex = re.compile(_expression(text), re.DOTALL)

    def matches(self, path: str) -> bool:
        if self._regex is not None:
            return self._regex.fullmatch(path) is not None
        if self._suffix == "**":
            return True
        if self._suffix:
            return path.endswith(self._suffix) or (self._suffix[0] == "/" and path == self._suffix[1:])
        if self._prefix:
            return path.startswith(self._prefix)
        return path == self._text


def _expression(text: str) -> str:
    out: list[str] = []
    stretch: list[str] = []  # tokens since the last `**`
    at = 0
    while at < len(text):
        letter = text[at]
        if text.startswith("**", at):
            at += 3 if text.startswith("/", at + 2) else 2
            out += [go_match.joined(stretch, is_anchored=False), ".*" if at >= len(text) else "(?:.*/)?"]
            stretch = []
            continue
        if letter == "*":
            stretch.append(go_match.STAR)
        elif letter == "?":
            stretch.append("[^/]")
        elif letter == "[":
            expression, at = go_match.character_class(text, at)
            stretch.append(expression)
            continue
        elif letter == "\\" and at + 1 < len(text):
            at += 1
            stretch.append(re.escape(text[at]))
        else:
            stretch.append(re.escape(letter))
        at += 1
    return "".join([*out, go_match.joined(stretch, is_anchored=True)])


def parse(text: bytes, name: str) -> Patterns:
    """The patterns of an ignore file called `name`. Raises DockerfileError."""
    lines = text.decode("utf-8", "surrogateescape").removeprefix("\ufeff").split("\n")
    found: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        pattern = _normal(line.strip())
        try:
            Patterns([pattern])
        except Fault as fault:
            raise DockerfileError(fault.message, name=name, line=number, excerpt=line) from None
        found.append(pattern)
    return Patterns(found)


def _normal(line: str) -> str:
    """A line without what means nothing: white space, a leading slash, `.` and double slashes."""
    is_kept = line.startswith("!")
    pattern = line[1:].strip() if is_kept else line
    if pattern:
        pattern = go_match.clean(pattern)
        if len(pattern) > 1:
            pattern = pattern.removeprefix("/")
    return f"!{pattern}" if is_kept else pattern
