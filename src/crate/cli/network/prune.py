"""`crate network prune`: removes the networks that no container uses."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, whether something was removed or not."""
    import crate.engine
    from crate.cli import pruning

    pruning.check(options)
    if not pruning.confirm(options, "This will remove all networks not used by at least one container."):
        return 0
    pruned = pruning.Pruned()
    pruning.networks(crate.engine.open(options["globals"]), options, pruned)
    pruned.show(total=False)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many

    command(
        app,
        "prune",
        main,
        flag("--force", "-f", help="Do not prompt for confirmation"),
        many("--filter", help="Remove only those that match (until=, label=)", metavar="key=value"),
        help="Remove unused networks",
        examples="""
            crate network prune -f
        """,
    )
