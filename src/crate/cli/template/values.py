"""Python's values seen as Go's: type names, truth, order of keys, and how fmt prints them with %v.

JSON-like data stands for Go's: a dict is a struct (an unknown field is an error), a `GoMap` is a map (a missing key is
no value), a list a slice, None a nil; `Bytes` of text count as UTF-8, as Go's strings do.
"""

from __future__ import annotations

import _json
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class GoMap(dict):  # type: ignore[type-arg]
    """A map: the field of a key that is missing prints `<no value>`, `index` gives the zero value `zero`."""

    __slots__ = ()
    zero = ""


class NetworksMap(GoMap):
    """The networks of a container by name: docker's name of the default network finds podman's, and the reverse."""

    __slots__ = ()
    _SAME = ("bridge", "podman")

    def __missing__(self, name: str) -> Any:
        for other in self._SAME if name in self._SAME else ():
            if other in self:
                return self[other]
        raise KeyError(name)


class GoStruct(dict):  # type: ignore[type-arg]
    """A struct that went through JSON: Go's names of its fields differ from the keys in their case (`.ID` is "Id")."""

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        wanted = name.lower()
        for key in self:
            if key.lower() == wanted:
                return self[key]
        raise KeyError(name)


class NoValue:
    """What a missing key of a map evaluates to."""

    def __repr__(self) -> str:
        return "<no value>"


NO_VALUE = NoValue()


def type_name(value: Any) -> str:
    """As `%T` and errors name it."""
    if value is None or value is NO_VALUE:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "map[string]string" if isinstance(value, GoMap) else "map[string]interface {}"
    if isinstance(value, (list, tuple)):
        strings = bool(value) and all(isinstance(item, str) for item in value)
        return "[]string" if strings else "[]interface {}"
    return "func()" if callable(value) else type(value).__name__


def truth(value: Any) -> bool:
    """Whether `if` takes it: not false, 0, "", nil or an empty slice or map."""
    return bool(value) and value is not NO_VALUE


def utf8(text: str) -> bytes:
    """The bytes of a Go string."""
    return text.encode("utf-8", "surrogateescape" if "\udc80" <= max(text, default="") <= "\udcff" else "replace")


def from_utf8(data: bytes) -> str:
    """The text of bytes; those that are not UTF-8 survive."""
    return data.decode("utf-8", "surrogateescape")


def floating(value: float, verb: str = "g", precision: int = -1, sharp: bool = False) -> str:
    """`strconv.FormatFloat`: the shortest text that reads back for -1; `%v` is `g`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if precision >= 0:
        mark = "#" if sharp else ""
        return f"{value:{mark}.{precision}{verb}}"
    # repr gives the shortest digits; only where the point and the exponent go is Go's own.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if str(value)[0] == "-" else ""
    if not digits:
        digits, point = "0", 1
    if verb in "eE" or (verb in "gG" and not -4 <= point - 1 < 6):
        power = point - 1
        mark = "E" if verb in "EG" else "e"
        return (
            f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}{mark}{'-' if power < 0 else '+'}{abs(power):02d}"
        )
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return sign + digits[:point].ljust(point, "0") + ("." + digits[point:] if len(digits) > point else "")


def sorted_items(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """The items of a map in the order in which Go ranges over and prints them."""
    return sorted(value.items(), key=lambda item: utf8(item[0]) if isinstance(item[0], str) else utf8(str(item[0])))


def text_of(value: Any, plus: bool = False, depth: int = 0) -> str:
    """`%v`, and with `plus` `%+v`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return floating(value)
    if depth > 100:
        return "..."
    if isinstance(value, dict):
        items = sorted_items(value)
        return "map[" + " ".join(f"{text_of(k)}:{text_of(v, plus, depth + 1)}" for k, v in items) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(text_of(item, plus, depth + 1) for item in value) + "]"
    return str(value)


def _unknown(value: object) -> Any:
    return None if value is NO_VALUE else str(value)


def _encoder(sort_keys: bool) -> Any:
    return _json.make_encoder(None, _unknown, _json.encode_basestring, None, ":", ",", sort_keys, False, True)


_plain, _sorted = _encoder(False), _encoder(True)


def json_text(value: Any) -> str:
    """`json.Marshal` without HTML escapes: maps by key, structs in their own order, text as UTF-8."""
    if hasattr(value, "complete"):
        value = value.complete()  # a Row of cli/formats.py, which computes its fields when they are named
    try:
        text = "".join((_sorted if isinstance(value, GoMap) else _plain)(value, 0))
    except (TypeError, RecursionError, ValueError) as error:
        raise ValueError(f"json: {error}") from None
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
