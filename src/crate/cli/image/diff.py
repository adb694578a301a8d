"""`crate image diff`: shows what an image changed in the files of its parent."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    from crate.cli import diffing

    return diffing.main(options, ("image",))


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, text

    command(
        app,
        "diff",
        main,
        argument("names", "IMAGE [CONTAINER|IMAGE]", required=False, several=True),
        text("--format", help="Change the output format (json)"),
        help="Inspect changes to files or directories of an image",
        examples="""
            crate image diff nginx
        """,
    )
