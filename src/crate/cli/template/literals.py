"""Go's literals: numbers, characters and strings, from their text and to their text."""

from __future__ import annotations

_PREFIXES = {"0x": 16, "0X": 16, "0o": 8, "0O": 8, "0b": 2, "0B": 2}
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_NAMES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}


def number(text: str) -> int | float | None:
    """The value of `42`, `-0x2a`, `1_000`, `1e3`; None for what is no number of Go."""
    sign, digits = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if not digits or digits[-1] == "_" or "__" in digits or not digits.isascii():
        return None
    base = _PREFIXES.get(digits[:2])
    try:
        if base:
            return int(sign + digits[2:], base)
        if any(letter in digits for letter in ".eE"):
            value = float(sign + digits)
            return value if value - value == 0 else None
        if len(digits) > 1 and digits[0] == "0":
            return int(sign + digits, 8)
        return int(sign + digits, 10)
    except ValueError:
        return None


def _escaped(text: str, position: int, quote: str) -> tuple[str, int] | None:
    """The character of the escape after a backslash at `position`, and what follows it."""
    letter = text[position + 1 : position + 2]
    if letter in ("'", '"') and letter != quote:
        return None
    if letter in _ESCAPES:
        return _ESCAPES[letter], position + 2
    length, base = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}.get(letter, (3, 8))
    begin = position + (2 if base == 16 else 1)
    digits = text[begin : begin + length]
    if len(digits) != length or not digits.isalnum():
        return None
    try:
        code = int(digits, base)
    except ValueError:
        return None
    if code > 0x10FFFF or 0xD800 <= code < 0xE000 or (base == 8 and code > 255):
        return None
    if letter not in ("u", "U") and code > 127:
        return chr(0xDC00 + code), begin + length  # a single byte, as output writes it (surrogateescape)
    return chr(code), begin + length


def string(text: str) -> str | None:
    """The value of a quoted or raw string, quotes included; None where an escape is wrong."""
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    return _unquote(text[1:-1], '"')


def character(text: str) -> int | None:
    """The code point of `'x'`."""
    value = _unquote(text[1:-1], "'")
    return ord(value) if value is not None and len(value) == 1 else None


def _unquote(text: str, quote: str) -> str | None:
    out, position = [], 0
    while position < len(text):
        if text[position] != "\\":
            out.append(text[position])
            position += 1
            continue
        found = _escaped(text, position, quote)
        if found is None:
            return None
        out.append(found[0])
        position = found[1]
    # Bytes of one character that were written one by one belong together again.
    return "".join(out).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def quoted(text: str, quote: str = '"', ascii_only: bool = False) -> str:
    """`strconv.Quote`."""
    out = []
    for letter in text:
        code = ord(letter)
        if letter == quote:
            out.append("\\" + letter)
        elif letter in _NAMES:
            out.append(_NAMES[letter])
        elif 0xDC80 <= code < 0xDD00:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif letter.isprintable() and not (ascii_only and code > 126):
            out.append(letter)
        elif code < 32 or code == 127:
            out.append(f"\\x{code:02x}")
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return quote + "".join(out) + quote
