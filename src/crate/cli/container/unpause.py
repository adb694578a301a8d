"""`crate unpause`: lets paused containers go on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be resumed."""
    from crate.cli import targets
    from crate.engine import pause

    return targets.each(options, pause.unpause, default_states=("paused",))


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many

    command(
        app,
        "unpause",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        flag("--all", "-a", help="Unpause all paused containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        many("--cidfile", help="Read the container ID from the file", metavar="path"),
        many("--filter", "-f", help="Unpause the containers that match", metavar="key=value"),
        help="Unpause all processes within one or more containers",
        examples="""
            crate unpause web
        """,
    )
