"""`crate logs`: shows what containers wrote to their output."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.cli.options import Row
    from crate.engine.containers import Container
    from crate.engine.context import Engine

_COLORS = (31, 32, 33, 34, 35, 36)  # red to cyan, console_codes(4)


def main(options: dict[str, Any]) -> int:
    """0 at the end of the log, or of the container with --follow."""
    import crate.engine
    from crate.cli import targets
    from crate.engine import containers

    targets.check(options)
    engine = crate.engine.open(options["globals"])
    names = options["containers"] or []
    chosen = [targets.latest(engine)] if options["latest"] else [containers.find(engine, name) for name in names]
    show(engine, chosen, options)
    return 0


def show(engine: Engine, chosen: list[Container], options: dict[str, Any]) -> None:
    """Writes the logs; of several containers each line tells whose it is."""
    from crate.cli import output
    from crate.engine.logs import show as logs

    wanted: list[tuple[Container, str]] = []
    for number, container in enumerate(chosen):
        prefix = f"{container.name} " if options["names"] else f"{container.id[:12]} " if len(chosen) > 1 else ""
        if options["color"] and prefix:
            prefix = f"\x1b[{_COLORS[number % len(_COLORS)]}m{prefix}\x1b[0m"
        wanted.append((container, prefix))
    logs.logs(engine, wanted, options, output.write)


def rows() -> list[Row]:
    """The options that the logs of pods have too."""
    from crate.cli.options import flag, text

    return [
        flag("--follow", "-f", help="Follow log output"),
        flag("--timestamps", "-t", help="Show timestamps"),
        text("--since", help='Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        text("--until", help='Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        flag("--color", help="Show what precedes the lines in another color for each container"),
    ]


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "logs",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        text("--tail", "-n", help='Number of lines to show from the end of the logs (default "all")'),
        flag("--details", help="Show extra details provided to logs"),
        flag("--names", help="Show the name of the container before each line"),
        *rows(),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Fetch the logs of a container",
        examples="""
            crate logs -f --tail 20 web
            crate logs -t --since 10m web
        """,
    )
