"""`crate update`: changes the limits of containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be changed."""
    from crate.cli import targets
    from crate.engine import update
    from crate.errors import UsageError

    given = {key: value for key, value in options.items() if key not in ("containers", "latest", "globals")}
    if all(value is None for value in given.values()):
        raise UsageError("you must provide one or more flags when using this command")
    return targets.each(options, lambda engine, container: update.update(engine, container, given))


def declare(app: Typer) -> None:
    from crate.cli.container.run_options import limits
    from crate.cli.options import argument, command, flag

    command(
        app,
        "update",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        *limits(),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Update configuration of one or more containers",
        description="""
            The limits of a running container change at once; all are kept for later starts. 0 lifts a limit, as does
            -1 where `run` takes it.
        """,
        examples="""
            crate update -m 512m --memory-swap 1g web
            crate update --cpus 1.5 --cpuset-cpus 0,1 web
            crate update --restart unless-stopped web
        """,
    )
