"""Refuses the value of an option in docker's words, and text that no program could be given."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

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


def refuse_nul(spec: Mapping[str, Any]) -> None:
    """UsageError for a NUL byte, which JSON and files can hold, but neither the words of execve(2) nor a path."""
    process = spec.get("process") or {}
    places = {
        "command": process.get("args") or (),
        "environment": process.get("env") or (),
        "working directory": (process.get("cwd") or "",),
        "hostname": (spec.get("hostname") or "", spec.get("domainname") or ""),
        "mounts": [entry.get(end) or "" for entry in spec.get("mounts") or () for end in ("destination", "source")],
    }
    for name, words in places.items():
        if "\0" in "".join(words):
            raise UsageError(
                f"cannot use the container's {name}: a NUL byte in it", "look at the image and at the options"
            )
