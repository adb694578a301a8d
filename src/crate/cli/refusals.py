"""How the report of `--diagnose` is shown: a table on a terminal, one line a refusal elsewhere."""

from __future__ import annotations

import os

from crate.cli import output
from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine

_NOTHING = "diagnosis: nothing was refused"
_INCOMPLETE = "diagnosis: incomplete, its tracer was killed, and what it traced with it"
_NO_OPTION = "no option allows it"


def prepare(engine: Engine, options: dict[str, Any]) -> None:
    """Lets `run` show the report. UsageError where nobody could see it."""
    if options["detach"] and options["rm"]:
        raise UsageError(
            "conflicting options: cannot specify --diagnose with both --detach and --rm: the report goes with the "
            "container",
            "leave --rm away, and see it with crate diagnose",
        )
    engine.show_diagnosis = output.diagnosis


def show(report: dict[str, Any], fd: int, runs: bool = False) -> None:
    """Writes it to a descriptor. `runs`: whether the container goes on."""
    if not report["ended"] and not runs:
        output.write(f"{_INCOMPLETE}\n", fd)
    if not report["refusals"]:
        if report["ended"] or runs:
            output.write(f"{_NOTHING}{' so far' if runs else ''}\n", fd)
        return
    if os.isatty(fd) and os.environ.get("TERM", "dumb") != "dumb":
        _show_table(report, fd)
        return
    for refusal in report["refusals"]:
        output.write(f"diagnosis: {output.one_line(_line(refusal))}\n", fd)
    if report["more"]:
        output.write(f"diagnosis: {_more(report)}\n", fd)


def _line(refusal: dict[str, Any]) -> str:
    errno = f"{refusal['errno']} " if refusal["errno"] else ""
    count = f"({refusal['count']} times) " if refusal["count"] > 1 else ""
    options = ", or ".join(refusal["options"])
    return f"{refusal['call']}: {errno}{count}by {refusal['rule']}; {f'use {options}' if options else _NO_OPTION}"


def _more(report: dict[str, Any]) -> str:
    return f"{report['more']} more, of other calls"


def _show_table(report: dict[str, Any], fd: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Refused calls", title_justify="left", caption=_more(report) if report["more"] else None)
    for heading in ("CALL", "ERROR", "TIMES", "REFUSED BY", "WHAT WOULD ALLOW IT"):
        table.add_column(heading, overflow="fold")
    for refusal in report["refusals"]:
        options = "\n".join(refusal["options"]) or _NO_OPTION
        cells = (refusal["call"], refusal["errno"], str(refusal["count"]), refusal["rule"])
        # Text: the words of a container are no markup, and are shown, not obeyed.
        table.add_row(*(Text(output.one_line(cell)) for cell in cells), Text(options))
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as file:
        Console(file=file).print(table)
