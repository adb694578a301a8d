"""Variables in words, as BuildKit's shell lexer expands them; quotes and escapes are removed on the way.

    $x ${x}           the value, "" when unset          ${x#p} ${x##p}   without the shortest, longest prefix
    ${x-w} ${x:-w}    w when unset (or empty)           ${x%p} ${x%%p}   without the shortest, longest suffix
    ${x+w} ${x:+w}    w when set (and not empty)        ${x/p/r}         the first match of p replaced by r
    ${x?e} ${x:?e}    an error when unset (or empty)    ${x//p/r}        all matches

In patterns `*` and `?` are wild, and a backslash makes them plain. Source: Dockerfile reference, "Environment
replacement". Which instructions are expanded is the matter of `expanding`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crate.build.language.dockerfile_error import Fault
from crate.build.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPECIAL = "@*#?-$!0"
_DEPTH_MAX = 100
_SHOWN_MAX = 200
_LENGTH_MAX = 16 << 20  # a Dockerfile's own limit: variables that double each other end here


@dataclass
class Expansion:
    """What became of a text: as one word, as several split at white space, and which variables were asked for."""

    text: str = ""
    words: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    unset: set[str] = field(default_factory=set)


class Lexer:
    """Expands words. `keeps_unset` leaves unknown variables as they stand, `keeps_quotes` and `keeps_escapes` likewise.

    `reads_quotes` False takes quotes for letters like others, as in heredocs.
    """

    def __init__(
        self,
        escape: str,
        *,
        keeps_unset: bool = False,
        keeps_quotes: bool = False,
        keeps_escapes: bool = False,
        reads_quotes: bool = True,
    ) -> None:
        self.escape = escape
        self.keeps_unset = keeps_unset
        self.keeps_quotes = keeps_quotes
        self.keeps_escapes = keeps_escapes
        self.reads_quotes = reads_quotes

    def expand(self, text: str, variables: Mapping[str, str]) -> Expansion:
        """Expands one text. Raises Fault for what is no substitution, unmatched quotes, and `${x?}` that is unset."""
        result = Expansion()
        run = _Run(self, text, variables, result)
        try:
            result.text, result.words = run.until("", self.keeps_escapes)
        except Fault as fault:
            shown = text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
            raise Fault(f'failed to process "{shown}": {fault.message}', fault.word or text) from None
        return result


class _Words:
    """Letters on their way to words: white space ends a word, also that of values, but not in quotes."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._word: list[str] = []

    def letter(self, letter: str) -> None:
        if not letter.isspace():
            self._word.append(letter)
        elif any(self._word):
            self._words.append("".join(self._word))
            self._word = []

    def raw(self, text: str) -> None:
        self._word.append(text)

    def done(self) -> list[str]:
        if any(self._word):
            self._words.append("".join(self._word))
            self._word = []
        return self._words


