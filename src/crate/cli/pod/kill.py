"""`crate pod kill`: sends a signal to the containers of pods."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be told."""
    from crate.cli.pod import targets
    from crate.engine.pods import verbs as pod_verbs

    signal = options["signal"] or "KILL"
    return targets.each(options, lambda engine, pod: pod_verbs.kill(engine, pod, signal))


def declare(app: Typer) -> None:
    from crate.cli.options import command, text
    from crate.cli.pod import targets

    command(
        app,
        "kill",
        main,
        *targets.rows("Kill"),
        text("--signal", "-s", help='Signal to send to the containers (default "KILL")'),
        help="Send a signal to the containers of one or more pods",
        examples="""
            crate pod kill -s HUP web
        """,
    )
