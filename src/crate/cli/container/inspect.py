"""`crate container inspect`: everything about containers, as JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them does not exist (what exists is printed all the same)."""
    from crate.cli import inspecting

    return inspecting.main({**options, "type": "container"})


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "inspect",
        main,
        argument("names", "CONTAINER [CONTAINER...]", required=False, several=True),
        text(
            "--format", "-f", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"
        ),
        flag("--size", "-s", help="Display total file sizes"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Display detailed information on one or more containers",
        examples="""
            crate container inspect web
            crate container inspect -f '{{.State.Pid}}' web
        """,
    )
