"""`crate volume exists`: tells by its exit status whether a volume is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    import crate.engine
    from crate.engine import volumes
    from crate.errors import NotFoundError

    engine = crate.engine.open(options["globals"])
    try:
        volumes.find(engine, options["volume"])
    except NotFoundError:
        return 1
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "exists",
        main,
        argument("volume", "VOLUME"),
        help="Check whether a volume exists",
        description="The exit status is 0 when it exists, 1 when it does not.",
        examples="""
            crate volume exists data || crate volume create data
        """,
    )
