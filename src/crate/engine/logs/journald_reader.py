"""Reading the log of a container back from the journal, by journalctl(1): its files have no other stable interface."""

from __future__ import annotations

import json
import shutil
import subprocess

from crate.engine.logs.lines import timestamp
from crate.engine.logs.reader import start_of_tail
from crate.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from crate.engine.logs.reader import Entry


class JournalReader:
    """Gives what has come since it was asked last."""

    def __init__(self, container_id: str) -> None:
        program = shutil.which("journalctl")
        if not program:
            raise HostError("cannot read the log: journalctl is not there", "install systemd")
        self._command = [
            program,
            "--quiet",
            "--no-pager",
            "--all",
            "-o",
            "json",
            f"CONTAINER_ID_FULL={container_id}",
        ]
        self._cursor = ""

    def tail(self, lines: int) -> list[Entry]:
        """The entries of the last lines."""
        found = [entry for entries in self.entries() for entry in entries]
        return found[start_of_tail(found, lines) :]

    def hold(self) -> None:
        """The journal keeps what it has, and is asked to write what it got."""
        subprocess.run([self._command[0], "--sync"], check=False, capture_output=True, stdin=subprocess.DEVNULL)

    def entries(self) -> Iterator[list[Entry]]:
        """All entries that were not given yet."""
        after = [f"--after-cursor={self._cursor}"] if self._cursor else []
        with subprocess.Popen([*self._command, *after], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
            assert process.stdout
            found = []
            for line in process.stdout:
                fields = json.loads(line)
                self._cursor = fields["__CURSOR"]
                found.append(_entry(fields))
                if len(found) >= 4096:
                    yield found
                    found = []
        if found:
            yield found


def _entry(fields: dict[str, Any]) -> Entry:
    message = fields.get("MESSAGE") or ""
    if isinstance(message, list):  # bytes that are no UTF-8
        message = bytes(message).decode("utf-8", "surrogateescape")
    return {
        "log": message if fields.get("CONTAINER_PARTIAL_MESSAGE") == "true" else f"{message}\n",
        "stream": "stderr" if fields.get("PRIORITY") == "3" else "stdout",
        "time": timestamp(int(fields["__REALTIME_TIMESTAMP"]) * 1000),
    }
