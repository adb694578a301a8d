"""Sizes, spans and points in time as docker shows them (github.com/docker/go-units)."""

from __future__ import annotations

import time

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(size_bytes: float, precision: int = 3) -> str:
    """`7.34MB`, in powers of 1000."""
    unit = 0
    while size_bytes >= 1000 and unit < len(_UNITS) - 1:
        size_bytes /= 1000
        unit += 1
    return f"{size_bytes:.{precision}g}{_UNITS[unit]}"


def binary_size(size_bytes: float) -> str:
    """`128MiB`, in powers of 1024."""
    unit = 0
    while size_bytes >= 1024 and unit < len(_BINARY) - 1:
        size_bytes /= 1024
        unit += 1
    return f"{size_bytes:.4g}{_BINARY[unit]}"


def span(seconds: float) -> str:
    """`About a minute`, `3 seconds`: the span in the one unit that fits it."""
    minutes, hours = int(seconds / 60), int(seconds / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds < 2:
        return "1 second"
    if seconds < 60:
        return f"{int(seconds)} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(moment_ns: int, now_ns: int) -> str:
    """`3 minutes ago`."""
    return f"{span((now_ns - moment_ns) / 1e9)} ago"


def stamp(moment_ns: int) -> str:
    """`2013-01-02 13:23:37 +0000 UTC`, in the local time, as Go prints a time of docker's lists."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment_ns // 10**9))


def rfc3339(moment_ns: int) -> str:
    """`2013-01-02T13:23:37.000000001Z`; 0 is Go's zero time."""
    if not moment_ns:
        return "0001-01-01T00:00:00Z"
    seconds, fraction = divmod(moment_ns, 10**9)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + digits + "Z"
