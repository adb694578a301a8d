"""`crate init`: makes created containers ready to start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be initialized."""
    from crate.cli import targets
    from crate.engine import initializing

    return targets.each(options, initializing.init, default_states=("created",))


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "init",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        flag("--all", "-a", help="Initialize all created containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Initialize one or more containers",
        description="The container is as it was created, and known to be startable; 'crate start' starts it.",
        examples="""
            crate init web
        """,
    )
