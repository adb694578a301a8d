"""`crate volume prune`: removes the volumes that no container uses."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

_WARNINGS = (
    "This will remove all anonymous volumes not used by at least one container.",
    "This will remove all volumes not used by at least one container.",
)


def main(options: dict[str, Any]) -> int:
    """0, whether something was removed or not."""
    import crate.engine
    from crate.cli import pruning

    pruning.check(options, ("label", "label!", "until", "all"))
    if not pruning.confirm(options, _WARNINGS[bool(options["all"])]):
        return 0
    pruned = pruning.Pruned()
    pruning.volumes(crate.engine.open(options["globals"]), options, pruned, named=bool(options["all"]))
    pruned.show()
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many

    command(
        app,
        "prune",
        main,
        flag("--all", "-a", help="Remove all unused volumes, not just anonymous ones"),
        flag("--force", "-f", help="Do not prompt for confirmation"),
        many("--filter", help="Remove only those that match (until=, label=)", metavar="key=value"),
        help="Remove unused volumes",
        examples="""
            crate volume prune
            crate volume prune -af --filter label=tier=test
        """,
    )
