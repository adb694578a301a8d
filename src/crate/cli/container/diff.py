"""`crate diff`: shows what a container or image changed in the files beneath it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    from crate.cli import diffing

    return diffing.main(options)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "diff",
        main,
        argument("names", "CONTAINER|IMAGE [CONTAINER|IMAGE]", required=False, several=True),
        text("--format", help="Change the output format (json)"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Inspect changes to files or directories of a container or image",
        examples="""
            crate diff web
        """,
    )
