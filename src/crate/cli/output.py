"""Writes text and bytes to standard output and standard error, whole, whatever the locale."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: whether `warn` writes; --log-level=error turns it off
warnings = True
_VISIBLE = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160))}


def write(text: str | bytes, fd: int = 1) -> None:
    """Writes all of it. Raises BrokenPipeError when the reader is gone, OSError for a full disk.

    `surrogateescape` gives back the bytes of names that are not UTF-8.
    """
    data = memoryview(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            import select

            select.select([], [fd], [])


def warn(text: str) -> None:
    """Writes one line on standard error, unless warnings are turned off."""
    if warnings:
        write(f"{one_line(text)}\n", 2)


def one_line(text: str) -> str:
    """The text without what a terminal would obey: messages quote images, registries and users."""
    return " ".join(text.split("\n")).translate(_VISIBLE)


def diagnosis(report: dict[str, Any]) -> None:
    """Shows what --diagnose found, on standard error."""
    from crate.cli.refusals import show

    show(report, 2)


def line(text: str) -> None:
    """Writes one line."""
    write(text + "\n")
