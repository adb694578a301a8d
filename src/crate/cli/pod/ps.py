"""`crate pod ps`, `crate pod ls`: lists pods."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints one line a pod."""
    import crate.engine
    from crate.cli import output
    from crate.cli.pod import listing

    output.write(listing.text(crate.engine.open(options["globals"]), options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many, text

    command(
        app,
        "ps",
        main,
        flag("--ctr-ids", help="Display the IDs of the containers"),
        flag("--ctr-names", help="Display the names of the containers"),
        flag("--ctr-status", help="Display the states of the containers"),
        many("--filter", "-f", help="Filter output based on conditions provided", metavar="key=value"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--latest", "-l", help="Show the pod created last"),
        flag("--no-trunc", help="Don't truncate output"),
        flag("--noheading", help="Do not print the column headings"),
        flag("--ns", help="Show the cgroup parent and the namespaces that are shared"),
        flag("--quiet", "-q", help="Only display pod IDs"),
        text("--sort", help='Sort by created, id, name, number or status (default "created")', metavar="field"),
        help="List pods",
        description="""
            A pod is Created, Running, Degraded (some of its containers do not run), Paused, Exited (all have ended)
            or Stopped (some have ended, none runs).
        """,
        examples="""
            crate pod ps
            crate pod ps --ctr-names --filter status=running
        """,
    )
