"""`crate history`: shows of which steps an image was made."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints one line a step, the last one first."""
    import crate.engine
    from crate.cli import output
    from crate.cli.image import steps

    engine = crate.engine.open(options["globals"])
    output.write(steps.text(engine, options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "history",
        main,
        argument("image", "IMAGE"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--human", "-H", help="Print sizes and dates in human readable format (default true)"),
        flag("--no-trunc", help="Don't truncate output"),
        flag("--quiet", "-q", help="Only show image IDs"),
        text("--platform", help="Show history for the given platform", metavar="os/arch[/variant]"),
        help="Show the history of an image",
        examples="""
            crate history nginx
        """,
    )
