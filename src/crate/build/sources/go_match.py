"""Go's filepath.Match and filepath.Clean: patterns of COPY, ADD and ignore files mean what they mean there.

`*` and `?` match no slash; `[a-z]`, `[^a]`; a backslash makes the next letter plain.
"""

from __future__ import annotations

import re
from functools import lru_cache

from crate.build.language.dockerfile_error import Fault

_WILD = "*?["


def has_wildcard(pattern: str) -> bool:
    """Is any letter of it wild?"""
    return wild_at(pattern) < len(pattern)


def wild_at(pattern: str) -> int:
    """Where the first wild letter is; the length of the pattern when there is none."""
    at = 0
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] in _WILD:
            return at
        at += 1
    return len(pattern)


def unescaped(pattern: str) -> str:
    """A pattern without wild letters as the name that it means."""
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL)


def match(pattern: str, name: str) -> bool:
    """filepath.Match. Raises Fault for a malformed pattern."""
    return _compiled(pattern).fullmatch(name) is not None


STAR = "*"


def joined(tokens: list[str], is_anchored: bool) -> str:
    """The expression for tokens of which STAR is any run without a slash, and the others expressions of one letter.

    A star takes as little as it can and never thinks again, so that many stars take no more time than one: what is
    found first leaves the most for the rest. Only the last one may have to, unless what follows it ends in a slash.
    """
    chunks = [""]
    for token in tokens:
        if token == STAR:
            chunks.append("")
        else:
            chunks[-1] += token
    first, *rest = chunks
    if not rest:
        return first
    *inner, last = rest
    ends_in_slash = not is_anchored and last.endswith("/")
    final = f"(?>[^/]*?{last})" if ends_in_slash else f"[^/]*{last}"
    return "".join([first, *(f"(?>[^/]*?{chunk})" for chunk in inner), final])


@lru_cache(1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "*":
            out.append(STAR)
        elif letter == "?":
            out.append("[^/]")
        elif letter == "[":
            text, at = character_class(pattern, at)
            out.append(text)
            continue
        elif letter == "\\":
            at += 1
            if at == len(pattern):
                raise _malformed(pattern)
            out.append(re.escape(pattern[at]))
        else:
            out.append(re.escape(letter))
        at += 1
    return re.compile(joined(out, is_anchored=True), re.DOTALL)


def character_class(pattern: str, at: int) -> tuple[str, int]:
    """`[...]` from `at` as a regular expression, and the place behind it. Raises Fault."""
    begin, at = at, at + 1
    out = ["["]
    if pattern.startswith("^", at):
        out.append("^")
        at += 1
    is_first = True
    while True:
        if at >= len(pattern):
            raise _malformed(pattern)
        if pattern[at] == "]" and not is_first:
            break
        low, at = _class_letter(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_letter(pattern, at + 1)
        if low <= high:
            out.append(f"{re.escape(low)}-{re.escape(high)}")
        is_first = False
    if len(out) == 1:
        return "(?!)", at + 1  # ranges that hold nothing
    if out == ["[", "^"]:
        return "(?s:.)", at + 1
    if at == begin:
        raise _malformed(pattern)
    return "".join([*out, "]"]), at + 1


def _class_letter(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern) or pattern[at] in "-]":
        raise _malformed(pattern)
    if pattern[at] == "\\":
        at += 1
        if at >= len(pattern):
            raise _malformed(pattern)
    if at + 1 >= len(pattern):
        raise _malformed(pattern)
    return pattern[at], at + 1


def _malformed(pattern: str) -> Fault:
    return Fault(f"syntax error in pattern: {pattern}", pattern)


def clean(path: str) -> str:
    """filepath.Clean: no double slashes, `.` and inner `..`; "." for nothing."""
    parts: list[str] = []
    is_absolute = path.startswith("/")
    for part in path.split("/"):
        if part == "..":
            if parts and parts[-1] != "..":
                parts.pop()
            elif not is_absolute:
                parts.append(part)
        elif part and part != ".":
            parts.append(part)
    joined = "/".join(parts)
    return f"/{joined}" if is_absolute else joined or "."
