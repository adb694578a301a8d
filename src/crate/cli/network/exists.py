"""`crate network exists`: tells by its exit status whether a network is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    import crate.engine
    from crate.engine import networks
    from crate.errors import NotFoundError

    engine = crate.engine.open(options["globals"])
    try:
        networks.find(engine, options["network"])
    except NotFoundError:
        return 1
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "exists",
        main,
        argument("network", "NETWORK"),
        help="Check whether a network exists",
        description="The exit status is 0 when it exists, 1 when it does not.",
        examples="""
            crate network exists crate0
        """,
    )
