"""`crate logs`: shows what containers wrote to their output."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container
    from crate.engine.logs import Write


def main(options: dict[str, Any]) -> int:
    """0 at the end of the log, or of the container with --follow."""
    import crate.engine
    from crate.cli import output, targets
    from crate.engine import containers, logs

    targets.check(options)
    engine = crate.engine.open(options["globals"])
    names = options["containers"] or []
    chosen = [targets.latest(engine)] if options["latest"] else [containers.find(engine, name) for name in names]
    wanted: list[tuple[Container, Write]] = []
    for container in chosen:
        prefix = f"{container.name} " if options["names"] else f"{container.id[:12]} " if len(chosen) > 1 else ""

        def write(line: str, fd: int, prefix: str = prefix) -> None:
            output.write(prefix + line, fd)

        wanted.append((container, write))
    logs.logs(engine, wanted, options)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "logs",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        flag("--follow", "-f", help="Follow log output"),
        text("--tail", "-n", help='Number of lines to show from the end of the logs (default "all")'),
        flag("--timestamps", "-t", help="Show timestamps"),
        text("--since", help='Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        text("--until", help='Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        flag("--details", help="Show extra details provided to logs"),
        flag("--names", help="Show the name of the container before each line"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Fetch the logs of a container",
        examples="""
            crate logs -f --tail 20 web
            crate logs -t --since 10m web
        """,
    )
