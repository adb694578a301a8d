"""`crate pod pause`: stops every process of pods where it is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be paused."""
    from crate.cli.pod import targets
    from crate.engine.pods import verbs as pod_verbs

    return targets.each(options, pod_verbs.pause)


def declare(app: Typer) -> None:
    from crate.cli.options import command
    from crate.cli.pod import targets

    command(
        app,
        "pause",
        main,
        *targets.rows("Pause"),
        help="Pause all processes of one or more pods",
        examples="""
            crate pod pause web
        """,
    )
