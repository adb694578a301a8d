"""The functions that templates may call: Go's own, and those that docker and podman add."""

from __future__ import annotations

from crate.cli.template.printf import go_printf
from crate.cli.template.values import NO_VALUE, GoMap, from_utf8, json_text, text_of, truth, type_name, utf8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
_PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"


def _print(*values: Any) -> str:
    """fmt.Sprint: spaces between operands when neither is a string."""
    out = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            out.append(" ")
        out.append(text_of(value))
    return "".join(out)


def _println(*values: Any) -> str:
    return " ".join(text_of(value) for value in values) + "\n"


def _only(values: tuple[Any, ...]) -> str:
    return values[0] if len(values) == 1 and isinstance(values[0], str) else _print(*values)


def _html(*values: Any) -> str:
    return "".join(_HTML.get(letter, letter) for letter in _only(values))


def _js(*values: Any) -> str:
    out = []
    for letter in _only(values):
        if letter in _JS:
            out.append(_JS[letter])
        elif letter < " " or not letter.isprintable():
            out.append(f"\\u{ord(letter):04X}")
        else:
            out.append(letter)
    return "".join(out)


def _urlquery(*values: Any) -> str:
    raw = utf8(_only(values))
    return "".join(chr(b) if chr(b) in _PLAIN else "+" if b == 32 else f"%{b:02X}" for b in raw)


def _len(value: Any) -> int:
    if value is None or value is NO_VALUE:
        raise ValueError("len of nil pointer")
    if isinstance(value, str):
        return len(utf8(value))
    if isinstance(value, (list, tuple, dict)):
        return len(value)
    raise ValueError(f"len of type {type_name(value)}")


def _position(index: Any, length: int, what: str = "index") -> int:
    if isinstance(index, bool) or not isinstance(index, int):
        if index is None:
            raise ValueError(f"cannot {what} slice/array with nil")
        raise ValueError(f"cannot {what} slice/array with type {type_name(index)}")
    if index < 0 or index > length or (what == "index" and index == length):
        raise ValueError("reflect: slice index out of range" if index == length else f"index out of range: {index}")
    return index


def _index(value: Any, *keys: Any) -> Any:
    """Missing keys give the zero value, as for Go's map[string]string; positions must be there."""
    if value is None or value is NO_VALUE:
        raise ValueError("index of untyped nil")
    for key in keys:
        if value is None:
            raise ValueError("index of nil pointer")
        if isinstance(value, dict):
            if not isinstance(key, str):
                wrong = "value is nil" if key is None else f"value has type {type_name(key)}"
                raise ValueError(f"{wrong}; should be string")
            try:
                value = value[key]
            except KeyError:
                value = value.zero if isinstance(value, GoMap) else None
        elif isinstance(value, str):
            value = utf8(value)[_position(key, len(utf8(value)))]
        elif isinstance(value, (list, tuple)):
            value = value[_position(key, len(value))]
        else:
            raise ValueError(f"can't index item of type {type_name(value)}")
    return value


def _slice(value: Any, *bounds: Any) -> Any:
    if value is None or value is NO_VALUE:
        raise ValueError("slice of untyped nil")
    if len(bounds) > 3:
        raise ValueError(f"too many slice indexes: {len(bounds)}")
    if not isinstance(value, (str, list, tuple)):
        raise ValueError(f"can't slice item of type {type_name(value)}")
    if isinstance(value, str) and len(bounds) == 3:
        raise ValueError("cannot 3-index slice a string")
    whole: Any = utf8(value) if isinstance(value, str) else value
    found = [_position(bound, len(whole), "slice") for bound in bounds]
    begin, end = (found + [0, len(whole)][len(found) :])[:2] if len(found) < 2 else found[:2]
    if begin > end:
        raise ValueError(f"invalid slice index: {begin} > {end}")
    return from_utf8(whole[begin:end]) if isinstance(value, str) else whole[begin:end]


# Comparisons: only between values of one basic kind.


def _kind(value: Any) -> str:
    if value is None or value is NO_VALUE:
        return "nil"
    if isinstance(value, bool):
        return "bool"
    name = type_name(value)
    return name if name in ("int", "float64", "string") else "other"


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    kind = _kind(first)
    if kind == "other":
        raise ValueError(f"non-comparable type {text_of(first)}: {type_name(first)}")
    for other in others:
        if _kind(other) == "other":
            raise ValueError(f"non-comparable type {text_of(other)}: {type_name(other)}")
        if kind != _kind(other) and "nil" not in (kind, _kind(other)):
            raise ValueError("incompatible types for comparison")
        if kind == _kind(other) and (kind == "nil" or first == other):
            return True
    return False


def _not_equal(first: Any, second: Any) -> bool:
    return not _equal(first, second)


def _less(first: Any, second: Any) -> bool:
    kinds = (_kind(first), _kind(second))
    if "bool" in kinds or "other" in kinds or "nil" in kinds:
        raise ValueError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise ValueError("incompatible types for comparison")
    return bool(utf8(first) < utf8(second) if isinstance(first, str) else first < second)


def _less_or_equal(first: Any, second: Any) -> bool:
    return _less(first, second) or _equal(first, second)


def _call(function: Any, *values: Any) -> Any:
    if not callable(function):
        raise ValueError(f"non-function {text_of(function)} of type {type_name(function)}")
    return function(*values)


# What docker and podman add.


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _split(text: Any, separator: Any) -> list[str]:
    text, separator = _string(text), _string(separator)
    return text.split(separator) if separator else list(text)


def _join(items: Any, separator: Any) -> str:
    if items is None or items is NO_VALUE:
        return ""
    if not isinstance(items, (list, tuple)):
        raise ValueError(f"expected slice, got {type_name(items)}")
    return _string(separator).join(text_of(item) for item in items)


def _title(text: Any) -> str:
    """strings.Title: the first letter of each word, the others as they are."""
    out, inside = [], False
    for letter in _string(text):
        out.append(letter if inside else letter.upper())
        inside = letter.isalnum() or letter in "_'"
    return "".join(out)


def _pad(text: Any, before: Any, after: Any) -> str:
    """Spaces around a text that is not empty."""
    return " " * int(before) + _string(text) + " " * int(after) if text else ""


def _truncate(text: Any, length: Any) -> str:
    return _string(text)[: max(int(length), 0)]


# How many of the first arguments must be strings: a literal of another kind is refused before the call.
STRINGS = {"lower": 1, "pad": 1, "printf": 1, "split": 2, "title": 1, "truncate": 1, "upper": 1}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "call": _call,
    "eq": _equal,
    "ge": lambda first, second: not _less(first, second),
    "gt": lambda first, second: not _less_or_equal(first, second),
    "html": _html,
    "index": _index,
    "join": _join,
    "js": _js,
    "json": json_text,
    "le": _less_or_equal,
    "len": _len,
    "lower": lambda text: _string(text).lower(),
    "lt": _less,
    "ne": _not_equal,
    "not": lambda value: not truth(value),
    "pad": _pad,
    "print": _print,
    "printf": go_printf,
    "println": _println,
    "slice": _slice,
    "split": _split,
    "title": _title,
    "truncate": _truncate,
    "upper": lambda text: _string(text).upper(),
    "urlquery": _urlquery,
    # Evaluated by the evaluator, for they do not look at what follows an answer.
    "and": lambda *values: None,
    "or": lambda *values: None,
}
