"""Points in time as images and their filters write them: RFC 3339, Unix seconds, or a duration before now."""

from __future__ import annotations

from crate.errors import UsageError

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HINT = "give a duration (24h), a date (2024-01-31T12:00:00) or Unix seconds"


def created_seconds(text: str) -> float:
    """Seconds since the epoch of an image's `created` (RFC 3339); 0 for what cannot be read."""
    try:
        return _seconds(text)
    except ValueError:
        return 0.0


def parse(text: str, now: float) -> float:
    """Seconds since the epoch of a filter's value (docker: a Go duration before now, RFC 3339 or Unix seconds).

    A date without a zone is local time. Raises UsageError.
    """
    duration = parse_duration(text)
    if duration is not None:
        return now - duration
    try:
        return float(text) if text.replace(".", "", 1).isdigit() else _seconds(text)
    except (ValueError, OverflowError):
        raise UsageError(f'invalid time "{text}"', _HINT) from None


def parse_duration(text: str) -> float | None:
    """The seconds of a Go duration (`1h30m`, `-5s`), None when it is none."""
    import re

    body = text.removeprefix("-").removeprefix("+")
    parts = re.findall(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)", body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        return None
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -total if text.startswith("-") else total


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
