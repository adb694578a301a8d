"""`crate image inspect`: everything about images, as JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them does not exist (what exists is printed all the same)."""
    from crate.cli import inspecting

    return inspecting.main({**options, "type": "image", "size": None, "latest": None})


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, text

    command(
        app,
        "inspect",
        main,
        argument("names", "IMAGE [IMAGE...]", several=True),
        text(
            "--format", "-f", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"
        ),
        text("--platform", help="Refuse an image of another platform", metavar="os/arch[/variant]"),
        help="Display detailed information on one or more images",
        examples="""
            crate image inspect alpine
            crate image inspect -f '{{.Architecture}}' alpine
        """,
    )
