"""The device rules of a spec, taken together: one default and the exceptions from it."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Device = tuple[str, int | None, int | None]  # "b" or "c", major, minor; None is any


def settle(rules: Iterable[dict[str, Any]]) -> tuple[bool, dict[Device, str]]:
    """(everything is allowed, {device: the letters of "rwm" in which it differs}); without rules nothing is allowed.

    The rules are in the order of the OCI runtime-spec, a later one undoes an earlier. v1's list of exceptions cannot
    hold "all of 1:* except 1:3", and forgets the exception without an error: UsageError, for both versions alike.
    """
    allow_all = False
    exceptions: dict[Device, str] = {}
    for rule in rules:
        kind, allow, access = rule.get("type") or "a", bool(rule.get("allow")), rule.get("access") or "rwm"
        major, minor = (None if rule.get(key) in (None, -1) else int(rule[key]) for key in ("major", "minor"))
        if kind not in ("a", "b", "c", "u") or access.strip("rwm"):
            raise UsageError(f"device rule {kind} {access}: the type is one of a, b, c, the access letters of rwm")
        if kind == "a" and major is None and minor is None and set(access) == set("rwm"):
            allow_all, exceptions = allow, {}
            continue
        for each in ("b", "c") if kind == "a" else ("c" if kind == "u" else kind,):
            device = (each, major, minor)
            if allow != allow_all:
                held = exceptions.get(device, "")
                exceptions[device] = "".join(letter for letter in "rwm" if letter in held + access)
                continue
            _refuse_hole(device, access, exceptions)
            for narrower in [other for other in exceptions if _covers(device, other)]:
                left = "".join(letter for letter in exceptions.pop(narrower) if letter not in access)
                if left:
                    exceptions[narrower] = left
    return allow_all, exceptions


def _refuse_hole(device: Device, access: str, exceptions: dict[Device, str]) -> None:
    """Of what the device covers whole nothing is left; of another exception that it meets (`*:1` and `0:*`) a part."""
    for other, letters in exceptions.items():
        if _meet(device, other) and not _covers(device, other) and set(access) & set(letters):
            raise UsageError(
                f"device rule {show(device)} {access}: an earlier rule for {show(other)} covers it",
                "give the narrow rules alone, without the one with the asterisk",
            )


def _meet(device: Device, other: Device) -> bool:
    return all(mine is None or its is None or mine == its for mine, its in zip(device, other, strict=True))


def _covers(device: Device, other: Device) -> bool:
    return all(mine is None or mine == its for mine, its in zip(device, other, strict=True))


def show(device: Device) -> str:
    """A device as the kernel's files write it: `c 1:*`."""
    kind, major, minor = device
    return f"{kind} {'*' if major is None else major}:{'*' if minor is None else minor}"
