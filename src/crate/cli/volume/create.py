"""`crate volume create`: makes a volume."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints its name."""
    import crate.engine
    from crate.cli import output
    from crate.engine import volumes

    engine = crate.engine.open(options["globals"])
    output.line(volumes.create(engine, options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "create",
        main,
        argument("volume", "[VOLUME]", required=False),
        text("--driver", "-d", help='Volume driver: "local" is the only one'),
        many("--label", "-l", help="Set metadata for a volume", metavar="key=value"),
        many("--opt", "-o", help="Set driver specific options", metavar="key=value"),
        flag("--ignore", help="Do not fail if the volume exists already"),
        help="Create a volume",
        examples="""
            crate volume create data
            crate run --rm -v data:/data alpine touch /data/here
        """,
    )
