"""Numbers, sizes and durations as docker's options spell them."""

from __future__ import annotations

from crate.plan.refusal import invalid

_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DIGITS = "0123456789"
_INT64_MAX = (1 << 63) - 1


def size_bytes(option: str, value: str | int, base: int = 1024) -> int:
    """Bytes of `64m`, `1.5GiB`, `1024`, by docker's go-units: a unit is a power of `base`. UsageError.

    Docker takes 1000 for the size of log files, and 1024 for all else.
    """
    text = str(value)
    last = max(text.rfind(character) for character in "0123456789. ")
    if last < 0:
        raise invalid(option, text, f"invalid size: '{text}'")
    number, suffix = (text[:last], text[last + 1 :]) if text[last] == " " else (text[: last + 1], text[last + 1 :])
    if number.startswith("-"):
        raise invalid(option, text, f"invalid size: '{text}'")
    size = _decimal(number)
    if size is None:
        raise invalid(option, text, f'strconv.ParseFloat: parsing "{number}": invalid syntax')
    unit = suffix.lower()
    if unit and unit != "b":
        if unit[0] not in _POWERS or unit[1:] not in ("", "b", "ib"):
            raise invalid(option, text, f"invalid suffix: '{unit}'")
        size = round(size * base ** _POWERS[unit[0]], 6)
    if size > _INT64_MAX:
        raise invalid(option, text, f"invalid size: '{text}'")
    return int(size)


def integer(option: str, value: str | int, bits: int = 64, signed: bool = True) -> int:
    """A decimal number within so many bits. UsageError in the words of Go's strconv."""
    text = str(value)
    function = "strconv.ParseInt" if signed else "strconv.ParseUint"
    digits = text[1:] if signed and text[:1] in "+-" else text
    if not digits or digits.strip(_DIGITS):
        raise invalid(option, text, f'{function}: parsing "{text}": invalid syntax')
    number = int(text)
    if number >= 1 << (bits - signed) or number < -(1 << (bits - 1)):
        raise invalid(option, text, f'{function}: parsing "{text}": value out of range')
    return number


def nano_cpus(option: str, value: str | int | float) -> int:
    """Billionths of a processor: `1.5` → 1500000000. UsageError."""
    text = str(value)
    sign = -1 if text.startswith("-") else 1
    number = _decimal(text.lstrip("-"))
    if number is None:
        raise invalid(option, text, f"failed to parse {text} as a rational number")
    whole, _, part = text.lstrip("-+").partition(".")
    if len(part.rstrip("0")) > 9:
        raise invalid(option, text, "value is too precise")
    return sign * (int(whole or "0") * 1_000_000_000 + int((part + "000000000")[:9]))


def duration_ns(option: str, value: str) -> int:
    """Nanoseconds of Go's `1h15m30.5s`. UsageError."""
    total, rest = 0.0, value.lstrip("+-") if value[:1] in "+-" else value
    if rest == "0":
        return 0
    if not rest:
        raise invalid(option, value, f'time: invalid duration "{value}"')
    while rest:
        number = rest[: len(rest) - len(rest.lstrip(_DIGITS + "."))]
        rest = rest[len(number) :]
        unit = next((rest[:width] for width in (2, 1) if rest[:width] in _NANOSECONDS), "")
        amount = _decimal(number)
        if amount is None:
            raise invalid(option, value, f'time: invalid duration "{value}"')
        if not unit:
            problem = f'time: unknown unit "{rest}" in duration' if rest else "time: missing unit in duration"
            raise invalid(option, value, f'{problem} "{value}"')
        total += amount * _NANOSECONDS[unit]
        rest = rest[len(unit) :]
    return int(-total if value.startswith("-") else total)


def _decimal(text: str) -> float | None:
    """Digits with at most one point; Python's own float() would take `1_0`, `1e5`, `nan` and blanks."""
    if not text.replace(".", "", 1).isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return float(text)
