"""`crate wait`: waits until containers have ended and prints their exit statuses."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints one exit status a container, in the order of the arguments."""
    from crate.cli import output, targets
    from crate.engine import wait

    return targets.each(
        options,
        lambda engine, container: output.line(str(wait.wait(engine, container, options["condition"] or []))),
        quiet=True,
    )


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas, flag, text

    command(
        app,
        "wait",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        commas("--condition", help="State to wait for (default stopped)", metavar="state"),
        flag("--ignore", help="Ignore containers that do not exist"),
        flag("--latest", "-l", help="Act on the container created last"),
        text("--interval", "-i", help="Accepted for podman's scripts: crate does not poll", hidden=True),
        help="Block until one or more containers stop, then print their exit codes",
        examples="""
            crate wait job
        """,
    )
