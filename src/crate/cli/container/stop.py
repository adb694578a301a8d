"""`crate stop`: asks containers to end, and kills them after a while."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be stopped; stopping one that does not run is no failure."""
    from crate.cli import targets
    from crate.engine import stop

    timeout, signal = options["timeout"], options["signal"]
    asked: dict[str, float | None] = {}

    def ask(engine: Engine, container: Container) -> None:
        asked[container.id] = stop.ask(engine, container, timeout, signal)

    return targets.each(
        options,
        lambda engine, container: stop.stop(engine, container, timeout, signal, asked.get(container.id)),
        default_states=("running", "paused"),
        prepare=ask,
    )


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, number, text

    command(
        app,
        "stop",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        number("--timeout", "-t", "--time", help="Seconds to wait before killing the container (default 10)"),
        text("--signal", "-s", help="Signal to send to the container"),
        flag("--all", "-a", help="Stop all running containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        flag("--ignore", "-i", help="Ignore containers that do not exist"),
        many("--cidfile", help="Read the container ID from the file", metavar="path"),
        many("--filter", "-f", help="Stop the containers that match", metavar="key=value"),
        help="Stop one or more running containers",
        examples="""
            crate stop web
            crate stop -t 2 web db
        """,
    )
