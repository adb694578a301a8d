"""`crate restart`: stops containers and starts them again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be restarted; one that does not run is started."""
    from crate.cli import targets
    from crate.engine import restart
    from crate.errors import CrateError, UsageError

    timeout, signal = options["timeout"], options["signal"]
    asked: dict[str, float | None] = {}
    states: tuple[str, ...] = ()
    if options["running"]:
        if options["containers"]:
            raise UsageError("--running and containers cannot be used together")
        options["all"], states = True, ("running", "paused")

    def ask(engine: Engine, container: Container) -> None:
        asked[container.id] = restart.ask(engine, container, timeout, signal)

    return targets.each(
        options,
        lambda engine, container: restart.restart(engine, container, timeout, signal, asked.get(container.id)),
        default_states=states,
        # A command that cannot be started is a failure of `restart`, not its status: nobody is attached.
        status_of=lambda _: CrateError.exit_status,
        prepare=ask,
    )


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, number, text

    command(
        app,
        "restart",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        number("--timeout", "-t", "--time", help="Seconds to wait before killing the container (default 10)"),
        text("--signal", "-s", help="Signal to send to the container"),
        flag("--all", "-a", help="Restart all containers, whatever their state"),
        flag("--running", help="Restart all running containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        many("--cidfile", help="Read the container ID from the file", metavar="path"),
        many("--filter", "-f", help="Restart the containers that match", metavar="key=value"),
        help="Restart one or more containers",
        examples="""
            crate restart web
            crate restart --running -t 2
        """,
    )
