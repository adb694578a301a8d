"""fmt.Sprintf: verbs, flags, widths and the marks that Go leaves where they do not fit."""

from __future__ import annotations

from crate.cli.template.literals import quoted
from crate.cli.template.values import NO_VALUE, GoMap, floating, sorted_items, text_of, type_name, utf8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WIDEST = 1_000_000  # as in fmt: beyond it a width is bad


class _Verb:
    """One directive: its flags, width and precision."""

    __slots__ = ("flags", "letter", "precision", "width")

    def __init__(self) -> None:
        self.flags = ""
        self.letter = ""
        self.width: int | None = None
        self.precision: int | None = None

    def pad(self, text: str, zeros: bool = False) -> str:
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            return text
        if "-" in self.flags:
            return text + " " * missing
        if zeros and "0" in self.flags:
            sign = text[:1] if text[:1] in ("+", "-", " ") else ""
            return sign + "0" * missing + text[len(sign) :]
        return " " * missing + text


def go_printf(pattern: Any, *values: Any) -> str:
    """The formatted text; never fails on a wrong verb or count, as in Go."""
    if not isinstance(pattern, str):
        raise ValueError(f"wrong type for value; expected string; got {type_name(pattern)}")
    out: list[str] = []
    position, used, reordered = 0, 0, False
    while position < len(pattern):
        percent = pattern.find("%", position)
        if percent < 0:
            out.append(pattern[position:])
            break
        out.append(pattern[position:percent])
        verb = _Verb()
        position = percent + 1
        while position < len(pattern) and pattern[position] in "+-# 0":
            verb.flags += pattern[position]
            position += 1
        position, used, jumped = _argument(pattern, position, used, len(values))
        reordered = reordered or jumped
        verb.width, position, used, bad = _measure(pattern, position, used, values)
        if bad:
            out.append("%!(BADWIDTH)")
        if verb.width is not None and verb.width < 0:
            verb.flags, verb.width = verb.flags.replace("0", "") + "-", -verb.width
        if pattern[position : position + 1] == ".":
            position, used, jumped = _argument(pattern, position + 1, used, len(values))
            reordered = reordered or jumped
            verb.precision, position, used, bad = _measure(pattern, position, used, values)
            if bad or (verb.precision or 0) < 0:
                out.append("%!(BADPREC)")
                verb.precision = None
            elif verb.precision is None:
                verb.precision = 0
        position, used, jumped = _argument(pattern, position, used, len(values))
        reordered = reordered or jumped
        if position >= len(pattern):
            out.append("%!(NOVERB)")
            break
        verb.letter = pattern[position]
        position += 1
        if verb.letter == "%":
            out.append("%")
        elif used < 0:
            out.append(f"%!{verb.letter}(BADINDEX)")
            used = 0
        elif used >= len(values):
            out.append(f"%!{verb.letter}(MISSING)")
        else:
            out.append(_format(verb, values[used]))
            used += 1
    if not reordered and used < len(values):
        extra = ", ".join("<nil>" if v is None else f"{type_name(v)}={text_of(v)}" for v in values[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _argument(pattern: str, position: int, used: int, count: int) -> tuple[int, int, bool]:
    """An explicit index `[2]`: (what follows, the argument that is next or -1, whether there was one)."""
    if pattern[position : position + 1] != "[":
        return position, used, False
    end = pattern.find("]", position)
    if end < 0:
        return position + 1, -1, True
    digits = pattern[position + 1 : end]
    good = digits.isascii() and digits.isdigit() and 1 <= int(digits[:7]) <= count
    return end + 1, int(digits[:7]) - 1 if good else -1, True


def _measure(pattern: str, position: int, used: int, values: tuple[Any, ...]) -> tuple[int | None, int, int, bool]:
    """A width or precision, `*` or digits: (number, what follows, next argument, whether it is bad)."""
    if pattern[position : position + 1] == "*":
        value = values[used] if 0 <= used < len(values) else None
        good = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _WIDEST
        return (value if good else None), position + 1, used + (0 <= used < len(values)), not good
    end = position
    while end < len(pattern) and pattern[end].isascii() and pattern[end].isdigit():
        end += 1
    if end == position:
        return None, position, used, False
    size = int(pattern[position : min(end, position + 8)])
    return (size, end, used, False) if size <= _WIDEST else (None, end, used, True)


def _bad(verb: _Verb, value: Any) -> str:
    if value is None or value is NO_VALUE:
        return f"%!{verb.letter}(<nil>)"
    return f"%!{verb.letter}({type_name(value)}={text_of(value)})"


def _format(verb: _Verb, value: Any) -> str:
    letter = verb.letter
    if letter == "T":
        return verb.pad(type_name(value))
    if value is NO_VALUE:
        value = None
    if letter == "v" and "#" in verb.flags:
        return verb.pad(go_syntax(value))
    if isinstance(value, (list, tuple)) and letter != "p":
        if (letter != "v" and letter in "sqxXd") or letter in "v":
            return "[" + " ".join(_format(verb, item) for item in value) + "]"
    elif isinstance(value, dict) and letter != "p":
        pairs = (f"{_format(verb, k)}:{_format(verb, v)}" for k, v in sorted_items(value))
        return "map[" + " ".join(pairs) + "]"
    if value is None:
        return verb.pad("<nil>") if letter == "v" else _bad(verb, value)
    if isinstance(value, bool):
        return verb.pad(text_of(value)) if letter in "vt" else _bad(verb, value)
    if isinstance(value, int):
        return _integer(verb, value)
    if isinstance(value, float):
        return _float(verb, value)
    return _text(verb, value if isinstance(value, str) else text_of(value), value)


def _signed(verb: _Verb, text: str, negative: bool) -> str:
    return ("-" if negative else "+" if "+" in verb.flags else " " if " " in verb.flags else "") + text


def _integer(verb: _Verb, value: int) -> str:
    letter, size = verb.letter, abs(value)
    if letter in "vd":
        text = str(size)
    elif letter in "bxXoO":
        text = format(size, letter.lower() if letter != "X" else "X")
        prefix = {"b": "0b", "x": "0x", "X": "0X", "o": "0"}.get(letter, "") if "#" in verb.flags else ""
        text = ("0o" if letter == "O" else prefix) + text
    elif letter in "cqU":
        rune = chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"
        if letter == "U":
            shown = f" {quoted(rune, chr(39))}" if "#" in verb.flags and rune.isprintable() else ""
            return verb.pad(f"U+{size:04X}{shown}")
        return verb.pad(rune if letter == "c" else quoted(rune, "'", "+" in verb.flags))
    else:
        return _bad(verb, value)
    if verb.precision is not None:
        text = "" if verb.precision == 0 and not value else text.rjust(verb.precision, "0")
        return verb.pad(_signed(verb, text, value < 0))
    return verb.pad(_signed(verb, text, value < 0), zeros=True)


def _float(verb: _Verb, value: float) -> str:
    letter = {"v": "g", "F": "f"}.get(verb.letter, verb.letter)
    if letter not in "eEfgG":
        return _bad(verb, value)
    precision = verb.precision
    if precision is None:
        precision = -1 if letter in "gG" else 6
    text = floating(value, letter, precision, "#" in verb.flags)
    negative = text[0] == "-"
    finite = text.lstrip("+-")[0].isdigit()
    plus = "+" in verb.flags or (not finite and text[0] == "+" and verb.letter != "v")
    sign = "-" if negative else "+" if plus or (not finite and text[0] == "+") else " " if " " in verb.flags else ""
    return verb.pad(sign + text.lstrip("+-"), zeros=finite)


def _text(verb: _Verb, text: str, value: Any) -> str:
    letter = verb.letter
    if letter in "vs":
        return verb.pad(text if verb.precision is None else text[: verb.precision], zeros=True)
    if letter == "q":
        text = text if verb.precision is None else text[: verb.precision]
        if "#" in verb.flags and "`" not in text and all(c.isprintable() or c == "\t" for c in text):
            return verb.pad(f"`{text}`", zeros=True)
        return verb.pad(quoted(text, '"', "+" in verb.flags), zeros=True)
    if letter in "xX":
        raw = utf8(text)
        raw = raw if verb.precision is None else raw[: verb.precision]
        gap, prefix = (" " if " " in verb.flags else ""), ("0x" if "#" in verb.flags and raw else "")
        pairs = [f"{byte:02x}" for byte in raw]
        shown = gap.join(prefix + pair for pair in pairs) if gap else prefix + "".join(pairs)
        return verb.pad(shown.upper() if letter == "X" else shown, zeros=True)
    return _bad(verb, value)


def go_syntax(value: Any) -> str:
    """`%#v`."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        kind = "map[string]string" if isinstance(value, GoMap) else "map[string]interface {}"
        return kind + "{" + ", ".join(f"{go_syntax(k)}:{go_syntax(v)}" for k, v in sorted_items(value)) + "}"
    if isinstance(value, (list, tuple)):
        return type_name(value) + "{" + ", ".join(go_syntax(item) for item in value) + "}"
    return "interface {}(nil)" if value is None else text_of(value)
