"""Shows the help that was rendered ahead (`scripts/generate-cli`); headings and options in colour on a terminal."""

from __future__ import annotations

import os
import sys

from crate.cli import table

_BOLD, _CYAN, _PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[0m"


def text(words: str) -> str:
    """The help of a command in the spelling that was used, of a group, or of crate itself for no words."""
    name = table.COMMANDS.get(words, words.replace(" ", ".") or "crate")
    # The loader reads it out of a directory, or out of the single file (scripts/build-one-file).
    data = __loader__.get_data(os.path.join(os.path.dirname(__file__), "help", f"{name}.txt"))  # type: ignore[name-defined]
    shown: str = f"Usage:  crate{' ' * bool(words)}{words}" + data.decode()
    if not words and _has_chosen_a_daemon():
        shown = "".join(line for line in shown.splitlines(keepends=True) if " --remote " not in line)
    return coloured(shown) if _wants_colour() else shown


def _has_chosen_a_daemon() -> bool:
    """Whether the caller says already where the daemon is: podman does not offer --remote then, and no more do we."""
    names = ("CONTAINER_HOST", "CONTAINER_CONNECTION")
    return any(os.environ.get(name) for name in names) or bool({"--url", "--connection"} & set(sys.argv))


def _wants_colour() -> bool:
    return os.isatty(1) and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"


def coloured(shown: str) -> str:
    """Headings bold, names of options and commands cyan."""
    lines = []
    for line in shown.split("\n"):
        stripped = line.lstrip()
        indent = len(line) - len(stripped)
        if line.endswith(":") and not indent:
            line = _BOLD + line + _PLAIN
        elif line.startswith("Usage:"):
            line = _BOLD + "Usage:" + _PLAIN + line[6:]
        elif 2 <= indent <= 6:
            names, gap, rest = stripped.partition("   ")
            line = line[:indent] + _CYAN + names + _PLAIN + gap + rest
        lines.append(line)
    return "\n".join(lines)
