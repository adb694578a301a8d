"""`crate pause`: stops every process of containers where it is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be paused."""
    from crate.cli import targets
    from crate.engine import pause

    return targets.each(options, pause.pause, default_states=("running",))


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many

    command(
        app,
        "pause",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        flag("--all", "-a", help="Pause all running containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        many("--cidfile", help="Read the container ID from the file", metavar="path"),
        many("--filter", "-f", help="Pause the containers that match", metavar="key=value"),
        help="Pause all processes within one or more containers",
        description="""
            The freezer of the container's control group stops them; they notice nothing of it. An ordinary user needs
            cgroup v2 for that.
        """,
        examples="""
            crate pause web
            crate pause --all
        """,
    )
