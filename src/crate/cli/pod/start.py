"""`crate pod start`: starts the containers of pods."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be started."""
    from crate.cli.pod import targets
    from crate.engine.pods import verbs as pod_verbs

    return targets.each(options, pod_verbs.start)


def declare(app: Typer) -> None:
    from crate.cli.options import command
    from crate.cli.pod import targets

    command(
        app,
        "start",
        main,
        *targets.rows("Start"),
        help="Start one or more pods",
        examples="""
            crate pod start web
        """,
    )
