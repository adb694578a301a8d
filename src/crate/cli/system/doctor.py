"""`crate doctor`: what crate needs of this host, and the one command that mends what is missing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

_COLOURS = {"ok": "32", "warn": "33", "fail": "31"}


def main(options: dict[str, Any]) -> int:
    """1 when something that every container needs is missing, else 0."""
    import os

    from crate.cli import output
    from crate.engine.doctor import host as doctor

    findings = doctor.examine(options["globals"] or {})
    if options["json"]:
        import json

        output.write(json.dumps(findings, indent=4) + "\n")
    else:
        coloured = os.isatty(1) and not os.environ.get("NO_COLOR")
        width = max(len(one["check"]) for one in findings)
        for one in findings:
            status = f"{one['status']:4}"
            if coloured:
                status = f"\x1b[{_COLOURS[one['status']]}m{status}\x1b[0m"
            output.write(f"{status}  {one['check']:{width}}  {one['found']}\n")
            for word in ("costs", "mends"):
                text = one["costs"] if word == "costs" else one["mends"]
                if text:
                    output.write(f"{'':6}{'':{width}}  {word}: {text}\n")
    return 1 if any(one["status"] == "fail" for one in findings) else 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag

    command(
        app,
        "doctor",
        main,
        flag("--json", help="Print the findings as JSON"),
        help="Check what crate needs of this host",
        description="""
            For each need: what was found; where something is missing, what that costs, and the one command that mends
            it. Nothing is changed. The exit status is 1 when containers cannot work at all.
        """,
        examples="""
            crate doctor
            crate doctor --json | jq '.[] | select(.status != "ok")'
        """,
    )
