"""`crate __complete`: what a shell's completion script asks at each press of the tab key."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints one candidate a line: the word, a tab, its description."""
    from crate.cli import complete, output

    output.write("".join(f"{line}\n" for line in complete.candidates(options["words"] or [""], options["globals"])))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "__complete",
        main,
        argument("words", "[WORD...]", required=False, several=True),
        stop_at_argument=True,
        hidden=True,
        help="Print candidates for the last word of a command line",
        examples="",
    )
