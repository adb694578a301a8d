"""`crate kill`: sends a signal to the main process of containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be signalled."""
    from crate.cli import targets
    from crate.engine import kill

    return targets.each(
        options,
        lambda engine, container: kill.kill(engine, container, options["signal"] or "KILL"),
        default_states=("running", "paused"),
    )


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "kill",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        text("--signal", "-s", help='Signal to send to the container (default "KILL")'),
        flag("--all", "-a", help="Signal all running containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        many("--cidfile", help="Read the container ID from the file", metavar="path"),
        many("--filter", "-f", help="Signal the running containers that match", metavar="key=value"),
        help="Kill one or more running containers",
        examples="""
            crate kill web
            crate kill -s HUP web
        """,
    )
