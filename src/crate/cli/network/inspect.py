"""`crate network inspect`: everything about networks, as JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them does not exist (what exists is printed all the same)."""
    from crate.cli import inspecting

    return inspecting.main({**options, "type": "network", "size": None, "latest": None})


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "inspect",
        main,
        argument("names", "NETWORK [NETWORK...]", required=True, several=True),
        text(
            "--format", "-f", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"
        ),
        flag("--verbose", "-v", help="Accepted for docker's scripts", hidden=True),
        help="Display detailed information on one or more networks",
        examples="""
            crate network inspect podman
        """,
    )
