"""Refuses the value of an option in docker's words."""

from __future__ import annotations

from crate.errors import UsageError

_SHORT = {
    "attach": "a",
    "cpu-shares": "c",
    "env": "e",
    "hostname": "h",
    "label": "l",
    "memory": "m",
    "publish": "p",
    "user": "u",
    "volume": "v",
    "workdir": "w",
}


def invalid(option: str, value: object, reason: str, hint: str | None = None) -> UsageError:
    """The error of a value that an option cannot take: `invalid argument "x" for "-m, --memory" flag: reason`."""
    flag = f"-{_SHORT[option]}, --{option}" if option in _SHORT else f"--{option}"
    return UsageError(f'invalid argument "{value}" for "{flag}" flag: {reason}', hint)
