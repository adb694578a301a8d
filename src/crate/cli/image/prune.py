"""`crate image prune`: removes the images without a name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

_WARNINGS = (
    "This command removes all dangling images.",
    "This command removes all images without at least one container associated with them.",
)


def main(options: dict[str, Any]) -> int:
    """0, whether something was removed or not."""
    import crate.engine
    from crate.cli import pruning

    pruning.check(options)
    if not pruning.confirm(options, _WARNINGS[bool(options["all"])]):
        return 0
    pruned = pruning.Pruned()
    pruning.images(crate.engine.open(options["globals"]), options, pruned)
    pruned.show()
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many

    command(
        app,
        "prune",
        main,
        flag("--all", "-a", help="Remove all images without a container, not just those without a name"),
        flag("--force", "-f", help="Do not prompt for confirmation"),
        flag("--external", help="Accepted for podman's scripts: no other program's data is touched", hidden=True),
        many("--filter", help="Remove only those that match (until=, label=)", metavar="key=value"),
        help="Remove unused images",
        examples="""
            crate image prune
            crate image prune -af --filter until=240h
        """,
    )
