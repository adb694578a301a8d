"""Points in time as text: RFC 3339 of images and records, and what docker's options take (`--since`, filters).

All are nanoseconds since the epoch. `datetime`, `calendar` and `time.strptime` would cost milliseconds each.
"""

from __future__ import annotations

import time

from crate.errors import UsageError

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse(text: str, now_ns: int) -> int:
    """RFC 3339 text, its beginning (a date), seconds since the epoch, or a Go duration back from now.

    Without a zone it is local time. Raises UsageError.
    """
    span = duration(text)
    if span is not None:
        return now_ns - span
    seconds, dot, fraction = text.partition(".")
    if _is_number(seconds) and (not dot or _is_number(fraction)):
        return int(seconds) * 10**9 + _fraction(fraction)
    moment = rfc3339(text)
    if moment is None:
        raise UsageError(f'invalid time "{text}"', 'as 2013-01-02T13:23:37Z, 1357133017 or "10m"')
    return moment


def created(text: str) -> int:
    """The `created` of an image or a record; 0 for what cannot be read."""
    return rfc3339(text) or 0


def duration(text: str) -> int | None:
    """Nanoseconds of a Go duration (`1h30m`, `-1.5s`); None when it is none."""
    total, rest = 0.0, text[1:] if text[:1] in ("-", "+") else text
    if not rest:
        return None
    while rest:
        length = 0
        while length < len(rest) and (_is_number(rest[length]) or rest[length] == "."):
            length += 1
        number, rest = rest[:length], rest[length:]
        unit = next((unit for unit in _UNITS if rest.startswith(unit)), None)
        if not number.strip(".") or number.count(".") > 1 or unit is None:
            return None
        total += float(number) * _UNITS[unit]
        rest = rest[len(unit) :]
    return -int(total) if text[0] == "-" else int(total)


def rfc3339(text: str) -> int | None:
    """`2013-01-02T13:23:37.5+02:00`, or its beginning up to the day, hour or minute; None for anything else."""
    body, offset = text, None
    if body[-1:] in ("Z", "z"):
        body, offset = body[:-1], 0
    elif len(body) > 16 and body[-6] in "+-" and body[-3] == ":" and _is_number(body[-5:-3] + body[-2:]):
        seconds = int(body[-5:-3]) * 3600 + int(body[-2:]) * 60
        body, offset = body[:-6], -seconds if body[-6] == "-" else seconds
    body, dot, fraction = body.partition(".")
    if dot and not (_is_number(fraction) and len(body) == 19):
        return None
    fields = _fields(body)
    if fields is None:
        return None
    year, month, day, hour, minute, second = fields
    if offset is None:
        try:
            whole = int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))
        except OverflowError:
            return None
    else:
        whole = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return whole * 10**9 + _fraction(fraction)


def _fields(body: str) -> tuple[int, int, int, int, int, int] | None:
    """The numbers of `2013-01-02[T13[:23[:37]]]`, those that are left out 0."""
    if len(body) not in (10, 13, 16, 19) or body[10:11] not in ("", "T", "t", " "):
        return None
    separators = body[4] + body[7] + body[13:14] + body[16:17]
    digits = [body[:4], *(body[start : start + 2] for start in (5, 8, 11, 14, 17) if body[start : start + 2])]
    if separators not in ("--", "--:", "--::") or not all(_is_number(part) for part in digits):
        return None
    year, month, day, hour, minute, second = (*map(int, digits), 0, 0, 0)[:6]
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (1 <= month <= 12 and 1 <= day <= _MONTHS[month - 1] + leap and hour < 24 and minute < 60 and second <= 60):
        return None
    return year, month, day, hour, minute, second


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _fraction(digits: str) -> int:
    return int((digits or "0")[:9].ljust(9, "0"))


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 (proleptic Gregorian)."""
    year -= month <= 2
    era_year = year % 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return year // 400 * 146097 + era_year * 365 + era_year // 4 - era_year // 100 + day_of_year - 719468