class _Run:
    """One pass over a text."""

    def __init__(self, lexer: Lexer, text: str, variables: Mapping[str, str], result: Expansion) -> None:
        self._lexer = lexer
        self._text = text
        self._variables = variables
        self._result = result
        self._at = 0
        self._depth = 0
        self._length = 0

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        letter = self._peek()
        self._at += 1
        return letter

    def until(self, stop: str, keeps_escapes: bool) -> tuple[str, list[str]]:
        """Expands up to the letter `stop`, or for "" to the end of the text."""
        out: list[str] = []
        words = _Words()
        while letter := self._peek():
            if letter == stop:
                self._at += 1
                return "".join(out), words.done()
            if letter == "$":
                value = self._dollar(keeps_escapes)
                out.append(value)
                for one in value:
                    words.letter(one)
            elif letter in "'\"" and self._lexer.reads_quotes:
                value = self._single() if letter == "'" else self._double(keeps_escapes)
                out.append(value)
                words.raw(value)
            elif letter == self._lexer.escape:
                self._at += 1
                if keeps_escapes:
                    words.raw(letter)
                    out.append(letter)
                letter = self._next()
                if not letter:
                    break
                words.raw(letter)
                out.append(letter)
            else:
                self._at += 1
                words.letter(letter)
                out.append(letter)
        if stop:
            raise Fault(f"unexpected end of statement while looking for matching {stop}")
        return "".join(out), words.done()

    def _single(self) -> str:
        begin = self._at
        end = self._text.find("'", begin + 1)
        if end < 0:
            raise Fault("unexpected end of statement while looking for matching single-quote", self._text[begin:])
        self._at = end + 1
        return self._text[begin : end + 1] if self._lexer.keeps_quotes else self._text[begin + 1 : end]

    def _double(self, keeps_escapes: bool) -> str:
        begin = self._at
        mark = '"' if self._lexer.keeps_quotes else ""
        self._at += 1
        out = [mark]
        while letter := self._peek():
            if letter == '"':
                self._at += 1
                return "".join([*out, mark])
            if letter == "$":
                out.append(self._dollar(keeps_escapes))
                continue
            self._at += 1
            if letter == self._lexer.escape:
                if keeps_escapes:
                    out.append(letter)
                follower = self._peek()
                if not follower:
                    continue
                if follower in ('"', "$", self._lexer.escape):
                    letter = self._next()
            out.append(letter)
        raise Fault("unexpected end of statement while looking for matching double-quote", self._text[begin:])

    def _dollar(self, keeps_escapes: bool) -> str:
        begin = self._at
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._value(name)
            return f"${name}" if value is None and self._lexer.keeps_unset else value or ""
        self._at += 1
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise Fault("substitutions are nested too deeply")
        try:
            return self._braces(begin, keeps_escapes)
        finally:
            self._depth -= 1

    def _braces(self, begin: int, keeps_escapes: bool) -> str:
        first = self._peek()
        if not first:
            raise Fault("syntax error: missing '}'", self._text[begin:])
        if first in "{}:":
            raise Fault("syntax error: bad substitution", self._text[begin:])
        name = self._name()
        modifier = self._next()
        if modifier == "}":
            value = self._value(name)
            return f"${{{name}}}" if value is None and self._lexer.keeps_unset else value or ""
        if modifier == "/":
            return self._replaced(name, begin)
        empty_counts = modifier == ":"
        sign = self._next() if empty_counts else modifier
        shown = modifier + sign if empty_counts else sign
        if not modifier:
            raise Fault("syntax error: missing '}'", self._text[begin:])
        if not empty_counts and sign not in "+-?#%":
            raise Fault(f"unsupported modifier ({shown}) in substitution", self._text[begin:])
        word = self._part("}", begin, "'}'", sign in ("#", "%"))
        value = self._value(name)
        if value is None and self._lexer.keeps_unset:
            return f"${{{name}{shown}{word}}}"
        is_missing = value is None or (empty_counts and not value)
        if sign == "-":
            return word if is_missing else value or ""
        if sign == "+":
            return "" if is_missing else word
        if sign == "?":
            if is_missing:
                state = "unset" if value is None else "empty"
                raise Fault(f"{name}: {word or f'is not allowed to be {state}'}", self._text[begin : self._at])
            return value or ""
        if sign in ("#", "%"):
            return trimmed(value or "", word, sign)
        raise Fault(f"unsupported modifier ({shown}) in substitution", self._text[begin:])

    def _replaced(self, name: str, begin: int) -> str:
        is_global = self._peek() == "/"
        self._at += is_global
        pattern = self._part("/", begin, "'/' in ${}", True)
        replacement = self._part("}", begin, "'}'", True)
        value = self._value(name)
        if value is None and self._lexer.keeps_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return replaced(value or "", pattern, replacement, is_global)

    def _part(self, stop: str, begin: int, missing: str, keeps_escapes: bool) -> str:
        try:
            return self.until(stop, keeps_escapes)[0]
        except Fault as fault:
            if self._peek():
                raise
            raise Fault(f"syntax error: missing {missing}", fault.word or self._text[begin:]) from None

    def _name(self) -> str:
        """Letters, digits and `_`; or digits only; or one of the special parameters."""
        begin = self._at
        first = self._peek()
        if first.isdecimal():
            while self._peek().isdecimal():
                self._at += 1
        elif first and first in _SPECIAL:
            self._at += 1
        else:
            while (letter := self._peek()) and (letter.isalpha() or letter.isdecimal() or letter == "_"):
                self._at += 1
        return self._text[begin : self._at]

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name)
        self._length += len(value or "")
        if self._length > _LENGTH_MAX:
            raise Fault(f"it becomes longer than {_LENGTH_MAX >> 20} MiB", f"${name}")
        (self._result.unset if value is None else self._result.used).add(name)
        return value


def trimmed(value: str, pattern: str, sign: str) -> str:
    """`value` without the prefix (`#`) or suffix (`%`) that matches; the longest one where the sign is doubled."""
    greedy = pattern.startswith(sign)
    parts = _regex_parts(pattern[greedy:], greedy)
    if sign == "#":
        match = re.match("".join(parts), value)
        return value[match.end() :] if match else value
    # From the end backwards: so the shortest suffix is found first, as the shortest prefix is.
    match = re.match("".join(reversed(parts)), value[::-1])
    return value[: len(value) - match.end()] if match else value


def replaced(value: str, pattern: str, replacement: str, is_global: bool) -> str:
    """`value` with the first match of the pattern replaced, or all of them. Nothing in the replacement is special."""
    out: list[str] = []
    end = 0
    for match in re.finditer("".join(_regex_parts(pattern, greedy=True)), value):
        if match.start() == match.end() == end and out:
            continue  # an empty match right behind another is none in Go
        out += [value[end : match.start()], replacement]
        end = match.end()
        if not is_global:
            break
    return "".join([*out, value[end:]])


def _regex_parts(pattern: str, greedy: bool) -> list[str]:
    """Regular expressions for a pattern, letter by letter; the wild ones match no newline, as in Go. Raises Fault."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "*":
            parts.append(".*" if greedy else ".*?")
        elif letter == "?":
            parts.append(".")
        elif letter == "\\":
            escaped = pattern[at : at + 1]
            if escaped and escaped in "}/":
                continue  # it only kept the brace or slash from ending the substitution
            if not escaped or escaped not in "*?\\":
                raise Fault(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'", pattern)
            parts.append("\\" + escaped)
            at += 1
        else:
            parts.append(re.escape(letter))
    return parts
