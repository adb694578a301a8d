"""`crate stats`: shows what containers use, again and again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.cli.options import Row
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """Prints one line a container, once with --no-stream; else until interrupted or none of those named is left."""
    import crate.engine
    from crate.cli.container import usage
    from crate.errors import UsageError

    wide = [key for key in ("all", "latest") if options[key]]
    if len(wide) + bool(options["containers"]) > 1:
        raise UsageError("--all, --latest and containers cannot be used together")
    engine = crate.engine.open(options["globals"])
    named = _named(engine, options)
    usage.stream(
        engine,
        lambda: _running(engine, bool(options["all"])) if named is None else named,
        lambda samples, former: usage.text(samples, former, options),
        options,
        endless=named is None,
    )
    return 0


def _named(engine: Engine, options: dict[str, Any]) -> list[Container] | None:
    """The containers that were asked for; None: those that there are, whenever it is looked."""
    from crate.cli import targets
    from crate.engine import containers

    if options["latest"]:
        return [targets.latest(engine)]
    return [containers.find(engine, name) for name in options["containers"]] if options["containers"] else None


def _running(engine: Engine, everything: bool) -> list[Container]:
    from crate.engine import containers

    listed = containers.listing(engine, live=not everything)
    return [c for c in listed if everything or c.state(engine)["status"] in ("running", "paused")]


def rows() -> list[Row]:
    """The options that the statistics of pods have too."""
    from crate.cli.options import flag, number, text

    return [
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--no-stream", help="Show the first result only"),
        flag("--no-reset", help="Do not clear the screen between results"),
        flag("--no-trunc", help="Don't truncate output"),
        number("--interval", "-i", help="Seconds between results (default 5)", metavar="seconds"),
    ]


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "stats",
        main,
        argument("containers", "[CONTAINER...]", required=False, several=True),
        flag("--all", "-a", help="Show all containers (default shows just running)"),
        flag("--latest", "-l", help="Act on the container created last"),
        *rows(),
        help="Display a live stream of container resource usage statistics",
        description="""
            CPU % is the processor time since the result before, or since the start of the container in the first one;
            100% is one processor. Memory is what is used without the file cache that can be dropped. Where an ordinary
            user has no control groups, the figures are sums over the container's processes.
        """,
        examples="""
            crate stats
            crate stats --no-stream --format 'table {{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}'
        """,
    )
