"""`crate ps`, `crate container ls`: lists containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the running containers, or with --all, --last, --latest and some filters all."""
    import crate.engine
    from crate.cli import output
    from crate.cli.container import listing

    engine = crate.engine.open(options["globals"])
    interval = options["watch"]
    if not interval:
        output.write(listing.text(engine, options))
        return 0
    import time

    while True:
        output.write("\x1b[H\x1b[2J" + listing.text(engine, options))
        time.sleep(interval)


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many, number, text

    command(
        app,
        "ps",
        main,
        flag("--all", "-a", help="Show all containers (default shows just running)"),
        many("--filter", "-f", help="Filter output based on conditions provided", metavar="key=value"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        number("--last", "-n", help="Show n last created containers (includes all states) (default -1)"),
        flag("--latest", "-l", help="Show the latest created container (includes all states)"),
        flag("--no-trunc", help="Don't truncate output"),
        flag("--quiet", "-q", help="Only display container IDs"),
        flag("--size", "-s", help="Display total file sizes"),
        flag("--noheading", help="Do not print the column headings"),
        flag("--ns", help="Show the namespaces of the containers"),
        flag("--pod", "-p", help="Show the pods of the containers"),
        flag("--external", help="Accepted for podman's scripts: no other program's containers are shown", hidden=True),
        flag("--sync", help="Accepted for podman's scripts: what is shown is always looked up", hidden=True),
        text("--sort", help="Sort by command, created, id, image, names, runningfor, size or status", metavar="field"),
        number("--watch", "-w", help="Show again every so many seconds", metavar="seconds"),
        help="List containers",
        examples="""
            crate ps -a
            crate ps --filter label=tier=web --format 'table {{.Names}}\\t{{.Status}}'
        """,
    )
