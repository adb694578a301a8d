"""`crate volume unmount`: for podman's scripts, the end of what `volume mount` began."""

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

    output.line(volumes.find(crate.engine.open(options["globals"]), options["volume"])["name"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "unmount",
        main,
        argument("volume", "NAME"),
        help="Undo volume mount",
        description="There is nothing to undo: the files of a volume are always there.",
        examples="""
            crate volume unmount data
        """,
    )
