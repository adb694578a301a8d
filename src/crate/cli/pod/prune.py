"""`crate pod prune`: removes the pods that have ended."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0; prints the ids of the pods that were removed."""
    import crate.engine
    from crate.cli import output, pruning
    from crate.engine.pods import verbs as pod_verbs

    if not pruning.confirm(options, "This will remove all stopped/exited pods.."):
        return 0
    for identifier in pod_verbs.prune(crate.engine.open(options["globals"])):
        output.line(identifier)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag

    command(
        app,
        "prune",
        main,
        flag("--force", "-f", help="Do not prompt for confirmation"),
        help="Remove all pods whose containers have ended",
        examples="""
            crate pod prune -f
        """,
    )
