"""Heredocs: which words of a line announce one, and what follows until its closing name."""

from __future__ import annotations

import re

from crate.build.language.dockerfile_error import Fault
from crate.build.language.expansion import Lexer
from crate.build.language.instructions import Heredoc

_FORM = re.compile(r"(\d*)<<(-?)([^<]*)", re.DOTALL)
_DESCRIPTOR_MAX = 1 << 31


def parse_heredoc(word: str) -> Heredoc | None:
    """`<<NAME`, `<<-NAME`, `3<<"NAME"` as a heredoc without content; None when the word is none."""
    match = _FORM.fullmatch(word)
    if not match or not match[3]:
        return None
    try:
        plain = Lexer("\\", keeps_unset=True).expand(match[3], {}).words
        raw = Lexer("\\", keeps_unset=True, keeps_quotes=True, keeps_escapes=True).expand(match[3], {}).words
    except Fault:
        return None
    if len(plain) != 1 or len(raw) != 1:
        return None
    return Heredoc(
        name=plain[0],
        expands=plain[0] == raw[0],
        strips_tabs=match[2] == "-",
        descriptor=min(int(match[1] or 0), _DESCRIPTOR_MAX),
    )


def announced(line: str) -> list[Heredoc]:
    """The heredocs that a logical line announces, in order."""
    try:
        words = Lexer("\\", keeps_unset=True, keeps_quotes=True, keeps_escapes=True).expand(line, {}).words
    except Fault:
        return []  # quotes that do not match: the shell's own matter
    return [heredoc for heredoc in map(parse_heredoc, words) if heredoc]
