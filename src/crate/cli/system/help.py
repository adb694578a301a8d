"""`crate help`: the help of a command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints what `crate COMMAND --help` prints."""
    from crate.cli import app, table
    from crate.errors import UsageError

    words = " ".join(options["words"] or [])
    if words and words not in table.COMMANDS and words not in table.GROUPS:
        raise UsageError(f"unrecognized command `crate {words}`", "see 'crate --help'")
    app.print_help(words)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "help",
        main,
        argument("words", "[COMMAND]", required=False, several=True),
        help="Help about any command",
        examples="""
            crate help run
            crate help container ls
        """,
    )
