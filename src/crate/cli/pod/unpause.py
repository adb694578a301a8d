"""`crate pod unpause`: lets paused pods go on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not go on."""
    from crate.cli.pod import targets
    from crate.engine.pods import verbs as pod_verbs

    return targets.each(options, pod_verbs.unpause)


def declare(app: Typer) -> None:
    from crate.cli.options import command
    from crate.cli.pod import targets

    command(
        app,
        "unpause",
        main,
        *targets.rows("Unpause"),
        help="Unpause one or more pods",
        examples="""
            crate pod unpause web
        """,
    )
