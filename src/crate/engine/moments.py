"""Points in time as docker's options take them: `--since`, `--until` and filters."""

from __future__ import annotations

import time

from crate.errors import UsageError

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def parse(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of RFC 3339 text, a date, seconds since the epoch, or a Go duration back from now."""
    span = duration(text)
    if span is not None:
        return now_ns - span
    seconds, dot, fraction = text.partition(".")
    if seconds.isdigit() and (not dot or fraction.isdigit()):
        return int(seconds) * 10**9 + int((fraction or "0").ljust(9, "0")[:9])
    moment = _rfc3339(text)
    if moment is None:
        raise UsageError(f'invalid time "{text}"', 'as 2013-01-02T13:23:37Z, 1357133017 or "10m"')
    return moment


def duration(text: str) -> int | None:
    """Nanoseconds of a Go duration (`1h30m`, `1.5s`); None when it is none."""
    total, rest = 0.0, text
    if not rest:
        return None
    while rest:
        length = 0
        while length < len(rest) and (rest[length].isdigit() or rest[length] == "."):
            length += 1
        number, rest = rest[:length], rest[length:]
        unit = next((unit for unit in ("ns", "us", "µs", "ms", "s", "m", "h") if rest.startswith(unit)), None)
        if not number.strip(".") or number.count(".") > 1 or unit is None:
            return None
        total += float(number) * _UNITS[unit]
        rest = rest[len(unit) :]
    return int(total)


def _rfc3339(text: str) -> int | None:
    import calendar

    body, offset = text, 0
    if body.endswith(("Z", "z")):
        body = body[:-1]
    elif len(body) > 19 and body[-6] in "+-" and body[-3] == ":":
        sign = 1 if body[-6] == "+" else -1
        try:
            offset = sign * (int(body[-5:-3]) * 3600 + int(body[-2:]) * 60)
        except ValueError:
            return None
        body = body[:-6]
    else:
        offset = -time.timezone
    body, _, fraction = body.partition(".")
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d"):
        try:
            moment = time.strptime(body, form)
        except ValueError:
            continue
        if fraction and not fraction.isdigit():
            return None
        return (calendar.timegm(moment) - offset) * 10**9 + int((fraction or "0").ljust(9, "0")[:9])
    return None
