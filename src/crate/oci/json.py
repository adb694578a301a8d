"""JSON text for the hot path, over the interpreter's own `_json`; equal to `json` in a property test.

`import json` pulls in `re` and `enum` and costs five to seven milliseconds at start; this costs 0.1.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Scanner:
    """What `_json.make_scanner` reads its configuration from."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__
    memo: dict[str, str] = {}  # noqa: RUF012 - the C scanner wants an attribute


_scan = _json.make_scanner(_Scanner())  # type: ignore[arg-type]
_SPACE = " \t\n\r"


def loads(text: str | bytes) -> Any:
    """Parses one JSON value. Raises ValueError (position included) for anything else, RecursionError when too deep."""
    if not isinstance(text, str):
        text = text.decode("utf-8")  # UnicodeDecodeError is a ValueError
    start = 0
    while start < len(text) and text[start] in _SPACE:
        start += 1
    try:
        value, end = _scan(text, start)
    except StopIteration as stop:
        raise ValueError(f"not JSON: no value at character {stop.value}") from None
    except SystemError:  # Python 3.11's scanner takes its exception from `json.decoder`, if that was imported
        raise ValueError("not JSON: the text is malformed or ends too early") from None
    if text[end:].strip(_SPACE):
        raise ValueError(f"not JSON: more text after character {end}")
    return value


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _encoder(item_separator: str, key_separator: str, sort_keys: bool) -> Any:
    return _json.make_encoder(
        {}, _refuse, _json.encode_basestring_ascii, None, key_separator, item_separator, sort_keys, False, True
    )


_compact = _encoder(",", ":", False)
_canonical = _encoder(",", ":", True)


def dumps(value: Any) -> str:
    """The compact JSON text of a value of dicts, lists, strings, numbers, booleans and None."""
    return "".join(_compact(value, 0))


def canonical(value: Any) -> str:
    """As `dumps`, with sorted keys: equal values give equal text, which may be digested."""
    return "".join(_canonical(value, 0))


def pretty(value: Any, indent: int = 4, level: int = 0) -> str:
    """Indented JSON text, as docker's and podman's `inspect` print it."""
    pad, end = " " * indent * (level + 1), " " * indent * level
    if isinstance(value, dict) and value:
        items = (f"{pad}{dumps(str(key))}: {pretty(item, indent, level + 1)}" for key, item in value.items())
        return "{\n" + ",\n".join(items) + f"\n{end}}}"
    if isinstance(value, (list, tuple)) and value:
        return "[\n" + ",\n".join(pad + pretty(item, indent, level + 1) for item in value) + f"\n{end}]"
    return dumps(value)
