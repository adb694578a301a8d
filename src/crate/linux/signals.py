"""Signals by name and number, as kill(1) and docker take them: `SIGTERM`, `term`, `15`, `RTMIN+3`."""

from __future__ import annotations

import _signal

HIGHEST = 64
_RTMIN, _RTMAX = 34, 64  # of glibc, which keeps 32 and 33 for itself


def parse_signal(text: str) -> int | None:
    """The number of a signal; None when there is no such signal."""
    if text.isascii() and text.isdigit():
        return int(text) if 0 < int(text) <= HIGHEST else None
    name = text.upper().removeprefix("SIG")
    for base, number, sign in (("RTMIN", _RTMIN, "+"), ("RTMAX", _RTMAX, "-")):
        if name == base:
            return number
        if name.startswith(base + sign):
            digits = name[len(base) + 1 :]
            if not digits.isascii() or not digits.isdigit() or int(digits) > _RTMAX - _RTMIN:
                return None
            return number + int(digits) if sign == "+" else number - int(digits)
    known = getattr(_signal, f"SIG{name}", None)
    return int(known) if isinstance(known, int) and name.isalnum() and known > 0 else None


def signal_name(number: int) -> str:
    """`SIGTERM` of 15, `SIGRTMIN+3` of 37; the digits of a number without a name."""
    for name in dir(_signal):
        if name.startswith("SIG") and "_" not in name and getattr(_signal, name) == number and name not in _SYNONYMS:
            return name
    if _RTMIN < number < _RTMAX:
        return f"SIGRTMIN+{number - _RTMIN}"
    return str(number)


_SYNONYMS = ("SIGCLD", "SIGPOLL", "SIGIOT")
