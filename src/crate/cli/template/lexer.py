"""The lexer of templates: text to tokens; errors in the words of Go's text/template/parse."""

from __future__ import annotations

from crate.cli.template.errors import TemplateError
from crate.cli.template.literals import number, quoted

_SPACE = " \t\r\n"


class Token:
    """A lexeme; `kind` is one of: text, left, right, space, char, and the kinds of operands."""

    __slots__ = ("kind", "position", "text")

    def __init__(self, kind: str, position: int, text: str) -> None:
        self.kind = kind
        self.position = position
        self.text = text


def _word(text: str, start: int) -> int:
    """Where the letters, digits and underscores that begin at `start` end."""
    end = start
    while end < len(text) and (text[end] == "_" or text[end].isalnum()):
        end += 1
    return end


class Lexer:
    """Cuts a template into tokens; `fail` makes the error of a position."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.tokens: list[Token] = []

    def fail(self, message: str, position: int) -> TemplateError:
        return TemplateError(f"template: {self.name}:{self.text.count(chr(10), 0, position) + 1}: {message}")

    def run(self) -> list[Token]:
        text, start = self.text, 0
        trim = False
        while True:
            left = text.find("{{", start)
            piece = text[start:] if left < 0 else text[start:left]
            if trim:
                piece = piece.lstrip(_SPACE)
            if left < 0:
                self._add("text", start, piece)
                return self.tokens
            inside = left + 2
            if text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in tuple(_SPACE):
                piece = piece.rstrip(_SPACE)
                inside += 2
            self._add("text", start, piece)
            if text.startswith("/*", inside):
                start, trim = self._comment(inside)
                continue
            self.tokens.append(Token("left", left, "{{"))
            start, trim = self._action(inside)

    def _add(self, kind: str, position: int, text: str) -> None:
        if text:
            self.tokens.append(Token(kind, position, text))

    def _comment(self, position: int) -> tuple[int, bool]:
        end = self.text.find("*/", position + 2)
        if end < 0:
            raise self.fail("unclosed comment", position)
        end += 2
        trim, after = self._right(end)
        if not after:
            raise self.fail("comment ends before closing delimiter", position)
        return after, trim

    def _right(self, position: int) -> tuple[bool, int]:
        """(whether the text after it is trimmed, where that begins); 0 when no closing delimiter is here."""
        text = self.text
        if text.startswith("-}}", position + 1) and text[position : position + 1] in tuple(_SPACE):
            return True, position + 4
        return (False, position + 2) if text.startswith("}}", position) else (False, 0)

    def _action(self, position: int) -> tuple[int, bool]:
        text, depth = self.text, 0
        while True:
            trim, after = self._right(position)
            if after:
                if depth > 0:
                    raise self.fail("unclosed left paren", position)
                self.tokens.append(Token("right", position, "}}"))
                return after, trim
            if position >= len(text):
                raise self.fail("unclosed action", position)
            start, letter = position, text[position]
            if letter in _SPACE:
                while position < len(text) and text[position] in _SPACE and not self._right(position)[1]:
                    position += 1
                kind = "space"
            elif letter in ('"', "'", "`"):
                position = self._literal(position)
                kind = {'"': "string", "'": "character", "`": "raw"}[letter]
            elif letter == ".":
                following = text[position + 1 : position + 2]
                if following.isascii() and following.isdigit():
                    position, kind = self._number(position), "number"
                else:
                    position, kind = _word(text, position + 1), "field"
            elif letter == "$":
                position, kind = _word(text, position + 1), "variable"
            elif (letter.isascii() and letter.isdigit()) or letter in "+-":
                position, kind = self._number(position), "number"
            elif letter == "_" or letter.isalpha():
                position, kind = _word(text, position), "word"
            elif letter in "|(),=":
                position, kind = position + 1, letter
                depth += {"(": 1, ")": -1}.get(letter, 0)
            elif text.startswith(":=", position):
                position, kind = position + 2, ":="
            elif letter == ":":
                raise self.fail("expected :=", start)
            elif letter.isascii() and letter.isprintable():
                position, kind = position + 1, "char"
            else:
                raise self.fail(f"unrecognized character in action: U+{ord(letter):04X} {letter!r}", start)
            if kind in ("field", "variable", "word", "number"):
                self._terminated(position)
            self.tokens.append(Token(kind, start, text[start:position]))

    def _terminated(self, position: int) -> None:
        """After a name or a number comes a delimiter, or something else is meant than what was written."""
        letter = self.text[position : position + 1]
        if letter and letter not in _SPACE + ".,|:()=" and not self._right(position)[1]:
            raise self.fail(f"bad character U+{ord(letter):04X} {letter!r}", position)

    def _number(self, position: int) -> int:
        """Where a number ends: digits, letters of its base and exponent, signs after an `e` or `p`."""
        text, start = self.text, position
        if text[position] in "+-":
            position += 1
        while position < len(text):
            letter = text[position]
            signed = letter in "+-" and text[position - 1] in "eEpP" and position > start + 1
            if not (letter in "._" or (letter.isascii() and letter.isalnum()) or signed):
                break
            position += 1
        if number(text[start:position]) is None:
            raise self.fail(f"bad number syntax: {quoted(text[start:position])}", start)
        return position

    def _literal(self, position: int) -> int:
        quote, start, text = self.text[position], position, self.text
        name = {'"': "quoted string", "'": "character constant", "`": "raw quoted string"}[quote]
        position += 1
        while position < len(text) and text[position] != quote:
            if quote != "`" and text[position] == "\n":
                break
            position += 2 if text[position] == "\\" and quote != "`" else 1
        if position >= len(text) or text[position] != quote:
            raise self.fail(f"unterminated {name}", start)
        return position + 1
