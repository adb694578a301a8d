"""The report of a diagnosis: distinct refusals with their counts, bounded, in a file beside the container's record."""

from __future__ import annotations

import time

from crate.oci import json
from crate.storage.durable import read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.refusals.rules import Refusal

NAME = "diagnosis.json"
#: A hostile program makes up new refusals without end; this many are kept apart, the others counted together.
DISTINCT_MAX = 200
#: characters of a path or name
_TEXT_MAX = 200
_OPTION_MAX = 500
_WRITE_SECONDS = 1.0


class Report:
    """The refusals of one run of a container, in the order in which they were first seen."""

    def __init__(self, path: str = "") -> None:
        """`path`: its file; "" for none, where it is only asked for at the end."""
        self._path = path
        self._found: dict[Refusal, int] = {}
        self._more = 0
        self._written_at = 0.0

    def add(self, refusal: Refusal) -> None:
        """Counts a refusal; the file knows of a new one at once, of others within a second of the next."""
        known = self._found.get(refusal)
        if known is None and len(self._found) >= DISTINCT_MAX:
            self._more += 1
        else:
            self._found[refusal] = (known or 0) + 1
        now = time.monotonic()
        if (known is None and not self._more) or now - self._written_at > _WRITE_SECONDS:
            self.write(ended=False)
            self._written_at = now

    def write(self, ended: bool) -> None:
        """Replaces the file. A full disk, or a container that was removed, must not end the program."""
        if not self._path:
            return
        try:
            write_file(None, self._path, self.text(ended), durable=False)
        except OSError:
            pass

    def text(self, ended: bool) -> str:
        """The report as JSON."""
        refusals = [
            {
                "call": _short(refusal.call),
                "errno": refusal.errno,
                "count": count,
                "rule": _short(refusal.rule),
                # One that is too long is left out: without its end it would be another, or no whole word for a shell.
                "options": [option for option in refusal.options if len(option) <= _OPTION_MAX],
            }
            for refusal, count in self._found.items()
        ]
        return json.dumps({"version": 1, "ended": ended, "refusals": refusals, "more": self._more})


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"


def read(files: str) -> dict[str, Any] | None:
    """The report in a container's directory; None where there is none."""
    try:
        found = json.loads(read_file(f"{files}/{NAME}"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
